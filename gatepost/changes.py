"""Verdicts that another model would change, as people read them: one table for replay and shadow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatepost.terminal import Column, columns, headed, table
from model.safe_text import safe
from model.verdict import Route


@dataclass(frozen=True, slots=True)
class Changed:
    """One line: an item's id (or a stand-in where none is kept), both routes and scores, what else is known."""

    id: str
    old: Route
    new: Route
    old_p_bad: float | None
    new_p_bad: float | None
    label: str = ""
    sender: str = ""
    subject: str = ""


def change_lines(found: Sequence[Changed]) -> Iterator[str]:
    """Yield the table, with its head; nothing for nothing. Texts from mail are made safe."""
    heads = [Column("ID", 12), Column("ROUTE", 24), Column("BAD", 12), Column("LABEL", 8), Column("FROM", 10, 2),
             Column("SUBJECT", 7, 3)]  # fmt: skip
    cells = [[one.id, f"{one.old} -> {one.new}", f"{_share(one.old_p_bad)} -> {_share(one.new_p_bad)}",
              one.label or "-", safe(one.sender or "<>"), safe(one.subject)] for one in found]  # fmt: skip
    if cells:
        yield from headed(table(heads, cells, columns()))


def move_lines(moves: Mapping[tuple[Route, Route], int]) -> Iterator[str]:
    """Yield how many go from where to where, those that stay left out."""
    for (old, new), n in sorted(moves.items()):
        if old is not new:
            yield f"  {old} -> {new}: {n}"


def move_data(moves: Mapping[tuple[Route, Route], int], what: str) -> list[dict[str, object]]:
    """Return the same as plain data, those that stay included; `what` is counted."""
    return [{"from": old, "to": new, what: n} for (old, new), n in sorted(moves.items())]


def _share(p_bad: float | None) -> str:
    return "-" if p_bad is None else f"{int(p_bad * 100)}%"  # never rounded up to a certainty
