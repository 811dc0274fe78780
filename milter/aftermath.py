"""What follows when a message is settled and its reply is known: samples, tags, acquaintances, counts.

The reply never waits for any of it, and a fault in it costs nobody mail.
"""

import asyncio
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from milter.acquaintance import Learner, meetings
from milter.aside import Aside
from milter.drift import observed
from milter.record import Metrics
from milter.sampling import Sampler
from milter.settle import Plan
from model.mail import Direction, Mail
from model.screen import Screening
from model.verdict import Verdict
from quarantine.store import Kept, Store, Ticket


@dataclass(frozen=True, slots=True)
class Settled:
    """A message whose reply was positive, or which we refused. `wanted` is policy's own, before stage and breaker."""

    mail: Mail
    plan: Plan
    wanted: tuple[Verdict, ...]
    screening: Screening
    trace: str
    listener: str
    delivered: bool
    ticket: Ticket | None = None


class Shadowing(Protocol):
    """What shows messages to a candidate; `milter.shadow_feed.Feed` does."""

    def send(self, settled: Settled, message: str) -> bool:
        """Hand a message on with the id it is kept under, if it is; False where there is no room. Never waits."""


class Tally:
    """Counts in one worker: (direction, name, value). `take` hands over what was added, as JSON data."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def add(self, settled: Settled) -> None:
        """Count one message."""
        direction = settled.mail.direction.value
        self._counts.update((direction, name, value) for name, value in observed(settled.screening, settled.wanted))

    def take(self) -> list[tuple[str, str, int, int]]:
        """Return (direction, name, value, number), and begin anew."""
        taken = [(*key, n) for key, n in self._counts.items()]
        self._counts.clear()
        return taken


@dataclass(slots=True)
class Aftermath:
    """One worker's. Its methods belong to the event loop."""

    metrics: Metrics
    aside: Aside
    sampler: Sampler | None = None
    learner: Learner | None = None
    tally: Tally = field(default_factory=Tally)
    shadow: Shadowing | None = None

    def of(self, settled: Settled) -> list["Future[Any]"]:
        """Begin what follows; the mail must stay open until the futures that are returned are done."""
        self.tally.add(settled)
        if not settled.delivered:
            self._shadow(settled, settled.ticket)
            return []
        if self.learner is not None:
            self.learner.note(meetings(settled.mail, settled.plan, settled.screening))
        begun = [one for one in (self._sample(settled), self._tag(settled)) if one is not None]
        if settled.ticket is None and begun:
            asyncio.wrap_future(begun[0]).add_done_callback(lambda done: self._shadow(settled, _ticket(done)))
        else:
            self._shadow(settled, settled.ticket)
        return begun

    def _shadow(self, settled: Settled, ticket: Ticket | None) -> None:
        """Show the message to a candidate, once the reply has been written."""
        if self.shadow is not None:
            asyncio.get_running_loop().call_soon(self._shown, settled, ticket.message if ticket else "")

    def _shown(self, settled: Settled, message: str) -> None:
        if self.shadow is not None and not self.shadow.send(settled, message):
            self.metrics.fault("shadow-skipped")

    def _sample(self, settled: Settled) -> "Future[Any] | None":
        """Have a copy of this delivered message kept for review, if it is drawn."""
        sampler = self.sampler
        if sampler is None or settled.mail.direction is not Direction.INBOUND or not sampler.drawn():
            return None
        begun = sampler.write(settled.mail, _copy(settled, settled.plan.deliver[0]), settled.listener)
        asyncio.wrap_future(begun).add_done_callback(sampler.told)
        return begun

    def _tag(self, settled: Settled) -> "Future[Any] | None":
        """Have it recorded that the breaker alone let this message pass."""
        if not settled.plan.tagged:
            return None
        copies = [_copy(settled, at) for at in settled.plan.tagged]

        def write(store: Store) -> Ticket:
            return store.tag(settled.mail, copies, settled.listener)

        begun = self.aside.submit(write)
        if begun is None:
            self.metrics.fault("tag-unrecorded")
        else:
            asyncio.wrap_future(begun).add_done_callback(self._tagged)
        return begun

    def _tagged(self, done: asyncio.Future[Ticket]) -> None:
        if done.cancelled() or done.exception() is not None:
            self.metrics.fault("tag-unrecorded")

    def close(self) -> None:
        """Finish what is being written."""
        if self.sampler is not None:
            self.sampler.close()
        self.aside.close()


def _ticket(done: "asyncio.Future[Ticket | None]") -> Ticket | None:
    return None if done.cancelled() or done.exception() is not None else done.result()


def _copy(settled: Settled, at: int) -> Kept:
    return Kept(settled.mail.envelope.recipients[at], settled.plan.verdicts[at], settled.screening, settled.trace)
