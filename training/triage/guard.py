"""What a batch of new labels may not do: move the verdicts on mail that is known and has nothing to do with it. Pure.

The old and the new model, each at its own threshold, judge a guard set that neither was trained on. Honest labels of
one site hardly move it; wrong ones, or many reports of one campaign, do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.triage.settings import TriageSettings

NAMED = 5


@dataclass(frozen=True, slots=True)
class Guarded:
    """What changed on the guard set. `refused` says why the batch is refused, a sentence each; empty if it is not.

    `kept`: legitimate messages that are kept now and were not; `delivered`: legitimate ones that were kept and are
    not; `missed`: bad ones that were kept and are not. Each has the messages' names, the most moved first.
    """

    ham: int
    bad: int
    kept: tuple[str, ...]
    delivered: tuple[str, ...]
    missed: tuple[str, ...]
    refused: tuple[str, ...]


def guard(
    names: Sequence[str], bad: Sequence[bool], old: Sequence[float], new: Sequence[float], old_at: float,
    new_at: float, settings: TriageSettings,
) -> Guarded:  # fmt: skip
    """Compare verdicts. `old`, `new` [n]: probability of bad mail; `old_at`, `new_at`: from where mail is kept.

    Raises ValueError where the lengths differ or a score is no number: then nothing can be told.
    """
    if not len(names) == len(bad) == len(old) == len(new):
        raise ValueError(f"{len(names)} names, {len(bad)} labels, {len(old)} old and {len(new)} new scores")
    before, after, is_bad = np.asarray(old, float), np.asarray(new, float), np.asarray(bad, bool)
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise ValueError("a score is not finite")
    was, now = before >= old_at, after >= new_at
    order = np.argsort(-np.abs(after - before), kind="stable")
    kept, delivered, missed = (
        tuple(names[n] for n in order if change[n])
        for change in (~is_bad & ~was & now, ~is_bad & was & ~now, is_bad & was & ~now)
    )
    ham, evil = int((~is_bad).sum()), int(is_bad.sum())
    reasons = _reasons(ham, evil, kept, delivered, missed, settings)
    return Guarded(ham, evil, kept, delivered, missed, reasons)


def _reasons(
    ham: int,
    evil: int,
    kept: Sequence[str],
    delivered: Sequence[str],
    missed: Sequence[str],
    settings: TriageSettings,
) -> tuple[str, ...]:
    if ham < settings.guard_fewest:
        few = f"the guard set has {ham} legitimate messages, expected at least {settings.guard_fewest}: "
        return (few + "what these labels would do to other mail cannot be told",)
    found = []
    if len(kept) + len(delivered) > settings.guard_ham * ham:
        found.append(
            f"the new labels change the verdict on {len(kept) + len(delivered)} of {ham} legitimate messages that "
            f"have nothing to do with them ({len(kept)} newly kept, {len(delivered)} no longer kept); at most "
            f"{settings.guard_ham:.1%} may change{_such([*kept, *delivered])}"
        )
    if len(missed) > settings.guard_bad * evil:
        found.append(
            f"with the new labels {len(missed)} of {evil} bad messages that were kept would be delivered; at most "
            f"{settings.guard_bad:.1%} may be{_such(missed)}"
        )
    return tuple(found)


def _such(names: Sequence[str]) -> str:
    return f", such as {', '.join(names[:NAMED])}" if names else ""
