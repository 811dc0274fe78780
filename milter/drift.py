"""What is counted of every scored message, and when its distribution has drifted from what it was. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from model.reasons import BY_SCORE
from model.screen import Screening
from model.verdict import Route, Verdict

VERDICT, SCORE = "verdict", "score"
DELIVERED, HELD, QUARANTINED = 0, 1, 2
UNKNOWN, FALSE, TRUE = 0, 1, 2
EDGES = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.997, 0.999)
"""Bands of the score, about even in its logit: most mail is near 0 or 1, where even bands of it would see nothing."""


def observed(screening: Screening, wanted: Sequence[Verdict]) -> Iterator[tuple[str, int]]:
    """Yield the names and values that one message is counted under; nothing for one without a score."""
    if screening.score is None:
        return
    yield VERDICT, max((_kept(verdict) for verdict in wanted), default=DELIVERED)
    yield SCORE, bisect_right(EDGES, screening.score.p_bad)
    for name, value in asdict(screening.facts).items() if screening.facts else ():
        yield name, UNKNOWN if value is None else TRUE if value else FALSE


def _kept(verdict: Verdict) -> int:
    """Return how the model would keep a copy, whatever the stage lets it; a rule's doing is not the model's."""
    if not verdict.reasons or verdict.reasons[0].code not in BY_SCORE or verdict.route is Route.DELIVER:
        return DELIVERED
    return HELD if verdict.route is Route.HOLD else QUARANTINED
