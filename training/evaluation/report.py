"""An evaluation as values: what every rendering of the report is made from. All figures carry n and an interval."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.labels import LABELS
from training.evaluation.calibration_error import Reliability
from training.evaluation.certificate import Certificate
from training.evaluation.figures import ClassFigures, Figure
from training.evaluation.paired import Change, Paired
from training.evaluation.thresholds import Band, Step

Curve = tuple[tuple[float, float], ...]
"""Points (false-positive rate, share caught), from the strictest threshold on."""


@dataclass(frozen=True, slots=True)
class MethodFigures:
    """One method on one set: ranking, and what happens at its own threshold."""

    auc: Figure
    caught_at_budget: Figure
    caught: Figure
    false_positives: Figure
    roc: Curve

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        names = ("auc", "caught_at_budget", "caught", "false_positives")
        return {
            **{n: getattr(self, n).to_json() for n in names},
            "roc": [[round(x, 5), round(y, 5)] for x, y in self.roc],
        }


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a set (a language, a year, a length…): bad mail caught, legitimate mail kept back."""

    caught: Figure
    false_positives: Figure

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {"caught": self.caught.to_json(), "false_positives": self.false_positives.to_json()}


@dataclass(frozen=True, slots=True)
class Legitimate:
    """A kind of legitimate mail at the thresholds: held for a person, quarantined, both, and what that proves."""

    name: str
    held: Figure
    quarantined: Figure
    kept: Figure
    certificate: Certificate

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        names = ("held", "quarantined", "kept", "certificate")
        return {"name": self.name, **{n: getattr(self, n).to_json() for n in names}}


@dataclass(frozen=True, slots=True)
class SetReport:
    """All figures of one set. `classes`, `macro_f1` and `confusion` are over messages whose kind is told."""

    name: str
    taken: str
    good: int
    bad: int
    good_senders: int
    bad_senders: int
    methods: Mapping[str, MethodFigures]
    classes: Mapping[str, ClassFigures]
    macro_f1: Figure
    confusion: list[list[int]]
    parts: Mapping[str, Mapping[str, Part]]
    legitimate: Legitimate
    recall_at: Mapping[float, Figure]
    steps: tuple[Step, ...]
    band: Band
    reliability: Reliability
    against: Paired | None = None
    auc_against: Figure | None = None

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        data: dict[str, object] = {
            "set": self.name,
            "sample": self.taken,
            "good": self.good,
            "bad": self.bad,
            "good_senders": self.good_senders,
            "bad_senders": self.bad_senders,
            "methods": {k: v.to_json() for k, v in self.methods.items()},
            "classes": {k: v.to_json() for k, v in self.classes.items()},
            "macro_f1": self.macro_f1.to_json(),
            "confusion": {"labels": [str(label) for label in LABELS], "rows_true_columns_told": self.confusion},
            "parts": {by: {k: v.to_json() for k, v in parts.items()} for by, parts in self.parts.items()},
            "legitimate": self.legitimate.to_json(),
            "recall_at_false_positive_rate": {str(k): v.to_json() for k, v in self.recall_at.items()},
            "thresholds": [s.to_json() for s in self.steps],
            "review_band": self.band.to_json(),
            "calibration": self.reliability.to_json(),
        }
        if self.against is not None:
            data["against"] = self.against.to_json()
        if self.auc_against is not None:
            data["auc_against"] = self.auc_against.to_json()
        return data


@dataclass(frozen=True, slots=True)
class AttackFigures:
    """What an attack does: bad mail caught before and after, and what it does to legitimate mail that is so dressed.

    `bad` and `good` are changes of the share kept, after − before; `not_applicable` messages have nothing to
    attack (no link to shorten), `failed` ones could not be read afterwards and count as not caught.
    """

    name: str
    caught_before: Figure
    caught_after: Figure
    bad: Change
    good: Change
    not_applicable: int
    failed: int

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        figures = {n: getattr(self, n).to_json() for n in ("caught_before", "caught_after", "bad", "good")}
        return {"attack": self.name, **figures, "not_applicable": self.not_applicable, "failed": self.failed}


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds a message in the scorer (encoding and fusion; extraction is not in it), on this machine."""

    p50: float
    p99: float
    n: int
    failed: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return plain JSON data."""
        p50, p99 = (round(self.p50, 2), round(self.p99, 2)) if self.n else (None, None)
        return {"ms_p50": p50, "ms_p99": p99, "n": self.n, "not_scored": self.failed}

    def __str__(self) -> str:
        if not self.n:
            return "no message was scored"
        return f"a message takes {self.p50:.1f} ms in the scorer (p99 {self.p99:.1f}, n={self.n})"


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation: which model, which sets, and what the data themselves give away.

    `identity`: balanced accuracy of telling a message's collection by its text, what guessing gives, n; by class.
    `pieces`: share of unknown word pieces, pieces a word, n; by language.
    """

    model: str
    hold: float
    quarantine: float
    sets: tuple[SetReport, ...]
    legitimate: tuple[Legitimate, ...]
    speed: Speed
    identity: Mapping[str, tuple[float, float, int]]
    pieces: Mapping[str, tuple[float, float, int]]
    notes: tuple[str, ...]
    against: str = ""
    robustness: tuple[AttackFigures, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON data."""
        return {
            "model": self.model,
            "against": self.against or None,
            "thresholds": {"hold": self.hold, "quarantine": self.quarantine},
            "sets": [s.to_json() for s in self.sets],
            "legitimate": [one.to_json() for one in self.legitimate],
            "robustness": [a.to_json() for a in self.robustness],
            "speed": self.speed.to_json(),
            "identity": {
                k: {"balanced_accuracy": round(a, 4), "guessing": round(g, 4), "n": n}
                for k, (a, g, n) in self.identity.items()
            },
            "word_pieces": {
                k: {"unknown_share": round(u, 5), "pieces_per_word": round(p, 3), "n": n}
                for k, (u, p, n) in self.pieces.items()
            },
            "notes": list(self.notes),
        }
