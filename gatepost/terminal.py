"""Tables and wrapped text for a terminal: measured in columns, cut with an ellipsis, never wrapped by it.

Everything here takes text that `model.safe_text.safe` has made safe.
"""

import shutil
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

GAP = "  "


def columns(default: int = 80) -> int:
    """Return the width of the terminal ($COLUMNS counts), at least 40."""
    return max(40, shutil.get_terminal_size((default, 24)).columns)


def rows(default: int = 24) -> int:
    """Return the height of the terminal ($LINES counts), at least 12."""
    return max(12, shutil.get_terminal_size((80, default)).lines)


def width(text: str) -> int:
    """Return how many columns a text takes: 2 for wide characters, 0 for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_char_width(c) for c in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, room: int) -> str:
    """Return the text in at most `room` columns, with an ellipsis where it was cut."""
    if width(text) <= room:
        return text
    kept, used = [], 0
    for char in text:
        used += _char_width(char)
        if used > room - 1:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def pad(text: str, room: int, *, right: bool = False) -> str:
    """Return the text in exactly `room` columns."""
    text = fit(text, room)
    space = " " * (room - width(text))
    return space + text if right else text + space


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, the width it needs, and how much of what is left over it takes (a share)."""

    title: str
    least: int
    share: int = 0
    right: bool = False


def table(heads: Sequence[Column], cells: Sequence[Sequence[str]], room: int) -> list[str]:
    """Return heading and rows as lines of at most `room` columns.

    Columns without a share are as wide as their content; the others divide what is left.
    """
    widths = [
        max([head.least, *(width(row[n]) for row in cells)]) if not head.share else head.least
        for n, head in enumerate(heads)
    ]
    left = room - sum(widths) - len(GAP) * (len(heads) - 1)
    shares = sum(head.share for head in heads)
    for n, head in enumerate(heads):
        if head.share and left > 0:
            widest = max([head.least, *(width(row[n]) for row in cells)])
            more = min(left * head.share // shares, widest - widths[n])
            widths[n] += more
            left -= more
        shares -= head.share
    lines = [[head.title for head in heads], *cells]
    return [
        GAP.join(
            pad(cell, widths[n], right=heads[n].right) for n, cell in enumerate(line)
        ).rstrip()
        for line in lines
    ]  # fmt: skip


def wrapped(text: str, room: int, *, most: int | None = None) -> list[str]:
    """Return paragraphs as lines of at most `room` columns; runs of empty lines are one; `most` lines at most."""
    found: list[str] = []
    for paragraph in text.replace("\t", "    ").split("\n"):
        line = paragraph.rstrip()
        if not line:
            if found and found[-1]:
                found.append("")
        else:
            # textwrap counts characters: lines with wide ones get half as many.
            most_chars = room if width(line) <= len(line) else room // 2
            found += textwrap.wrap(line, most_chars, break_on_hyphens=False)
        if most is not None and len(found) > most:
            return found[:most]
    return found


def octets(size: int) -> str:
    """Return a size for people."""
    amount = float(size)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
