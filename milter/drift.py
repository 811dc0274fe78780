"""What is counted of every scored message, and whether its distribution has drifted from what it was. Pure.

The measure is the population stability index, PSI = sum over bands of (p - q) ln(p / q), the symmetric
Kullback-Leibler divergence (Kullback and Leibler 1951), with half a message added to every band (Jeffreys' prior), so
that an empty one is not infinite. A common reading is that from .25 on a population has shifted (Siddiqi 2006, Credit
Risk Scorecards); but with few messages chance alone reaches that. Where nothing has changed, PSI is distributed like
(1/N + 1/M) times chi-squared with B - 1 degrees of freedom (Yurdakul and Naranjo 2020, "Statistical properties of the
population stability index", Journal of Risk Model Validation 14(4)), for N and M messages in B bands. So an alarm
needs both: PSI less its mean under chance, (B - 1)(1/N + 1/M), above the operator's limit, and PSI above chance's
quantile.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist

from model.facts import Facts
from model.reasons import BY_SCORE
from model.screen import Screening
from model.verdict import Route, Verdict

VERDICT, PROVEN, SCORE = "verdict", "proven", "score"
VERDICTS = (VERDICT, PROVEN)
"""Under what verdicts are counted: of all mail, and of mail whose sender is proven and known."""
DELIVERED, HELD, QUARANTINED = 0, 1, 2
UNKNOWN, FALSE, TRUE = 0, 1, 2
EDGES = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.997, 0.999)
"""Bands of the score, about even in its logit: most mail is near 0 or 1, where even bands of it would see nothing."""
WATCHED = (SCORE, *(field.name for field in fields(Facts)))
"""What may drift: the score, and each fact as unknown, false or true."""
HALF = 0.5
OVER = 0.5
"""An alarm is over when its drift has fallen to this share of the limit: one that hovers is told once."""


def observed(screening: Screening, wanted: Sequence[Verdict]) -> Iterator[tuple[str, int]]:
    """Yield the names and values that one message is counted under; nothing for one without a score."""
    if screening.score is None:
        return
    verdict = max((_kept(one) for one in wanted), default=DELIVERED)
    yield VERDICT, verdict
    if screening.facts and proven(screening.facts):
        yield PROVEN, verdict
    yield SCORE, bisect_right(EDGES, screening.score.p_bad)
    for name, value in asdict(screening.facts).items() if screening.facts else ():
        yield name, UNKNOWN if value is None else TRUE if value else FALSE


def proven(facts: Facts) -> bool:
    """Tell whether the sender is proven, and known to the site or to the lists: no model has a say in that."""
    return facts.known_correspondent is True or (facts.authenticated is True and facts.sender_known is True)


def _kept(verdict: Verdict) -> int:
    """Return how the model would keep a copy, whatever the stage lets it; a rule's doing is not the model's."""
    if not verdict.reasons or verdict.reasons[0].code not in BY_SCORE or verdict.route is Route.DELIVER:
        return DELIVERED
    return HELD if verdict.route is Route.HOLD else QUARANTINED


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one distribution is from its reference.

    `beyond` is the PSI less what chance gives on average; `chance` is what chance alone stays under. `value` is the
    one whose share grew most; the shares are its own.
    """

    name: str
    psi: float
    beyond: float
    chance: float
    reference: int
    recent: int
    value: int
    share_before: float
    share_now: float

    def alarming(self, limit: float) -> bool:
        """Tell whether it has drifted: by more than `limit`, and by more than chance would."""
        return self.beyond >= limit and self.psi >= self.chance

    def over(self, limit: float) -> bool:
        """Tell whether an alarm about it is over."""
        return self.beyond < OVER * limit or self.psi < self.chance


def drift(name: str, reference: Mapping[int, int], recent: Mapping[int, int], false_alarm: float) -> Drift:
    """Compare two counts of messages by value; both hold some. `false_alarm`: of this one comparison."""
    values = sorted({value for counts in (reference, recent) for value, n in counts.items() if n})
    before, now = _shares(reference, values), _shares(recent, values)
    n, m = sum(reference.values()), sum(recent.values())
    scale, degrees = 1 / n + 1 / m, len(values) - 1
    index = sum((now[v] - before[v]) * math.log(now[v] / before[v]) for v in values)
    grown = max(values, key=lambda v: now[v] - before[v])
    return Drift(name, index, index - scale * degrees, scale * chi_squared(1 - false_alarm, degrees), n, m, grown,
                 reference.get(grown, 0) / n, recent.get(grown, 0) / m)  # fmt: skip


def _shares(counts: Mapping[int, int], values: Sequence[int]) -> dict[int, float]:
    total = sum(counts.get(v, 0) for v in values) + HALF * len(values)
    return {v: (counts.get(v, 0) + HALF) / total for v in values}


def chi_squared(p: float, degrees: int) -> float:
    """Return the quantile of the chi-squared distribution: exact for 2 degrees, else by Wilson and Hilferty (1931).

    The approximation is within 1 % for the tails and degrees that are used here; 0 degrees give 0.
    """
    if degrees == 0:
        return 0.0
    if degrees == 1:
        return NormalDist().inv_cdf((1 + p) / 2) ** 2
    if degrees == 2:
        return -2 * math.log(1 - p)
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(p) * math.sqrt(spread)) ** 3)


def band(name: str, value: int) -> str:
    """Return a value as people read it."""
    if name != SCORE:
        return ("unknown", "false", "true")[value]
    low = 0.0 if value == 0 else EDGES[value - 1]
    high = 1.0 if value == len(EDGES) else EDGES[value]
    return f"{low:g} to {high:g}"
