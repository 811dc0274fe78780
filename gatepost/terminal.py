"""Tables and wrapped text for a terminal: measured in columns, cut with an ellipsis, never wrapped by it.

Everything here takes text that `model.safe_text.safe` has made safe.
"""

import os
import shutil
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

GAP = "  "
SLIMMEST = 4
"""Columns below which a column of a table says nothing."""


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


def fit_end(text: str, room: int) -> str:
    """Return the end of the text in at most `room` columns: of a path, the file's name says most."""
    return text if width(text) <= room else fit(text[::-1], room)[::-1]


def pad(text: str, room: int, *, right: bool = False) -> str:
    """Return the text in exactly `room` columns."""
    text = fit(text, room)
    space = " " * (room - width(text))
    return space + text if right else text + space


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, the width it needs, and how much of what is left over it takes (a share).

    `path`: where it is too long, its end stays.
    """

    title: str
    least: int
    share: int = 0
    right: bool = False
    path: bool = False


def table(heads: Sequence[Column], cells: Sequence[Sequence[str]], room: int) -> list[str]:
    """Return heading and rows as lines of at most `room` columns.

    Columns without a share are as wide as their content; the others divide what is left. In too little room
    these give way, the widest first.
    """
    widths = [
        max([head.least, *(width(row[n]) for row in cells)]) if not head.share else head.least
        for n, head in enumerate(heads)
    ]
    left = room - sum(widths) - len(GAP) * (len(heads) - 1)
    while left < 0:
        widest_at = max((n for n, head in enumerate(heads) if head.share), key=widths.__getitem__, default=-1)
        if widest_at < 0 or widths[widest_at] <= SLIMMEST:
            break
        widths[widest_at] -= 1
        left += 1
    shares = sum(head.share for head in heads)
    for n, head in enumerate(heads):
        if head.share and left > 0:
            widest = max([head.least, *(width(row[n]) for row in cells)])
            more = min(left * head.share // shares, widest - widths[n])
            widths[n] += more
            left -= more
        shares -= head.share
    lines = [[head.title for head in heads], *cells]
    return [fit(GAP.join(_cell(cell, heads[n], widths[n]) for n, cell in enumerate(line)).rstrip(), room)
            for line in lines]  # fmt: skip


def _cell(text: str, head: Column, room: int) -> str:
    return pad(fit_end(text, room) if head.path else text, room, right=head.right)


def headed(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table for a terminal: the heading in bold, unless $NO_COLOR or a dumb terminal forbids."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    for number, line in enumerate(lines):
        yield line if number or plain else click.style(line, bold=True)


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
