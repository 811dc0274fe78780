"""The supervisor's lookout: counts what the model says in all workers, trips the breaker, and tells of drift.

    epoch    a time in which one model served under one policy; a change of either begins another
    armed    for `watch` after a change, each direction is compared with what was before it
    tripped  the workers of this epoch deliver with headers only what the model alone would keep; a line in the
             database says so, hence it outlasts a restart
    cleared  another epoch begins (promotion, rollback, another policy), or a person says so (gatepost model breaker
             --clear), who accepts the new level with it: the rest of the epoch is not watched

A thread of its own does this; what workers hand up is only added to a dictionary. Decisions need no database: a trip
that cannot be written yet counts at once, and is written later.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from milter import breaker
from milter.baseline import Baseline, Group, by_hour, digest, hour
from milter.drift import HELD, PROVEN, QUARANTINED, VERDICTS
from milter.drift_watch import DriftWatch
from milter.housekeeping import Note
from milter.metrics import Totals
from milter.settings import Settings
from model.mail import Direction
from quarantine import tallies, trips
from quarantine.errors import StoreError
from quarantine.store import Store, utc_now
from quarantine.tallies import Cell, Epoch
from quarantine.trips import OF_PROVEN, OURSELVES, Trip

TURN = 1.0
"""Seconds between two turns: a trip reaches the workers within so long."""
FLUSH = 10.0
"""Seconds between two writes of counts; what a crash loses."""
REFILL = timedelta(hours=24)
"""How far back counts are read after a restart; the window drops what it does not need."""
REMIND = 3600.0
"""Seconds after which the log is told again that the breaker is open."""
BUSY_SECONDS = 2.0
Tell = Callable[[frozenset[str]], object]


@dataclass(frozen=True, slots=True)
class _Change:
    """A generation began to serve. `at` is the wall clock's; `same`: the epoch goes on, or else `why` not."""

    generation: int
    model: str
    settings: str
    at: datetime
    same: bool
    why: str


class Lookout:
    """One gateway's, by its name; others may share the database. `settings` gives those in use.

    `tell` hears, in the lookout's thread, what is to be tagged from now on.
    """

    def __init__(self, gateway: str, settings: Callable[[], Settings], note: Note, tell: Tell, totals: Totals, *,
                 clock: Callable[[], datetime] = utc_now,
                 ticks: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._gateway = gateway
        self._settings = settings
        self._note = note
        self._tell = tell
        self._totals = totals
        self._clock = clock
        self._ticks = ticks
        self._lock = threading.Lock()
        self._generation = 0
        self._epochs: dict[int, int] = {}
        self._changes: list[_Change] = []
        self._serves = ("", "")
        self._last: Epoch | None = None
        self._pending: Counter[tuple[int, datetime, Direction, str, int]] = Counter()
        self._windows: dict[Group, breaker.Window] = {}
        self._baseline = Baseline()
        self._drift = DriftWatch(lambda: settings().model.drift, note, totals)
        self._trips: dict[Direction, Trip] = {}
        self._store: Store | None = None
        self._flushed = self._reminded = 0.0
        self._lost = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    # --- called by the supervisor

    def open(self) -> frozenset[str]:
        """Read how things stood when the gateway last ran; return what is tagged. Raises StoreError."""
        store = self._opened()
        tallies.adopt(store, self._gateway)
        self._last = (tallies.history(store, self._gateway) or (None,))[-1]
        if self._last is not None:
            self._serves = self._last.model, self._last.settings
            self._trips = {trip.direction: trip for trip in trips.tripped(store, epoch=self._last.id, only_open=True)}
            self._refill(store, self._last.id)  # before there is anything new: a window is in the order of time
        return self.tagging

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Write what waits, and end; give up after `patience` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    @property
    def tagging(self) -> frozenset[str]:
        """The directions in which workers are to tag what the model would keep."""
        return frozenset(self._trips) if self._settings().model.breaker.act else frozenset()

    def serving(self, generation: int, model: str, settings: Settings) -> frozenset[str]:
        """A generation serves from now on; return what it is to tag."""
        serves = model, digest(settings)
        with self._lock:
            why = f"{model} serves" if model != self._serves[0] else "another policy"
            self._changes.append(_Change(generation, *serves, self._clock(), serves == self._serves, why))
            if serves != self._serves:
                self._serves = serves
                self._baseline = Baseline()
                self._windows = {}
                self._close(why)
            self._generation = generation
            return self.tagging

    def heard(self, generation: int, counts: Iterable[tuple[str, str, int, int]]) -> None:
        """Add what a worker handed up (`Tally.take`). Raises ValueError on other data."""
        now, ticks = self._clock(), self._ticks()
        with self._lock:
            found: dict[Group, breaker.Counts] = {}
            for direction, name, value, n in counts:
                way = Direction(direction)
                self._pending[generation, hour(now, name), way, str(name), int(value)] += int(n)
                if name in VERDICTS:
                    found[way, name] = found.get((way, name), breaker.Counts()) + breaker.Counts(
                        n, n * (value == HELD), n * (value == QUARANTINED))
            if generation == self._generation:  # what an old one still finishes is not the new one's doing
                for group, more in found.items():
                    self._window(group).add(more, ticks)

    def state(self) -> dict[str, Any]:
        """Return the trips that are open and the alarms that last, for health."""
        return {"breaker": [{"direction": trip.direction, "since": trip.at.isoformat(), "why": trip.told}
                            for trip in tuple(self._trips.values())],
                "drift": list(self._drift.told)}  # fmt: skip

    # --- the thread

    def _run(self) -> None:
        self._remind()
        while True:
            last = self._stop.wait(TURN)
            try:
                self._look()
                self._in_store(last=last)
                self._lost = ""
                if self._ticks() - self._reminded >= REMIND:
                    self._remind()
            except Exception as error:  # noqa: BLE001 - without counts mail is screened as well
                self._fault(error)
            if last:
                self._shut()
                return

    def _remind(self) -> None:
        """Say what is open, at the start and then every hour."""
        for trip in tuple(self._trips.values()):
            self._totals.breaker.labels(trip.direction).set(1)
            self._note("error", "breaker-open", direction=trip.direction, since=trip.at.isoformat(), why=trip.told)
        self._reminded = self._ticks()

    def _fault(self, error: Exception) -> None:
        told = str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
        if told != self._lost:  # once, not every second
            self._note("error", "lookout-failed", error=told)
        self._lost = told
        self._shut()

    def _look(self) -> None:
        """Judge each direction that is armed, and trip the breaker."""
        settings = self._settings().model.breaker
        with self._lock:
            now, ticks = self._clock(), self._ticks()
            jumps = []
            for (way, name), window in self._windows.items():
                before = self._baseline.of((way, name), now)
                if before is None or way in self._trips or not window.due(ticks):
                    continue
                days = breaker.comparable(before, now - window.reach(ticks), now, settings.least)
                if jump := breaker.judge(window.counts(ticks), days, settings):
                    self._trips[way] = _trip(jump, way, name, self._serves[0], now)
                    jumps.append(self._trips[way])
            tagging = self.tagging
        for trip in jumps:
            self._totals.breaker.labels(trip.direction).set(1)
            self._totals.trips.labels(trip.direction).inc()
            self._note("error", "breaker-tripped", direction=trip.direction, why=trip.told,
                       done="what it would keep is delivered with headers only" if settings.act else "nothing",
                       next="gatepost model rollback, or gatepost model breaker --clear")  # fmt: skip
        if jumps:
            self._tell(tagging)

    def _in_store(self, *, last: bool) -> None:
        store = self._opened()
        self._take_changes(store)
        self._record_trips(store)
        self._hear_of_clearing(store)
        if last or self._ticks() - self._flushed >= FLUSH:
            self._flush(store)
        if self._last is not None and not last:
            self._drift.turn(store, self._last, self._clock())

    def _take_changes(self, store: Store) -> None:
        while self._changes:
            change = self._changes[0]
            self._flush(store)  # what was before is the measure of what comes
            if not change.same or self._last is None:
                trips.clear(store, self._gateway, by=OURSELVES, reason=change.why, at=change.at)
                self._last = tallies.begin(store, self._gateway, change.model, change.settings, change.at)
                self._changes[0] = replace(change, same=True)  # it has begun, whatever fails from here on
            baseline = Baseline.read(store, self._last, self._settings().model.breaker)
            with self._lock:
                self._epochs[change.generation] = self._last.id
                self._changes.pop(0)
                if not self._changes:
                    self._baseline = baseline

    def _refill(self, store: Store, epoch: int) -> None:
        """Give the windows back what this epoch counted before a restart, as far as it is recent enough."""
        now = self._clock()
        since = now - max(self._settings().model.breaker.window, REFILL)
        found = by_hour(tallies.read(store, [epoch], names=VERDICTS, since=since))
        with self._lock:
            for group, hours in found.items():
                for at, counts in hours.items():
                    self._window(group).add(counts, self._ticks() - (now - at).total_seconds())

    def _record_trips(self, store: Store) -> None:
        for way, trip in tuple(self._trips.items()):
            if not trip.id and self._last is not None:
                done = trips.record(store, replace(trip, epoch=self._last.id))
                with self._lock:
                    if self._trips.get(way) is trip:
                        self._trips[way] = done

    def _hear_of_clearing(self, store: Store) -> None:
        """Close what a person has cleared: the level is accepted, so this epoch is watched no further."""
        if not self._trips or self._last is None:
            return
        done = {trip.id: trip for trip in trips.tripped(store, epoch=self._last.id) if trip.cleared_at is not None}
        with self._lock:
            gone = [done[trip.id] for trip in self._trips.values() if trip.id in done]
            for trip in gone:
                del self._trips[trip.direction]
                self._baseline = self._baseline.without(trip.direction)
            tagging = self.tagging
        for trip in gone:
            self._totals.breaker.labels(trip.direction).set(0)
            self._note("warning", "breaker-cleared", direction=trip.direction, by=trip.cleared_by, reason=trip.reason)
        if gone:
            self._tell(tagging)

    def _close(self, reason: str) -> None:
        """Close what is open since another epoch begins; the database hears of it with the change."""
        for trip in self._trips.values():
            self._totals.breaker.labels(trip.direction).set(0)
            self._note("warning", "breaker-cleared", direction=trip.direction, by=OURSELVES, reason=reason)
        self._trips = {}

    def _flush(self, store: Store) -> None:
        """Write the counts of generations whose epoch is known; others wait, or were never to serve."""
        with self._lock:
            ready = {key: n for key, n in self._pending.items() if key[0] in self._epochs}
            cells: Counter[Cell] = Counter()
            for (generation, at, way, name, value), n in ready.items():
                cells[Cell(self._epochs[generation], at, way, name, value)] += n
        if cells:
            tallies.add(store, cells)
        with self._lock:
            self._pending.subtract(ready)
            self._pending += Counter()  # drops what is zero
        self._flushed = self._ticks()

    def _window(self, group: Group) -> breaker.Window:
        settings = self._settings().model.breaker
        seconds, enough = settings.window.total_seconds(), breaker.ENOUGH * settings.least
        found = self._windows.setdefault(group, breaker.Window(seconds, enough))
        found.seconds, found.enough = seconds, enough  # a reload may have changed them
        return found

    def _opened(self) -> Store:
        if self._store is None:
            settings = self._settings().quarantine
            patience = min(BUSY_SECONDS, settings.busy_seconds)
            self._store = Store.open(settings.model_copy(update={"busy_seconds": patience}), clock=self._clock)
        return self._store

    def _shut(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def _trip(jump: breaker.Jump, way: Direction, name: str, model: str, now: datetime) -> Trip:
    kind = jump.kind + (OF_PROVEN if name == PROVEN else "")
    return Trip(0, 0, model, now, way, kind, jump.kept, jump.messages, jump.kept_before,
                jump.messages_before)  # fmt: skip
