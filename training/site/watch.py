"""What a batch of verdicts does to mail that has nothing to do with it: the guard of a run, and its report.

The guard set is written mail that no model trains on. A batch that changes too many verdicts there teaches something
else than this site's mail, by malice or by mistake, and no model comes of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle
from model.score import Scorer
from training.examples import Example
from training.gate.sources import written
from training.gather import DataError
from training.reading import Reader
from training.settings import TrainSettings
from training.site.bundle import p_told
from training.site.features import features
from training.site.learn import Learnt, capped
from training.triage.guard import Guarded, guard

Floats = NDArray[np.float64]
MOST_NAMED = 20
"""Moved messages that an error names; the report has all of them."""


class BatchRefusedError(DataError):
    """These verdicts would change other mail too far; the text has the reasons and the messages that moved."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The guard's judgement, with the probability of bad mail of each guard message before and after, by name."""

    guarded: Guarded
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def moved(self) -> tuple[str, ...]:
        """Messages whose verdict changes, newly kept ones first."""
        return (*self.guarded.kept, *self.guarded.delivered, *self.guarded.missed)


def guard_set(reader: Reader, settings: TrainSettings) -> list[Example]:
    """Return written mail that never trains, by whole pairs. Raises WrittenError."""
    return [mail.example for mail in written(reader, most=settings.site.guard_most)]


def watch(scorer: Scorer, learnt: Learnt, examples: Sequence[Example], settings: TrainSettings) -> Watched:
    """Score the guard set before and after, each at its own threshold. Raises ScoringFailed."""
    given = features(scorer, examples)
    now = capped(learnt.moved, given.offset, given.blocks, settings.site.cap)
    there = learnt.told.logits(now, scorer.bundle.calibration.prior)
    before, after = _p(given.offset).tolist(), _p(there).tolist()
    names = [e.key for e in examples]
    guarded = guard(names, [e.bad for e in examples], before, after, scorer.bundle.thresholds.kept,
                    p_told(learnt.hold.logit, learnt, scorer.bundle.calibration),
                    settings.triage)  # fmt: skip
    return Watched(guarded, dict(zip(names, before, strict=True)), dict(zip(names, after, strict=True)))


def refuse(watched: Watched, snapshot: str) -> None:
    """Raise BatchRefusedError where the guard refuses."""
    if not watched.guarded.refused:
        return
    moved = [f"  {n}: {watched.before[n]:.3f} before, {watched.after[n]:.3f} after" for n in watched.moved]
    more = [f"  and {len(moved) - MOST_NAMED} more"] if len(moved) > MOST_NAMED else []
    closer = (
        "look at the newest labels (gatepost dataset suspects), or at every message that moved (--report FILE); "
        "triage.guard_ham and triage.guard_bad of the recipe set how much may change"
    )
    head = f"snapshot {snapshot}: refused, nothing was written"
    raise BatchRefusedError("\n".join([head, *watched.guarded.refused, *moved[:MOST_NAMED], *more, closer]))


def report(base: Bundle, snapshot: str, learnt: Learnt, watched: Watched, left_out: Sequence[Mapping[str, Any]]
           ) -> dict[str, Any]:  # fmt: skip
    """Return plain JSON data of a run: what moved, which verdicts were left out, and the guard's judgement."""
    guarded, after = watched.guarded, p_told(learnt.hold.logit, learnt, base.calibration)
    told = {name: {"before": round(watched.before[name], 4), "after": round(watched.after[name], 4)}
            for name in watched.moved}  # fmt: skip
    return {
        "base": base.version,
        "snapshot": snapshot,
        "scale": round(learnt.moved.scale, 5),
        "shift": round(learnt.moved.intercept, 5),
        "hold": {"before": base.thresholds.kept, "after": round(after, 4)},
        "probabilities": {"prior": round(learnt.told.prior, 4), "scale": round(learnt.told.scale, 4),
                          "shift": round(learnt.told.shift, 4), "evidence": round(learnt.told.evidence, 1)},
        "legitimate": {"messages": learnt.legitimate, "kept_before": round(learnt.hold.before, 5),
                       "kept_after": round(learnt.hold.share, 5)},
        "left_out": list(left_out),
        "guard": {
            "legitimate": guarded.ham, "bad": guarded.bad, "refused": list(guarded.refused),
            "newly_kept": list(guarded.kept), "no_longer_kept": list(guarded.delivered),
            "newly_missed": list(guarded.missed), "probability": told,
        },
    }  # fmt: skip


def _p(logits: Floats) -> Floats:
    out: Floats = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    return out
