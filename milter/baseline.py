"""What the breaker compares with: the site's own hours before the model or the policy was changed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from milter.breaker import Counts
from milter.drift import HELD, QUARANTINED, VERDICTS
from milter.settings import Settings
from milter.watch_settings import BreakerSettings
from model.mail import Direction
from quarantine import tallies, trips
from quarantine.store import Store
from quarantine.tallies import Cell, Epoch

HOUR = timedelta(hours=1)


Group = tuple[Direction, str]
"""What is judged apart: a direction, and all of its mail or that of proven senders (`milter.drift.VERDICTS`)."""


def hour(at: datetime, name: str) -> datetime:
    """Return the start of the hour (verdicts) or of the day (everything else) under which something is counted."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(hour=at.hour) if name in VERDICTS else day


def digest(settings: Settings) -> str:
    """Return a digest of what decides on verdicts beside the model: policies, who uses them, and the site's facts."""
    listeners = [(one.name, one.direction, one.policy) for one in settings.listener]
    data = settings.model_dump(mode="json", include={"policy", "site"})
    return hashlib.sha256(json.dumps([data, listeners], sort_keys=True).encode()).hexdigest()


def by_hour(cells: Mapping[Cell, int]) -> dict[Group, dict[datetime, Counts]]:
    """Return the verdicts of each hour as the breaker counts them, in the order of time."""
    found: dict[Group, dict[datetime, Counts]] = {}
    for cell, n in cells.items():
        hours = found.setdefault((cell.direction, cell.name), {})
        more = Counts(n, n * (cell.value == HELD), n * (cell.value == QUARANTINED))
        hours[cell.at] = hours.get(cell.at, Counts()) + more
    return found


def before_changes(epochs: Sequence[Epoch], accepted: frozenset[int], watch: timedelta) -> int:
    """Return how many epochs, from the first, lie before the changes that are still being watched.

    A change within the watch of another is compared with what was before both, or a bad model's own mail would be
    its measure; unless a person accepted the level in between (`accepted`: ids of such epochs). 0: nothing changed.
    """
    at = len(epochs) - 1
    while at > 1 and epochs[at].at < epochs[at - 1].at + watch and epochs[at - 1].id not in accepted:
        at -= 1
    return max(at, 0)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Counts by hour of the groups that are armed, in the order of time, until when. Empty: nothing is."""

    hours: Mapping[Group, Mapping[datetime, Counts]] = field(default_factory=dict)
    until: datetime | None = None

    def of(self, group: Group, now: datetime) -> Mapping[datetime, Counts] | None:
        """Return the hours before; None where this group is not watched now."""
        return None if self.until is None or now >= self.until else self.hours.get(group)

    def without(self, way: Direction) -> "Baseline":
        """Return it with one direction not watched any more."""
        return Baseline({key: hours for key, hours in self.hours.items() if key[0] is not way}, self.until)

    @classmethod
    def read(cls, store: Store, last: Epoch, settings: BreakerSettings) -> "Baseline":
        """Read what was before the change that began the last epoch. Raises StoreError."""
        epochs = tallies.history(store, last.gateway)
        closed = [trip for trip in trips.tripped(store, gateway=last.gateway) if trip.by_person]
        if len(epochs) < 2:  # the first model of a new site is no change
            return cls()
        hours: dict[Group, Mapping[datetime, Counts]] = {}
        for way in Direction:
            accepted = frozenset(trip.epoch for trip in closed if trip.direction is way)
            if last.id in accepted:
                continue
            first = before_changes(epochs, accepted, settings.watch)
            since = epochs[first].at - settings.history - HOUR
            cells = tallies.read(store, [e.id for e in epochs[:first]], names=VERDICTS, direction=way, since=since)
            found = by_hour(cells)
            hours |= {(way, name): found.get((way, name), {}) for name in VERDICTS}
        return cls(hours, last.at + settings.watch)
