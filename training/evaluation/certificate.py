"""What a count of errors proves: exact binomial bounds (Clopper and Pearson 1934), n counted by sender.

Messages of one sender stand or fall together, so a hundred newsletters of one shop are one trial. No error in n
trials still allows a rate of 1 − .05^(1/n): 2,995 senders for .1 %, 29,956 for .01 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Of a one-sided bound: the true rate is above it in one of twenty samples."""
_HALVINGS = 60


def upper_bound(errors: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Return the highest rate that `errors` in `n` trials leave possible; 1 without trials."""
    if not 0 <= errors <= n:
        raise ValueError(f"{errors} errors in {n} trials")
    if errors == n:
        return 1.0
    if errors == 0:
        return float(1 - (1 - confidence) ** (1 / n))
    low, high = errors / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(errors, n, middle) > 1 - confidence else (low, middle)
    return high


def lower_bound(errors: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Return the lowest rate that `errors` in `n` trials leave possible; 0 without trials."""
    return 1 - upper_bound(n - errors, n, confidence) if n else 0.0


def _at_most(errors: int, n: int, rate: float) -> float:
    """Chance of at most `errors` in `n` trials, each failing with `rate` strictly between 0 and 1."""
    term = n * math.log1p(-rate)
    step = math.log(rate) - math.log1p(-rate)
    total = math.exp(term)
    for k in range(1, errors + 1):
        term += math.log((n - k + 1) / k) + step
        total += math.exp(term)
    return total


def trials_for(rate: float, confidence: float = CONFIDENCE) -> int:
    """Return how many trials without an error certify `rate`."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-rate))


def senders_for(errors: int, rate: float, confidence: float = CONFIDENCE) -> int:
    """Return how many trials certify `rate` if no more than `errors` of them fail."""
    low = high = max(trials_for(rate, confidence), errors + 1)
    while upper_bound(errors, high, confidence) > rate:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if upper_bound(errors, middle, confidence) <= rate else (middle + 1, high)
    return high


@dataclass(frozen=True, slots=True)
class Certificate:
    """What legitimate mail proves about false positives: `errors` of `senders` had any message kept back.

    `bound` is the rate, per sender, that this leaves possible with `confidence`.
    """

    senders: int
    errors: int
    messages: int
    bound: float
    confidence: float = CONFIDENCE

    def to_json(self) -> dict[str, float | int]:
        """Return plain JSON data."""
        return {
            "senders": self.senders,
            "senders_kept": self.errors,
            "messages": self.messages,
            "upper_bound": round(self.bound, 6),
            "confidence": self.confidence,
        }

    def __str__(self) -> str:
        return f"≤ {self.bound:.2%} ({self.errors} of {self.senders} senders, {self.confidence:.0%})"


def certificate(n_senders: int, errors: int, messages: int = 0) -> Certificate:
    """Certify a count of senders of whom `errors` had mail kept back."""
    return Certificate(n_senders, errors, messages or n_senders, upper_bound(errors, n_senders) if n_senders else 1.0)


def certify(kept: NDArray[np.bool_], senders: Sequence[str]) -> Certificate:
    """Certify legitimate messages: `kept` tells for each whether it was kept back, `senders` whose it is."""
    hit = {sender for sender, was in zip(senders, kept, strict=True) if was}
    return certificate(len(set(senders)), len(hit), len(senders))
