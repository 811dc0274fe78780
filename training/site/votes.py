"""What each message counts for, and whose word is not taken: a label that all other mail speaks against. Pure.

A verdict weighs one vote of its campaign; a sampled one stands for more, up to a limit. What one account reported
weighs a few votes, however much it was; and an account whose reports mostly look wrong is not believed at all.
"""

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.site.settings import SiteSettings
from training.triage.mislabels import Suspicion, suspicions

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Votes:
    """What the rows of a fit count for; the first `own` are this site's verdicts, the others are replayed.

    `weight` [n] in the fit, `stands_for` [n] where shares of legitimate mail are counted. `groups`: campaigns; `by`:
    the account that reported a message, empty where no report brought it; `confirmed` [n]: two people said the same.
    `sample` [own]: how much of the site's mail a verdict stands for, 1/p, where the gateway chose what got one (kept
    mail, and a random sample of the rest); 0 where people brought it, which tells nothing of how frequent it is.
    """

    weight: Floats
    stands_for: Floats
    groups: tuple[str, ...]
    by: tuple[str, ...]
    confirmed: Flags
    own: int
    sample: Floats

    @property
    def campaigns(self) -> int:
        """How many campaigns have a verdict."""
        return len(set(self.groups[: self.own]))

    def folds(self, parts: int) -> NDArray[np.int64]:
        """Return the part of each row [n]: a campaign is in one part, and so is all that one account reported."""
        names = [f"by {who}" if who else group for who, group in zip(self.by, self.groups, strict=True)]
        return np.array([zlib.crc32(n.encode("utf-8", "surrogateescape")) % parts for n in names], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A verdict that is left out. `at`: row; `p`: probability of the other class, by fits that saw neither its
    campaign nor its reporter; `account`: who is not believed in anything, empty where this one label is doubted.
    """

    at: int
    p: float
    account: str = ""


def votes(
    weight: Sequence[float], groups: Sequence[str], by: Sequence[str], confirmed: Sequence[bool],
    replayed: Sequence[str], settings: SiteSettings, sample: Sequence[float] = (),
) -> Votes:  # fmt: skip
    """Weigh verdicts, and the groups of replayed mail behind them. Without `sample` nobody drew any."""
    mine = vote_weights(weight, by, settings)
    stands = np.array(weight, dtype=np.float64)
    reported = np.array([bool(who) for who in by], dtype=np.bool_)
    stands[reported] = np.minimum(stands[reported], mine[reported])
    more = len(replayed)
    return Votes(
        np.concatenate((mine, np.full(more, settings.replay_weight))),
        np.concatenate((stands, np.full(more, settings.replay_stands))),
        (*groups, *replayed),
        (*by, *[""] * more),
        np.concatenate((np.array(confirmed, dtype=np.bool_), np.ones(more, dtype=np.bool_))),
        len(mine),
        np.array(sample or [0.0] * len(mine), dtype=np.float64),
    )


def vote_weights(weight: Sequence[float], by: Sequence[str], settings: SiteSettings) -> Floats:
    """Return the weight of each verdict: cut at `heaviest`, then one reporter's sum at a share of all, and at a few.

    Reviewers are not cut.
    """
    out = np.minimum(np.array(weight, dtype=np.float64), settings.heaviest)
    people = np.array(by)
    limit = min(settings.reporter_votes, settings.reporter_most * float(out.sum()))
    for person in sorted(set(by) - {""}):
        mine = people == person
        total = float(out[mine].sum())
        if total > limit:
            out[mine] *= limit / total
    return out


def doubts(p_bad: Floats, bad: Flags, given: Votes, settings: SiteSettings) -> list[Doubt]:
    """Return the verdicts to leave out, the surest first (confident learning, `training.triage.mislabels`).

    `p_bad` [n] is out of fold. Only a share of the reviewers' own verdicts is ever left out, and none that two people
    gave alike: what the model is sure of and people say otherwise is just what it has to learn. Where one class has
    no message of any weight, nothing is doubted.
    """
    try:
        found = [s for s in suspicions(p_bad, bad, given.weight) if s.at < given.own and not given.confirmed[s.at]]
    except ValueError:
        return []
    liars = _liars(found, given, settings)
    reviewed = sum(not who for who in given.by[: given.own])
    most = math.floor(settings.doubt_most * reviewed)
    own = [s for s in found if not given.by[s.at]][:most]
    theirs = [s for s in found if given.by[s.at] and given.by[s.at] not in liars]
    lies = [
        Doubt(at, float(p_bad[at] if not bad[at] else 1 - p_bad[at]), who)
        for at, who in enumerate(given.by[: given.own])
        if who in liars and not given.confirmed[at]
    ]
    return [*(Doubt(s.at, s.p) for s in sorted((*own, *theirs), key=lambda s: (-s.margin, s.at))), *lies]


def _liars(found: Sequence[Suspicion], given: Votes, settings: SiteSettings) -> set[str]:
    """Return the accounts of whose reports more than half look wrong, where there are enough to tell."""
    reported = Counter(who for who in given.by[: given.own] if who)
    wrong = Counter(given.by[s.at] for s in found if given.by[s.at])
    return {who for who, n in wrong.items() if reported[who] >= settings.reporter_fewest and 2 * n > reported[who]}
