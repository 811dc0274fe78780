"""Small SVG drawings for the report: curves, a reliability diagram, a confusion matrix. No script in them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from training.evaluation.calibration_error import Reliability
from training.evaluation.report import Curve

WIDTH, HEIGHT = 460, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 16, 46
KEY = 15
"""Height of a line of a drawing's key."""
LOWEST_RATE = 0.001
"""Left end of the logarithmic axis of a ROC curve."""
DARK = 0.6
"""Shade from which a number in a cell is white."""
COLOURS = ("#0b6e4f", "#c1440e", "#3a5a98", "#8a6d1b", "#7b3f8c")


@dataclass(frozen=True, slots=True)
class _Axes:
    """Maps data to pixels; x may be logarithmic."""

    x_low: float
    x_high: float
    log: bool = False

    def x(self, value: float) -> float:
        low, high = self.x_low, self.x_high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, self.x_low))
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    @staticmethod
    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM)


def _svg(label: str, parts: Sequence[str], height: int = HEIGHT) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">'
        f"<title>{escape(label)}</title>" + "".join(parts) + "</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", colour: str = "#000") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _frame(axes: _Axes, ticks: Sequence[float], x_label: str, y_label: str) -> list[str]:
    bottom, top = axes.y(0), axes.y(1)
    parts = []
    for tick in ticks:
        x = axes.x(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 15, f"{tick:g}"))
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        y = axes.y(tick)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{tick:g}", "end"))
    middle = (top + bottom) / 2
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label))
    parts.append(
        f'<text transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return parts


def roc(title: str, curves: Mapping[str, Curve]) -> str:
    """Draw share caught over false-positive rate, logarithmic from .001: what happens at rates one can live with."""
    axes = _Axes(LOWEST_RATE, 1.0, log=True)
    parts = _frame(axes, (0.001, 0.01, 0.1, 1.0), "legitimate mail kept", "bad mail caught")
    for number, (name, curve) in enumerate(curves.items()):
        if not curve:
            continue
        colour = COLOURS[number % len(COLOURS)]
        thick = 2 if number == 0 else 1.2
        parts.append(f'<path d="{_steps(axes, curve)}" fill="none" stroke="{colour}" stroke-width="{thick}"/>')
        y = HEIGHT + 8 + KEY * number
        parts.append(f'<rect x="{LEFT}" y="{y - 5}" width="16" height="3" fill="{colour}"/>')
        parts.append(_text(LEFT + 24, y, name, "start"))
    return _svg(title, parts, HEIGHT + KEY * len(curves))


def _steps(axes: _Axes, curve: Curve) -> str:
    """Return the path of a step function: between two rates the lower one's catch is all that is sure."""
    at = max((y for x, y in curve if x <= LOWEST_RATE), default=0.0)
    path = [f"M{axes.x(LOWEST_RATE):.1f} {axes.y(at):.1f}"]
    for x, y in curve:
        if x > LOWEST_RATE:
            path.append(f"H{axes.x(x):.1f}V{axes.y(y):.1f}")
    return "".join(path)


def reliability(title: str, found: Reliability) -> str:
    """Draw the share of bad mail found over the probability told; a circle's area is the bin's share of the mail."""
    axes = _Axes(0.0, 1.0)
    parts = _frame(axes, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), "probability told", "bad mail found")
    parts.append(
        f'<line x1="{axes.x(0):.1f}" y1="{axes.y(0):.1f}" x2="{axes.x(1):.1f}" y2="{axes.y(1):.1f}" '
        'stroke="#888" stroke-dasharray="4 3"/>'
    )
    parts += [
        f'<circle cx="{axes.x(b.told):.1f}" cy="{axes.y(b.found):.1f}" r="{max(2.5, 18 * math.sqrt(b.share)):.1f}" '
        f'fill="{COLOURS[0]}" fill-opacity=".55"><title>told {b.told:.3f}, found {b.found:.3f}, n={b.n}</title>'
        "</circle>"
        for b in found.bins
    ]
    return _svg(title, parts)


def confusion(title: str, names: Sequence[str], table: Sequence[Sequence[int]]) -> str:
    """Draw counts, one row a true class and one column a told one; a cell's shade is its share of its row."""
    size = len(names)
    wide, high = (WIDTH - 90 - RIGHT) / size, (HEIGHT - TOP - BOTTOM - 20) / size
    parts = [_text((90 + WIDTH - RIGHT) / 2, HEIGHT - 10, "told")]
    for row, (name, counts) in enumerate(zip(names, table, strict=True)):
        y = TOP + 20 + row * high
        parts.append(_text(84, y + high / 2 + 4, name, "end"))
        total = max(1, sum(counts))
        for column, count in enumerate(counts):
            x = 90 + column * wide
            shade = count / total
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{COLOURS[0]}" '
                f'fill-opacity="{shade:.2f}" stroke="#ccc"/>'
            )
            colour = "#fff" if shade > DARK else "#000"
            parts.append(_text(x + wide / 2, y + high / 2 + 4, str(count), colour=colour))
    parts += [_text(90 + (n + 0.5) * wide, TOP + 12, name) for n, name in enumerate(names)]
    return _svg(title, parts)
