"""The breaker's decision: has the share of mail that the model keeps jumped since the model was changed? Pure.

Held and quarantined mail are judged apart, and so is mail from proven and known senders (`milter.drift.proven`): of
that hardly any is ever kept, campaigns do not move it, and a model that turns on honest mail shows there first. All
mail is judged as well, for sites where nothing proves a sender, and for models that fail on strangers. Each is
compared with the site's own worst hour of the week before the change, at about the same time of day: by night most
mail is bad, and a share that is usual then would be a jump by day. It trips where two exact tests agree, so that each
bounds the chance of a false alarm (an intersection-union test: Berger 1982, "Multiparameter hypothesis testing and
acceptance sampling", Technometrics 24:295):

- the odds of being kept rose by more than `factor`: Fisher's exact test for an odds ratio other than one, which
  counts the noise of the old share as well (Cornfield 1956; Agresti, Categorical Data Analysis, 3rd ed., section
  16.6.4). Odds and not shares, so that who keeps 60 % of the mail by night can still see that all of it is kept;
- the share is above `floor`: the exact binomial test (Clopper and Pearson 1934).

A look is taken whenever a tenth of the window is new. Every look is a test, so `false_alarm` is divided among all
that a watch has (Bonferroni). The tests take messages as independent: campaigns are not, which is what `factor` and
the worst hour leave room for. tests/bench/breaker.py simulates what that comes to.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from milter.watch_settings import BreakerSettings

FRESH = 10
"""A look is taken when one in so many messages of the window is new."""
GROWTH = 100
"""Looks while the first window fills: from 50 messages to a million, each time a tenth more."""
BASIS = 3
"""Hours of the history are joined up to so many times `least` messages: of small hours the worst is chance."""
ENOUGH = 2
"""The window reaches back, where it must, until it has so many times `least` messages."""
HOUR = timedelta(hours=1)
STEP = 60.0
"""Seconds of a slot of the sliding window."""


class Kind(StrEnum):
    """In which of two ways mail is kept."""

    HELD = "held"
    QUARANTINED = "quarantined"


KINDS = tuple(Kind)
GROUPS = 2
"""All mail, and that of proven senders."""


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
    """What tripped the breaker: kept of all messages, now and in the worst hour before (0 of 0: too few to know).

    `chance` is the larger of the two p-values.
    """

    kind: Kind
    kept: int
    messages: int
    kept_before: int
    messages_before: int
    chance: float


def looks(settings: BreakerSettings) -> int:
    """Return how many tests one watch has: of two kinds and groups, `FRESH` a window and `GROWTH` at first."""
    return (math.ceil(settings.watch / settings.window) * FRESH + GROWTH) * len(KINDS) * GROUPS


def judge(now: Counts, before: Sequence[Counts], settings: BreakerSettings) -> Jump | None:
    """Return the jump that trips the breaker, or None. `before`: what to compare with, see `comparable`."""
    if now.messages < settings.least:
        return None
    allowed = settings.false_alarm / looks(settings)
    for kind in KINDS:
        kept, worst = now.of(kind), worst_of(before, kind, BASIS * settings.least)
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


def comparable(hours: Mapping[datetime, Counts], start: datetime, end: datetime, least: int) -> list[Counts]:
    """Return the hours of the same time of day as from `start` to `end`, with an hour on either side, of every day.

    `hours` has counts by the start of their hour, in the order of time. Where those hours hold too little in all,
    every hour is taken.
    """
    first = start.replace(minute=0, second=0, microsecond=0) - HOUR
    span = min(24, int((end + HOUR - first) / HOUR) + 1)
    wanted = {(first + number * HOUR).hour for number in range(span)}
    found = [counts for at, counts in hours.items() if at.hour in wanted]
    return found if sum(counts.messages for counts in found) >= BASIS * least else list(hours.values())


def worst_of(groups: Iterable[Counts], kind: Kind, least: int) -> Counts | None:
    """Join neighbours until they hold `least` messages; return the group with the largest share.

    None where all of them together hold less. What is left at the end joins the last group.
    """
    joined: list[Counts] = []
    open_ = Counts()
    for group in groups:
        open_ += group
        if open_.messages >= least:
            joined.append(open_)
            open_ = Counts()
    if not joined:
        return None
    joined[-1] += open_
    return max(joined, key=lambda group: group.of(kind) / group.messages)


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
    """Counts of the last `seconds`, and of as much before as it takes to have `enough` messages, in slots of `STEP`.

    Times are of a clock that never goes back.
    """

    seconds: float
    enough: int
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
        self.counts(now)  # nobody asks while nothing is watched, which may be for months

    def due(self, now: float) -> bool:
        """Tell whether enough is new for a look; the next one is then due after as much again."""
        if self._new == 0 or self._new * FRESH < self.counts(now).messages:
            return False
        self._new = 0
        return True

    def counts(self, now: float) -> Counts:
        """Return what the window holds at `now`."""
        while self._slots and self._slots[0][0] * STEP <= now - self.seconds - STEP:
            oldest = self._slots[0][1]
            if self._sum.messages - oldest.messages < self.enough:
                break
            self._slots.popleft()
            self._sum += Counts(-oldest.messages, -oldest.held, -oldest.quarantined)
        return self._sum

    def reach(self, now: float) -> timedelta:
        """Return how far back it reaches at `now`."""
        return timedelta(seconds=max(0.0, now - self._slots[0][0] * STEP)) if self._slots else timedelta(0)
