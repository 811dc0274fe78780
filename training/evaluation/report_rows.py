"""Cells and rows that every rendering of a report shares: figures as text, and tables that differ in frame only."""

from collections.abc import Sequence

from training.evaluation.figures import Figure
from training.evaluation.report import AttackFigures, Legitimate

LEAST = 10
"""Parts of a set with fewer messages of either class are left to the JSON report."""
LEGITIMATE = ("legitimate mail", "n", "senders", "held", "quarantined", "kept", "rate per sender that this proves")
ATTACKS = ("attack", "caught before", "caught after", "change", "legitimate kept, change", "not applicable")


def percent(figure: Figure) -> str:
    """Return a share as percent with its interval."""
    if not figure.known:
        return "–"
    return f"{figure.value:.1%} [{figure.low:.1%}, {figure.high:.1%}]"


def number(figure: Figure) -> str:
    """Return a figure with its interval."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" if figure.known else "–"


def points(figure: Figure) -> str:
    """Return a difference of shares in points, with its interval."""
    if not figure.known:
        return "–"
    return f"{100 * figure.value:+.1f} [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}] points"


def counted(figure: Figure, *, share: bool = True) -> str:
    """Return a share, or a plain figure, with its interval and n."""
    return f"{percent(figure) if share else number(figure)} n={figure.n}" if figure.known else "–"


def legitimate_rows(found: Sequence[Legitimate]) -> list[list[str]]:
    """Return a row for each kind of legitimate mail, under `LEGITIMATE`."""
    return [
        [
            one.name,
            str(one.kept.n),
            str(one.certificate.senders),
            percent(one.held),
            percent(one.quarantined),
            percent(one.kept),
            f"≤ {one.certificate.bound:.1%}",
        ]
        for one in found
    ]


def attack_rows(found: Sequence[AttackFigures]) -> list[list[str]]:
    """Return a row for each attack, under `ATTACKS`."""
    return [
        [
            one.name,
            percent(one.caught_before),
            counted(one.caught_after),
            points(one.bad.difference),
            f"{points(one.good.difference)} n={one.good.difference.n}",
            str(one.not_applicable) + (f", {one.failed} unreadable" if one.failed else ""),
        ]
        for one in found
    ]
