"""The breaker's decision: has the share of mail that the model keeps jumped since the model was changed? Pure.

Held and quarantined mail are judged apart, each against the site's own worst hours before the change. It trips
where two exact tests agree, so that each bounds the chance of a false alarm (an intersection-union test: Berger
1982, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24:295):

- the odds of being kept rose by more than `factor`: Fisher's exact test for an odds ratio other than one, which
  counts the noise of the old share as well (Cornfield 1956; Agresti, Categorical Data Analysis, 3rd ed., section
  16.6.4). Odds and not shares, so that a site that keeps 60 % of its mail by night sees that all of it is kept;
- the share is above `floor`: the exact binomial test (Clopper and Pearson 1934).

A look is taken whenever a tenth of the window is new. Every look is a test, so `false_alarm` is divided among all
that a watch has (Bonferroni). The tests take messages as independent: campaigns are not, which is what `factor` and
the worst hours leave room for.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from milter.watch_settings import BreakerSettings

FRESH = 10
"""A look is taken when one in so many messages of the window is new."""
GROWTH = 100
"""Looks while the first window fills: from 50 messages to a million, each time a tenth more."""
BASIS = 10
"""Hours of the history are joined up to so many times `least` messages: of small hours the worst is chance."""
STEP = 60.0
"""Seconds of a slot of the sliding window."""


class Kind(StrEnum):
    """In which of two ways mail is kept."""

    HELD = "held"
    QUARANTINED = "quarantined"


KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages with a score, and how many of them the model would have held and quarantined (or refused)."""

    messages: int = 0
    held: int = 0
    quarantined: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.messages + other.messages, self.held + other.held, self.quarantined + other.quarantined)

    def of(self, kind: Kind) -> int:
        """Return how many were kept in that way."""
        return self.held if kind is Kind.HELD else self.quarantined


@dataclass(frozen=True, slots=True)
class Jump:
    """What tripped the breaker: kept of all messages, now and in the worst hours before (0 of 0: too few to know).

    `chance` is the larger of the two p-values.
    """

    kind: Kind
    kept: int
    messages: int
    kept_before: int
    messages_before: int
    chance: float


def looks(settings: BreakerSettings) -> int:
    """Return how many tests one watch has: two kinds at each look, `FRESH` looks a window and `GROWTH` at first."""
    return (math.ceil(settings.watch / settings.window) * FRESH + GROWTH) * len(KINDS)


def judge(now: Counts, before: Sequence[Counts], settings: BreakerSettings) -> Jump | None:
    """Return the jump that trips the breaker, or None. `before`: the site's counts, hour by hour, in any order."""
    if now.messages < settings.least:
        return None
    allowed = settings.false_alarm / looks(settings)
    for kind in KINDS:
        kept, worst = now.of(kind), worst_hours(before, kind, BASIS * settings.least)
        if worst is None:
            chance = share_above(kept, now.messages, max(settings.unknown, settings.floor))
            old = Counts()
        else:
            old = worst
            chance = share_above(kept, now.messages, settings.floor)
            if chance <= allowed:  # the other test is dearer
                chance = max(chance, odds_above(kept, now.messages, old.of(kind), old.messages, settings.factor))
        if chance <= allowed:
            return Jump(kind, kept, now.messages, old.of(kind), old.messages, chance)
    return None


def worst_hours(hours: Iterable[Counts], kind: Kind, least: int) -> Counts | None:
    """Join neighbouring hours until they hold `least` messages; return the group with the largest share.

    None where all of them together hold less. What is left at the end joins the last group.
    """
    groups: list[Counts] = []
    open_ = Counts()
    for hour in hours:
        open_ += hour
        if open_.messages >= least:
            groups.append(open_)
            open_ = Counts()
    if not groups:
        return None
    groups[-1] += open_
    return max(groups, key=lambda group: group.of(kind) / group.messages)


def share_above(kept: int, messages: int, share: float) -> float:
    """Return P(K >= kept) for K binomial in `messages` with `share`: small if the true share is above it."""
    if kept <= messages * share:
        return 1.0
    log_term = (
        math.lgamma(messages + 1) - math.lgamma(kept + 1) - math.lgamma(messages - kept + 1)
        + kept * math.log(share) + (messages - kept) * math.log1p(-share)
    )  # fmt: skip
    odds = share / (1 - share)
    total = term = 1.0
    for k in range(kept, messages):  # beyond the mean the terms only shrink
        term *= odds * (messages - k) / (k + 1)
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, math.exp(log_term + math.log(total)))


def odds_above(kept: int, messages: int, kept_before: int, messages_before: int, factor: float) -> float:
    """Return the one-sided p-value that the odds of being kept rose by more than `factor`.

    Given how many were kept in both together, how many of them are among the new messages has Fisher's noncentral
    hypergeometric distribution; its upper tail is summed in logarithms.
    """
    total = kept + kept_before
    low, high = max(0, total - messages_before), min(messages, total)
    if low == high:
        return 1.0
    at = np.arange(low, high, dtype=np.float64)
    steps = (np.log(messages - at) + np.log(total - at) - np.log(at + 1) - np.log(messages_before - total + at + 1)
             + math.log(factor))  # fmt: skip
    weights = np.concatenate(([0.0], np.cumsum(steps)))
    weights = np.exp(weights - weights.max())
    return float(weights[kept - low :].sum() / weights.sum())


@dataclass(slots=True)
class Window:
    """Counts of the last `seconds`, in slots of `STEP`; times are of a clock that never goes back."""

    seconds: float
    _slots: deque[tuple[int, Counts]] = field(default_factory=deque)
    _sum: Counts = field(default_factory=Counts)
    _new: int = 0

    def add(self, counts: Counts, now: float) -> None:
        """Count in what came at `now`."""
        slot = int(now // STEP)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, self._slots[-1][1] + counts)
        else:
            self._slots.append((slot, counts))
        self._sum += counts
        self._new += counts.messages

    def due(self, now: float) -> bool:
        """Tell whether enough is new for a look; the next one is then due after as much again."""
        if self._new == 0 or self._new * FRESH < self.counts(now).messages:
            return False
        self._new = 0
        return True

    def counts(self, now: float) -> Counts:
        """Return what the window holds at `now`."""
        while self._slots and self._slots[0][0] * STEP <= now - self.seconds - STEP:
            gone = self._slots.popleft()[1]
            self._sum += Counts(-gone.messages, -gone.held, -gone.quarantined)
        return self._sum
