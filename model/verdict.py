"""The outcome of screening as values: score, findings, reasons, verdict."""

from dataclasses import dataclass, field
from enum import StrEnum

from model.labels import BAD, Label


class Route(StrEnum):
    """What happens to a recipient's copy."""

    DELIVER = "deliver"
    QUARANTINE = "quarantine"
    HOLD = "hold"
    REJECT = "reject"
    UNSCORED = "unscored"


class Stage(StrEnum):
    """How far a listener may act on a verdict: only tell, keep, or refuse (before-queue only)."""

    OBSERVE = "observe"
    KEEP = "keep"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Score:
    """Calibrated probability per class (they add up to 1) and the version of the model that gave them.

    `text_logit` is the encoder's capped contribution, `site_logit` what the site's own verdicts add to it, and
    `fact_logits` each known fact's, in calibrated logits of bad against ham: with `bias` they add up to the logit of
    `p_bad`.
    """

    probabilities: dict[Label, float]
    model: str
    text_logit: float = 0.0
    bias: float = 0.0
    fact_logits: dict[str, float] = field(default_factory=dict)
    windows: int = 1
    site_logit: float = 0.0

    @property
    def p_bad(self) -> float:
        """Probability that the message is not ham."""
        return 1.0 - self.probabilities[Label.HAM]

    @property
    def label(self) -> Label:
        """Ham where that is at least as probable as all that is bad together, else the most probable kind."""
        if self.p_bad <= 0.5:
            return Label.HAM
        return max(BAD, key=lambda label: self.probabilities[label])


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a leak detector found. `masked` never shows the secret; `count` is the number of matches."""

    detector: str
    masked: str
    confidence: float
    location: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is. `code` is a fixed kebab-case name that reaches log, metric and header."""

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What policy decided for one recipient. The first reason is the deciding one.

    `route` is what policy wants; `Stage` says how far the listener may carry it out.
    """

    route: Route
    reasons: tuple[Reason, ...]
    label: Label | None = None
    p_bad: float | None = None
