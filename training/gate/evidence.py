"""What is known of a candidate before anybody decides: values only, no model and no mail."""

from collections.abc import Mapping
from dataclasses import dataclass

from training.evaluation.certificate import Certificate
from training.evaluation.paired import Change, Paired

NOTHING = "nothing"
"""The source of a certificate, where no mail certifies."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds that the model took for a message: median and 99th percentile, over n messages."""

    median: float
    slowest: float
    n: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What the candidate's folder and this machine say, without any mail.

    `parity` is the share of equal labels of int8 and fp32 over `parity_n` messages as its training recorded it;
    `parity_of` names the model of which that was recorded, where it is another one whose encoder this one has taken
    over, and `same_encoder` tells whether it is that encoder still. `golden` is the greatest difference of a golden
    score on this machine, in logits. `recorded` tells whether its manifest says how it was trained, `disjoint`
    whether it says of which mail, `learnt_from` the snapshot of verdicts that it learnt from (empty: none).
    """

    version: str
    normaliser: int
    recorded: bool
    disjoint: bool
    parity: float | None
    parity_n: int
    golden: float
    golden_tolerance: float
    parity_of: str = ""
    same_encoder: bool = True
    learnt_from: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The candidate against one other model on the same messages, over all mail and by where it comes from."""

    against: str
    version: str
    pooled: Paired
    by_source: Mapping[str, Paired]


@dataclass(frozen=True, slots=True)
class Attack:
    """Bad mail under one attack: how much of it the candidate still catches, of n, and other models by their names.

    `paired` has what changed on the very same messages against each of those, candidate − other.
    """

    name: str
    candidate: float
    others: Mapping[str, float]
    paired: Mapping[str, Change]
    n: int


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate and what it rests on. `part` of `parts` served; `looks` candidates were held against it.

    `source` is `site` (reviewed mail of this site), `outside` (labelled collections) or NOTHING.
    """

    certificate: Certificate
    source: str
    part: int
    parts: int
    looks: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that `decide_promotion` looks at. `trained_on` counts gate messages that trained the candidate.

    `attacked` is what changed over all attacks together, against each other model. `speeds` are those of the others.
    `data` has the fingerprint of the mail of each source, `counts` the legitimate and bad messages of it.
    """

    proof: Proof
    normaliser: int
    comparisons: tuple[Comparison, ...]
    certified: Certified
    attacks: tuple[Attack, ...]
    attacked: Mapping[str, Change]
    speed: Speed
    speeds: Mapping[str, Speed]
    trained_on: int
    data: Mapping[str, str]
    counts: Mapping[str, tuple[int, int]]
