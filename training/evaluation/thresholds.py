"""What a threshold does: caught and kept at each, the rates that the data can vouch for, and the review band."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation.certificate import trials_for
from training.evaluation.figures import Figure, Floats, Ints, Ranking, bootstrap, share

LADDER = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Thresholds of the table, beside those of the bundle."""
RATES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0001)
"""False-positive rates at which recall is told, as far as n supports them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One threshold: share of bad mail at or above it, and of legitimate mail."""

    threshold: float
    caught: Figure
    kept_ham: Figure

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {
            "threshold": round(self.threshold, 5),
            "caught": self.caught.to_json(),
            "kept_ham": self.kept_ham.to_json(),
        }


def table(p: Floats, bad: Ints, senders: Sequence[str], weight: Floats, own: Sequence[float]) -> tuple[Step, ...]:
    """Return a step for each threshold of the ladder and for each of `own`, lowest first."""
    who = np.asarray(senders, dtype=np.str_)
    good, evil = bad == 0, bad == 1
    return tuple(
        Step(
            t,
            share(p[evil] >= t, who[evil].tolist(), weight[evil]),
            share(p[good] >= t, who[good].tolist(), weight[good]),
        )
        for t in sorted({*LADDER, *own})
    )


def supported(senders: int) -> tuple[float, ...]:
    """Return the false-positive rates that so many legitimate senders could certify if none of them were hit."""
    return tuple(rate for rate in RATES if trials_for(rate) <= senders)


def recall_at(ranking: Ranking, rates: Sequence[float], groups: Sequence[str], weight: Floats) -> dict[float, Figure]:
    """Share of bad mail caught at each false-positive rate of the set's own legitimate mail."""

    def caught(rate: float) -> Figure:
        return bootstrap(lambda w: ranking.caught_at(w, rate), groups, weight)

    return {rate: caught(rate) for rate in rates}


@dataclass(frozen=True, slots=True)
class Band:
    """Deciding with a review band: below `hold` mail is delivered, from `quarantine` it is kept as bad.

    Between them a person decides. `automatic` is the share of all mail without a person, `wrong` the share of errors
    in that part; `missed` and `kept_ham` are the two kinds of error, as shares of bad and of legitimate mail;
    `to_person` is the share of all mail in the band and `ham_in_band` the legitimate share of the band.
    """

    hold: float
    quarantine: float
    automatic: Figure
    wrong: Figure
    missed: Figure
    kept_ham: Figure
    to_person: Figure
    ham_in_band: Figure

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        data: dict[str, object] = {"hold": self.hold, "quarantine": self.quarantine}
        for name in ("automatic", "wrong", "missed", "kept_ham", "to_person", "ham_in_band"):
            data[name] = getattr(self, name).to_json()
        return data


def band(p: Floats, bad: Ints, senders: Sequence[str], weight: Floats, hold: float, quarantine: float) -> Band:
    """Measure the review band between two thresholds (equal ones: there is none)."""
    who = np.asarray(senders, dtype=np.str_)
    person = (p >= hold) & (p < quarantine)
    kept = p >= quarantine
    wrong = np.where(bad == 1, ~kept, kept)
    everything = np.ones(len(p), dtype=np.bool_)

    def part(hit: np.ndarray, of: np.ndarray) -> Figure:
        return share(hit[of], who[of].tolist(), weight[of])

    return Band(
        hold,
        quarantine,
        automatic=part(~person, everything),
        wrong=part(wrong, ~person),
        missed=part(p < hold, bad == 1),
        kept_ham=part(kept, bad == 0),
        to_person=part(person, everything),
        ham_in_band=part(bad == 0, person),
    )
