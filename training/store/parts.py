"""Parting a snapshot by time and group: the oldest trains, then comes what calibrates, and the newest tests.

A campaign stays on one side, at the time of its newest message, so that nothing that trains is newer than what
tests. Pure: the same entries always part alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from training.store.entry import Entry

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """The three parts of a snapshot, each in order of digest."""

    train: tuple[Entry, ...]
    calibration: tuple[Entry, ...]
    test: tuple[Entry, ...]


def parts(entries: Iterable[Entry], *, calibration: float = 0.15, test: float = 0.2) -> Parts:
    """Part entries; the shares are of messages and met by whole groups. Raises ValueError on impossible shares.

    Groups of which no message tells its time train: nobody can say that they are new.
    """
    if not (0 <= calibration < 1 and 0 <= test < 1 and calibration + test < 1):
        raise ValueError("the shares for calibration and test are from 0 to less than 1, also together")
    groups: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: e.digest):
        groups.setdefault(entry.group, []).append(entry)
    newest = {name: max(e.received or _LONG_AGO for e in members) for name, members in groups.items()}
    total = sum(map(len, groups.values()))
    sides: tuple[list[Entry], list[Entry], list[Entry]] = ([], [], [])
    wanted = (test * total, calibration * total)
    at = 0
    for name in sorted(groups, key=lambda n: (newest[n], n), reverse=True):
        while at < len(wanted) and len(sides[at]) + len(groups[name]) / 2 > wanted[at]:
            at += 1
        side = len(wanted) if newest[name] == _LONG_AGO else at
        sides[side].extend(groups[name])
    tested, calibrated, trained = (tuple(sorted(side, key=lambda e: e.digest)) for side in sides)
    return Parts(trained, calibrated, tested)
