"""One message from the end of its data to our reply: screen, decide, settle, tell.

The order is what keeps mail: nothing is written or sent before the verdicts; what is kept is durable before the
dot goes to the next hop and before the client hears 250; a failure after that takes the pending rows back and is
what the client hears. The deadline ends when our dot is sent. What else follows (samples, counts) begins when
everything is settled, and the reply does not wait for it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from milter.aftermath import Settled
from milter.headers import relayed, verdict_lines
from milter.lane import Lane
from milter.link import Link
from milter.next_hop import HopError, UnsendableError
from milter.record import MessageRecord, RecipientRecord, Undone
from milter.replies import Event, Reply, holds, kept, not_now, passed_on, reply
from milter.settle import Plan, plan
from model.mail import Direction, Mail
from model.screen import Screening
from model.verdict import Route, Stage, Verdict
from quarantine.store import Kept, Store, StoreError, StoreFull, Ticket

SCREENING_SHARE = 0.75  # of the deadline; the rest is for the store and the next hop
GRACE = 1.0  # seconds a screening may overrun its time before we stop waiting for it
CONFIRM_TRIES = 3
STALE = 5.0
"""Seconds after which a next hop is asked before it is sent a message: Postfix under stress says 421 after ten."""


class _TooLate(Exception):
    """The deadline passed, or the client left, before our dot: nothing has happened yet and nothing will."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


class Transaction:
    """One use: build it at the end of data, await `run()`, give the client its reply.

    `present` tells whether the client still waits for it; `fault` is what was wrong with the octets, of which
    there were `size` (a message that was not stored has fewer in `mail`).
    """

    def __init__(self, lane: Lane, link: Link, mail: Mail, attributes: Mapping[str, str], *,
                 size: int, fault: Event | None, present: Callable[[], bool]) -> None:
        self._lane = lane
        self._link = link
        self._mail = mail
        self._attributes = dict(attributes)
        self._event = fault
        self._size = size
        self._present = present
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self._started = self._clock()
        self._deadline = self._started + lane.deadline
        self._trace = lane.tracer.new()
        self._screening = Screening()
        self._plan: Plan | None = None
        self._wanted: list[Verdict] = []
        self._job: Future[Screening] | None = None
        self._readers: list[Future[Any]] = []
        self._ticket: Ticket | None = None
        self._fault = ""
        self._message_id = ""
        self._queued_as = ""
        self._delivered = False
        self._ms: dict[str, float] = {}

    async def run(self) -> Reply:
        """Settle the message and log it. Returns a reply in every case; the message's bytes are given back."""
        answer = reply(Event.INTERNAL)
        try:
            answer = await self._guarded()
            self._ms["total"] = self._since(self._started)
            self._tell(answer)
            self._follow_up(answer)
        except Exception:  # noqa: BLE001 - what was settled stays settled, even if nobody can be told of it
            self._lane.metrics.fault("log")
        finally:
            self._give_back()
        return answer

    async def _guarded(self) -> Reply:
        try:
            return await self._settle()
        except _TooLate as late:
            self._link.drop()
            return self._failed(late.fault, Event.DEADLINE)
        except HopError as error:
            self._link.drop()
            self._lane.hop_down(str(error))
            if error.after_dot:
                return self._failed("next-hop-silent", Event.HOP_SILENT)
            return self._failed("next-hop-lost", Event.HOP_NONSENSE if error.nonsense else Event.HOP_LOST)
        except StoreFull:
            await self._link.reset()
            return self._failed("store-full", Event.STORE_FULL)
        except StoreError as error:
            self._link.drop()
            self._lane.events.session_fault(self._lane.name, self._mail.envelope.client.address, error)
            return self._failed("store-failed", Event.STORE_FAILED)
        except Exception as error:  # noqa: BLE001 - our own bug costs the client a retry, never the message
            self._link.drop()
            self._lane.events.session_fault(self._lane.name, self._mail.envelope.client.address, error)
            return self._failed("internal-error", Event.INTERNAL)

    async def _settle(self) -> Reply:
        passes = self._lane.tracer.passes(self._mail.raw, self._lane.name)
        self._message_id = passes.message_id
        if self._event is None and passes.looping:
            self._event = Event.LOOP
        if self._event is not None and not holds(self._event, self._lane.mode):
            await self._link.reset()
            return self._failed("spool-full", self._event) if self._event is Event.SPOOL_FULL else reply(self._event)
        await self._screen()
        self._wanted = [self._lane.decide(self._screening, self._mail, to.address)
                        for to in self._mail.envelope.recipients]
        self._plan = plan(self._wanted, stage=self._lane.stage, mode=self._lane.mode,
                          on_unscored=self._lane.on_unscored, fault=self._event, tagging=self._lane.tagging())
        if self._plan.refuse is not None:
            await self._link.reset()
            return reply(self._plan.refuse)
        self._in_time()
        return await self._carry_out(self._plan)

    async def _carry_out(self, todo: Plan) -> Reply:
        self._ticket = ticket = await self._keep(todo) if todo.keep else None
        if not todo.deliver:
            await self._link.reset()
            return kept(self._lane.mode, ticket.message if ticket else "")
        try:
            answer = await self._deliver(todo)
        except BaseException:
            await self._cancel(ticket)
            raise
        if not answer.positive:
            await self._cancel(ticket)
            return passed_on(answer)
        self._queued_as = answer.queued_as
        self._delivered = True
        await self._confirm(ticket)
        return answer

    async def _screen(self) -> None:
        until = self._started + self._lane.deadline * SCREENING_SHARE
        mail, screener, clock = self._mail, self._lane.screener, self._clock

        def job() -> Screening:
            left = until - clock()  # the queue before the one screening thread counts too
            return screener.screen(mail, timeout=left) if left > 0 else Screening(fault="deadline")

        begun = self._clock()
        self._job = self._lane.screening.submit(job)
        try:
            self._screening = await asyncio.wait_for(asyncio.wrap_future(self._job), until - begun + GRACE)
        except TimeoutError:
            self._screening = Screening(fault="deadline")
        self._ms["screen"] = self._since(begun)
        self._fault = self._screening.fault

    async def _keep(self, todo: Plan) -> Ticket:
        recipients = self._mail.envelope.recipients
        copies = [Kept(recipients[at], todo.verdicts[at], self._screening, self._trace) for at in todo.keep]
        begun = self._clock()

        def keep(store: Store) -> Ticket:
            self._in_time()  # the queue before the one storing thread counts too
            return store.keep(self._mail, copies, pending=bool(todo.deliver), listener=self._lane.name)

        ticket = await self._lane.in_store(keep)
        self._ms["store"] = self._since(begun)
        return ticket

    async def _confirm(self, ticket: Ticket | None) -> None:
        """Make pending rows count. If that fails the client hears 451: a second copy is better than none."""
        if ticket is None:
            return
        for left in reversed(range(CONFIRM_TRIES)):
            try:
                await self._lane.in_store(lambda store: store.confirm(ticket))
            except StoreError:
                if not left:
                    raise
            else:
                return

    async def _cancel(self, ticket: Ticket | None) -> None:
        """Take pending rows back; rows that stay pending count for nothing and are swept later."""
        if ticket is None:
            return
        with contextlib.suppress(StoreError):
            await self._lane.in_store(lambda store: store.cancel(ticket))

    async def _deliver(self, todo: Plan) -> Reply:
        envelope = self._mail.envelope
        begun = self._clock()
        try:
            async with asyncio.timeout_at(self._deadline) as limit:
                idle = self._ms.get("screen", 0.0) / 1000
                if todo.keep or not self._link.live or idle > STALE:  # a next hop may hang up while we screen
                    answer = await self._link.again(envelope.sender, envelope.params,
                                                    [envelope.recipients[at] for at in todo.deliver],
                                                    self._attributes)
                    if not answer.positive:
                        await self._link.reset()
                        return not_now(answer)

                def before_dot() -> None:
                    self._in_time()
                    limit.reschedule(None)

                hop = self._link.current()
                tracer = self._lane.tracer
                chunks = relayed(self._own_lines(todo), self._mail.raw.chunks(),
                                 lambda field: tracer.ours(field) is not None)
                answer = await hop.data(chunks, before_dot)
        except TimeoutError as error:
            raise _TooLate("deadline") from error
        except UnsendableError as error:
            raise HopError("the message has line ends that cannot be sent") from error
        if not answer.positive and not hop.closed:
            await self._link.reset()
        self._ms["deliver"] = self._since(begun)
        return answer

    def _own_lines(self, todo: Plan) -> tuple[str, ...]:
        trace = self._lane.tracer.field(self._lane.name, self._trace)
        if self._mail.direction is Direction.OUTBOUND or not self._lane.headers:
            return (trace,)
        score = self._screening.score
        verdicts = [todo.verdicts[at] for at in todo.deliver]
        unscanned = (self._screening.fault or "no-score") if todo.unscanned else ""
        return (trace, *verdict_lines(verdicts, model=score.model if score else "", unscanned=unscanned,
                                      observing=self._lane.stage is Stage.OBSERVE or bool(todo.tagged)))

    def _in_time(self) -> None:
        if not self._present():
            raise _TooLate("client-gone")
        if self._clock() >= self._deadline:
            raise _TooLate("deadline")

    def _failed(self, fault: str, event: Event) -> Reply:
        self._fault = fault
        return reply(event)

    def _since(self, begun: float) -> float:
        return round((self._clock() - begun) * 1000, 3)

    def _tell(self, answer: Reply) -> None:
        record = self._record(answer)
        self._lane.events.message(record)
        self._lane.metrics.message(record)
        if self._fault:
            self._lane.metrics.fault(self._fault)

    def _record(self, answer: Reply) -> MessageRecord:
        envelope, score = self._mail.envelope, self._screening.score
        return MessageRecord(
            listener=self._lane.name, direction=self._mail.direction, mode=self._lane.mode, trace=self._trace,
            sender=envelope.sender, recipients=self._outcomes(answer), reply=answer.text,
            size=self._size, queue_id=envelope.client.queue_id,
            message_id=self._message_id,
            label=score.label if score else None, p_bad=score.p_bad if score else None,
            model=score.model if score else "", queued_as=self._queued_as, fault=self._fault,
            ms={**self._screening.ms, **self._ms},
        )

    def _outcomes(self, answer: Reply) -> tuple[RecipientRecord, ...]:
        recipients = self._mail.envelope.recipients
        if self._plan is None:
            route = Route.REJECT if answer.code >= 500 else Route.UNSCORED
            why = (self._event.value,) if self._event is not None else ()
            return tuple(RecipientRecord(to.address, route, why) for to in recipients)
        todo = self._plan
        done = [self._done(todo, at, answer) for at in range(len(recipients))]
        return tuple(
            RecipientRecord(to.address, done[at], _codes(todo.verdicts[at]), self._wanted[at].route)
            for at, to in enumerate(recipients)
        )

    def _done(self, todo: Plan, at: int, answer: Reply) -> Route | Undone:
        """Return what has become of recipient `at`, which is not the plan if that could not be carried out."""
        if answer.positive or todo.refuse is not None or (self._delivered and at in todo.deliver):
            return todo.done(at)
        return Undone.REFUSED if answer.code >= 500 else Undone.DEFERRED

    def _follow_up(self, answer: Reply) -> None:
        """Begin what follows from a message that is settled; nothing waits for it."""
        todo = self._plan
        if todo is not None and (answer.positive or todo.refuse is Event.REJECTED):
            self._readers = self._lane.after(Settled(
                self._mail, todo, tuple(self._wanted), self._screening, self._trace, self._lane.name,
                delivered=self._delivered and answer.positive, ticket=self._ticket))

    def _give_back(self) -> None:
        """Close the message, but never under a thread that still reads it."""
        readers = iter([job for job in (self._job, *self._readers) if job is not None])

        def close(_: object = None) -> None:
            if (job := next(readers, None)) is not None:  # one after the other: of two threads, one closes
                job.add_done_callback(close)
            else:
                self._mail.raw.close()

        close()


def _codes(verdict: Verdict) -> tuple[str, ...]:
    return tuple(reason.code for reason in verdict.reasons)
