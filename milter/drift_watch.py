"""The lookout's eye on drift: once a day it compares, and tells what began or ended, once."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from milter.drift import band
from milter.drift_report import reports
from milter.housekeeping import Note
from milter.metrics import Totals
from milter.watch_settings import DriftSettings
from quarantine import alarms, tallies
from quarantine.store import Store
from quarantine.tallies import Epoch

GONE = timedelta(days=30)
"""A gateway that has counted nothing for so long is no more; others on its database end its alarms."""


class DriftWatch:
    """Belongs to the lookout's thread. `settings` gives those in use."""

    def __init__(self, settings: Callable[[], DriftSettings], note: Note, totals: Totals) -> None:
        self._settings = settings
        self._note = note
        self._totals = totals
        self._done: tuple[date, int] | None = None
        self.told: tuple[dict[str, Any], ...] = ()

    def turn(self, store: Store, epoch: Epoch, now: datetime) -> None:
        """Compare if this day, or this epoch, has not been looked at; forget counts that are too old. StoreError."""
        if self._done == (now.date(), epoch.id):
            return
        settings = self._settings()
        found = {(report.direction, one.name): one for report in reports(store, epoch.gateway, settings, now)
                 for one in report.drifts}  # fmt: skip
        lasting = {(alarm.direction, alarm.name): alarm for alarm in alarms.lasting(store, epoch.gateway)}
        for key, alarm in list(lasting.items()):
            again = found.get(key)
            if alarm.model != epoch.model or (again is not None and again.over(settings.psi)):
                alarms.end(store, alarm, now)
                del lasting[key]
                self._note("info", "drift-over", direction=alarm.direction, of=alarm.name, model=alarm.model,
                           since=alarm.at.isoformat())  # fmt: skip
        self._totals.drift.clear()  # of a model that serves no more, or has no whole week yet, there is no drift
        for (way, name), one in found.items():
            self._totals.drift.labels(way, name).set(one.psi)
            if one.alarming(settings.psi) and (way, name) not in lasting:
                alarms.begin(store, epoch.id, way, name, one.psi, now)
                self._note("warning", "drift", direction=way, of=name, model=epoch.model, psi=round(one.psi, 3),
                           grew=band(name, one.value), before=round(one.share_before, 4),
                           now=round(one.share_now, 4), look="gatepost model drift")  # fmt: skip
        alarms.abandon(store, now - GONE, now, but=epoch.gateway)
        self._show(store, epoch.gateway)
        tallies.expire(store, now - settings.keep)
        self._done = now.date(), epoch.id

    def _show(self, store: Store, gateway: str) -> None:
        lasting = alarms.lasting(store, gateway)
        self._totals.drift_alarm.clear()
        for alarm in lasting:
            self._totals.drift_alarm.labels(alarm.direction, alarm.name).set(1)
        self.told = tuple({"direction": alarm.direction, "name": alarm.name, "since": alarm.at.isoformat()}
                          for alarm in lasting)  # fmt: skip
