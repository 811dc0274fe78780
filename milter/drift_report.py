"""Drift of the model that serves: its first days here against its last ones, from the counts in the database.

The reference is this site's own mail from when the model began to serve, and not the mail that it was evaluated on:
that has another mix of mail than any site. Whole weeks are compared, since week-ends differ from working days; today
is left out, since nights differ from days.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from milter.drift import SCORE, WATCHED, Drift, drift
from milter.watch_settings import DriftSettings
from model.mail import Direction
from quarantine import tallies
from quarantine.store import Store
from quarantine.tallies import Cell, Epoch

DAY = timedelta(days=1)
Days = dict[datetime, dict[str, dict[int, int]]]
"""By day, by name, by value: how many messages."""


@dataclass(frozen=True, slots=True)
class Report:
    """One direction. `waits` says why nothing is compared yet; periods are from the first to after the last day."""

    direction: Direction
    model: str
    gateway: str
    reference: tuple[datetime, datetime] | None = None
    recent: tuple[datetime, datetime] | None = None
    drifts: tuple[Drift, ...] = ()
    waits: str = ""


def reports(store: Store, gateway: str, settings: DriftSettings, now: datetime) -> Iterator[Report]:
    """Yield what each direction's mail at a gateway looks like beside what it was. Raises StoreError.

    Nothing where no model served.
    """
    since_it_serves = serving(tallies.history(store, gateway))
    if not since_it_serves:
        return
    cells = tallies.read(store, [epoch.id for epoch in since_it_serves], names=WATCHED)
    model = since_it_serves[-1].model
    for way in Direction:
        days = by_day(cells, way)
        if days:
            yield compared(days, Report(way, model, gateway), settings, now)


def serving(epochs: Sequence[Epoch]) -> list[Epoch]:
    """Return the epochs since the model that serves began to, whatever the policy was."""
    found: list[Epoch] = []
    for epoch in reversed(epochs):
        if found and epoch.model != found[-1].model:
            break
        found.append(epoch)
    return found[::-1]


def by_day(cells: Mapping[Cell, int], way: Direction) -> Days:
    """Return one direction's counts, day by day in their order."""
    days: Days = {}
    for cell, n in cells.items():
        if cell.direction is way:
            values = days.setdefault(cell.at, {}).setdefault(cell.name, {})
            values[cell.value] = values.get(cell.value, 0) + n
    return days


def compared(days: Days, start: Report, settings: DriftSettings, now: datetime) -> Report:
    """Compare the first days with the last ones before today, as far as both hold enough."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    reference = _first(days, settings)
    if reference is None or reference[1] > today:
        seen = sum(_messages(values) for values in days.values())
        return _waiting(start, f"the reference is not complete: {seen} messages on {len(days)} days so far, "
                               f"{settings.least} on {settings.days} are needed")  # fmt: skip
    recent = today - settings.days * DAY, today
    if recent[0] < reference[1]:
        return _waiting(start, f"{settings.days} whole days after {reference[1] - DAY:%Y-%m-%d} are compared with it")
    old, new = _joined(days, *reference), _joined(days, *recent)
    if _messages(new) < settings.least:
        return _waiting(start, f"{_messages(new)} messages in the last {settings.days} days are too few to compare, "
                               f"{settings.least} are needed")  # fmt: skip
    names = [name for name in WATCHED if name in old and name in new]
    each = settings.false_alarm / (len(names) * len(Direction))
    found = tuple(drift(name, old[name], new[name], each) for name in names)
    return replace(start, reference=reference, recent=recent, drifts=found)


def _waiting(start: Report, why: str) -> Report:
    return replace(start, waits=why)


def _first(days: Days, settings: DriftSettings) -> tuple[datetime, datetime] | None:
    """Return the first days with mail that are enough, or None."""
    seen = 0
    for number, (day, values) in enumerate(days.items(), 1):
        seen += _messages(values)
        if number >= settings.days and seen >= settings.least:
            return next(iter(days)), day + DAY
    return None


def _joined(days: Days, start: datetime, end: datetime) -> dict[str, dict[int, int]]:
    joined: dict[str, dict[int, int]] = {}
    for day, values in days.items():
        if start <= day < end:
            for name, counts in values.items():
                into = joined.setdefault(name, {})
                for value, n in counts.items():
                    into[value] = into.get(value, 0) + n
    return joined


def _messages(values: Mapping[str, Mapping[int, int]]) -> int:
    return sum(values.get(SCORE, {}).values())
