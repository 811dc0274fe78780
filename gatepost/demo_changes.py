"""What a new model changed on the same messages, as values and as lines for a terminal. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatepost.terminal import Column, table, wrapped
from model.safe_text import safe
from training.gate.settings import GateSettings

DELIVER = "deliver"
_TELLING = ("caught-", "false-positives-", "certificate")
"""Checks whose figures are told although they passed."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message: its route, and the probability of being bad (None: not scored) that led to it.

    `meant` is what its author says it is, `bad` whether that is something to keep back.
    """

    subject: str
    meant: str
    bad: bool
    route: str
    p_bad: float | None
    model: str

    @property
    def kept(self) -> bool:
        """Whether it was kept back in any way."""
        return self.route != DELIVER

    @property
    def right(self) -> bool:
        """Whether it went where it was meant to go."""
        return self.kept == self.bad


@dataclass(frozen=True, slots=True)
class Totals:
    """Messages of both sides, and on which the gateway erred."""

    bad: int
    delivered: int
    honest: int
    kept: int

    @classmethod
    def of(cls, fates: Sequence[Fate]) -> "Totals":
        """Count."""
        bad = [fate for fate in fates if fate.bad]
        honest = [fate for fate in fates if not fate.bad]
        return cls(len(bad), sum(not f.kept for f in bad), len(honest), sum(f.kept for f in honest))

    @property
    def wrong(self) -> int:
        """How many messages went the wrong way."""
        return self.delivered + self.kept


def change_table(before: Sequence[Fate], after: Sequence[Fate], room: int) -> tuple[list[str], int]:
    """Return a line for each message on which either model erred, bad ones first, and how many have none.

    `before` and `after` are the same messages in the same order.
    """
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if not (a.right and b.right)]
    pairs.sort(key=lambda pair: (not pair[1].bad, pair[1].right, pair[1].meant))
    heads = (Column("MEANT AS", 8), Column("SUBJECT", 12, 1), Column("BEFORE", 15), Column("AFTER", 15),
             Column("", 6))  # fmt: skip
    rows = [[a.meant, safe(a.subject), _told(b), _told(a), _step(b, a)] for b, a in pairs]
    return table(heads, rows, room), len(before) - len(pairs)


def _told(fate: Fate) -> str:
    return f"{'    ' if fate.p_bad is None else f'{fate.p_bad:.2f}'} {fate.route}"


def _step(before: Fate, after: Fate) -> str:
    if before.right == after.right:
        return "right" if after.right else "wrong"
    return "better" if after.right else "WORSE"


def totals_table(before: Totals, after: Totals, room: int) -> list[str]:
    """Return the lines that say how many messages went the wrong way, before and after."""
    heads = (Column("", 22), Column("OF", 4, right=True), Column("BEFORE", 6, right=True),
             Column("AFTER", 6, right=True))  # fmt: skip
    rows = [
        ["bad mail delivered", str(after.bad), str(before.delivered), str(after.delivered)],
        ["honest mail kept back", str(after.honest), str(before.kept), str(after.kept)],
    ]
    return table(heads, rows, room)


def summary(before: Totals, after: Totals) -> str:
    """Say in a sentence whether the new model is better on this mail: whatever the figures are."""
    bad, honest = before.delivered - after.delivered, before.kept - after.kept
    if bad >= 0 and honest >= 0 and bad + honest:
        return "Better: less of this mail went the wrong way, and no side paid for the other."
    if bad + honest > 0:
        return "Better on the whole, but one side paid for it: look at the table before you like it."
    if bad == honest == 0:
        return "No better and no worse on this mail: what was taught did not carry over to it."
    return ("Not better on this mail. The gate lets serve what is not shown to be worse; whether it is, new mail "
            "tells, and gatepost model rollback goes back.")  # fmt: skip


def check_lines(checks: Sequence[Mapping[str, Any]], room: int) -> list[str]:
    """Return the gate's checks as lines: those that failed or say most in full, the names of the others."""
    lines: list[str] = []
    quiet = []
    for one in checks:
        if one["passed"] and not str(one["name"]).startswith(_TELLING):
            quiet.append(str(one["name"]))
            continue
        first, *rest = wrapped(f"{one['name']}: {safe(str(one['detail']))}", room - 8)
        word = "FAILED" if not one["passed"] else "waived" if one["waived"] else "ok"
        lines += [f"{word:<8}{first}", *(" " * 8 + line for line in rest)]
    first, *rest = wrapped(f"and {len(quiet)} more: {', '.join(quiet)}", room - 8) if quiet else [""]
    return [*lines, f"ok      {first}", *(" " * 8 + line for line in rest)] if quiet else lines


def relaxed_table(relaxed: Sequence[tuple[str, float, str]], shipped: GateSettings, room: int) -> list[str]:
    """Return the lines that say which keys of [gate] the demo weakens, from what default, and why."""
    heads = (Column("GATE", 22), Column("HERE", 6, right=True), Column("DEFAULT", 7, right=True),
             Column("WHY", 12, 1))  # fmt: skip
    return table(heads, [[key, f"{value:g}", f"{getattr(shipped, key):g}", why] for key, value, why in relaxed], room)


def weeks_table(rows: Sequence[tuple[str, Totals]], room: int) -> list[str]:
    """Return the lines that say, for each part of the mail, how much went the wrong way."""
    heads = (Column("MAIL", 10), Column("HONEST", 6, right=True), Column("KEPT BACK", 9, right=True),
             Column("BAD", 6, right=True), Column("DELIVERED", 9, right=True))  # fmt: skip
    cells = [[name, str(t.honest), str(t.kept), str(t.bad), str(t.delivered)] for name, t in rows]
    return table(heads, cells, room)
