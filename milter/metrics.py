"""Counters and times, aggregated over workers in the supervisor.

A worker counts in plain dictionaries and sends what has been added since, a few times a second, up the line it
already has. The supervisor adds it to one registry. So totals only grow, whatever workers live or die; what
belongs to a living worker (open sessions) goes with it; and no shared files are left behind. A worker that is
killed takes at most the last `INTERVAL` of counts along; its log lines are the record.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from milter.record import MessageRecord
from model.reasons import BREAKER

INTERVAL = 0.25
"""Seconds between two reports of a worker."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

Key = tuple[str, tuple[str, ...]]


class WorkerMetrics:
    """Counts in one worker. `take` hands over what was added since the last time, as JSON data."""

    def __init__(self) -> None:
        self._counts: Tally[Key] = Tally()
        self._observed: defaultdict[Key, list[float]] = defaultdict(list)
        self._sessions: Tally[str] = Tally()
        self._told: Tally[str] = Tally()

    @property
    def changed(self) -> bool:
        """Whether anything was counted since the last `take`."""
        return bool(self._counts or self._observed) or self._sessions != self._told

    def message(self, record: MessageRecord) -> None:
        """Count a finished transaction by listener, route and label, and its time by stage."""
        reply = record.reply[:1] + "xx" if record.reply[:1].isdigit() else "none"
        self._counts["messages", (record.listener, reply)] += 1
        self._counts["message_bytes", (record.listener,)] += record.size
        for recipient in record.recipients:
            label = str(record.label or "none")
            self._counts["recipients", (record.listener, str(recipient.route), label)] += 1
            if recipient.reasons[:1] == (BREAKER,):
                self._counts["tagged", (record.listener,)] += 1
        for stage, milliseconds in record.ms.items():
            self._observed["stage_seconds", (stage,)].append(milliseconds / 1000)

    def fault(self, kind: str, count: int = 1) -> None:
        """Count a fault of ours by kind, or several at once."""
        self._counts["faults", (kind,)] += count

    def next_hop_failure(self, listener: str) -> None:
        """Count a next hop that failed."""
        self._counts["next_hop_failures", (listener,)] += 1

    def session_opened(self, listener: str) -> None:
        """A client connected."""
        self._counts["sessions_opened", (listener,)] += 1
        self._sessions[listener] += 1

    def session_closed(self, listener: str) -> None:
        """A client's connection ended."""
        self._sessions[listener] -= 1

    def take(self) -> dict[str, Any]:
        """Return and forget what was added since the last call; open sessions are told as they stand."""
        taken = {
            "counts": [[name, labels, value] for (name, labels), value in self._counts.items()],
            "observed": [[name, labels, values] for (name, labels), values in self._observed.items()],
            "sessions": dict(self._sessions),
        }
        self._counts.clear()
        self._observed.clear()
        self._told = self._sessions.copy()
        return taken


class Totals:
    """The registry behind /metrics."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each, which says when the supervisor started
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {
            "messages": self._counter("messages", "transactions answered, by class of reply", "listener", "reply"),
            "message_bytes": self._counter("message_bytes", "octets of messages received", "listener"),
            "recipients": self._counter("recipients", "copies by route and label", "listener", "route", "label"),
            "tagged": self._counter("tagged", "copies that only an open breaker let pass", "listener"),
            "faults": self._counter("faults", "faults of our own, by kind", "kind"),
            "next_hop_failures": self._counter("next_hop_failures", "next hops that failed us", "listener"),
            "sessions_opened": self._counter("sessions_opened", "connections taken", "listener"),
        }
        self._histograms: dict[str, Histogram] = {
            "stage_seconds": Histogram("gatepost_stage_seconds", "time of a message by stage, in seconds", ["stage"],
                                       buckets=BUCKETS, registry=self.registry),
        }
        self._sessions = Gauge("gatepost_sessions", "open connections", ["listener"], registry=self.registry)
        self.workers = Gauge("gatepost_workers", "worker processes by state", ["state"], registry=self.registry)
        self.deaths = Counter("gatepost_worker_deaths", "workers that died unasked", registry=self.registry)
        self.reloads = Counter("gatepost_reloads", "reloads by outcome", ["outcome"], registry=self.registry)
        self.model = Gauge("gatepost_model_info", "the model that serves", ["version"], registry=self.registry)
        self.model_refused = Gauge("gatepost_model_refused",
                                   "1 while a promoted model was refused and the old one serves",
                                   registry=self.registry)
        self.breaker = Gauge("gatepost_breaker_open", "1 while the model keeps too much to be believed, and is not",
                             ["direction"], registry=self.registry)
        self.trips = Counter("gatepost_breaker_trips", "how often the breaker tripped", ["direction"],
                             registry=self.registry)
        self.drift = Gauge("gatepost_drift_psi", "distance of the last days from the reference, of score and facts",
                           ["direction", "name"], registry=self.registry)
        self.drift_alarm = Gauge("gatepost_drift_alarm", "1 while it is an alarm", ["direction", "name"],
                                 registry=self.registry)
        self.shadow = Counter("gatepost_shadow", "messages that the candidate scored, by outcome", ["outcome"],
                              registry=self.registry)
        self._by_worker: dict[int, dict[str, int]] = {}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gatepost_{name}", text, labels, registry=self.registry)

    def add(self, pid: int, taken: Mapping[str, Any]) -> None:
        """Add what one worker handed over (`WorkerMetrics.take`). Raises KeyError or ValueError on other data."""
        for name, labels, value in taken["counts"]:
            self._counters[name].labels(*labels).inc(value)
        for name, labels, values in taken["observed"]:
            histogram = self._histograms[name].labels(*labels)
            for value in values:
                histogram.observe(value)
        self._by_worker[pid] = taken["sessions"]
        self._show_sessions()

    def forget(self, pid: int) -> None:
        """A worker has gone, and its sessions with it."""
        if self._by_worker.pop(pid, None) is not None:
            self._show_sessions()

    def _show_sessions(self) -> None:
        total: Tally[str] = Tally()
        for sessions in self._by_worker.values():
            total.update(sessions)
        self._sessions.clear()
        for listener, value in total.items():
            self._sessions.labels(listener).set(value)

    def fault(self, kind: str, count: int) -> None:
        """Count faults of the supervisor's own."""
        self._counters["faults"].labels(kind).inc(count)

    def show_model(self, version: str) -> None:
        """Say which model serves now."""
        self.model.clear()
        self.model.labels(version).set(1)

    def render(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)
