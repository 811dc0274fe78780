"""The gateway in one worker: settings, screener and store put together for each listener, and its sessions."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from milter.acquaintance import Learner
from milter.aftermath import Aftermath, Shadowing, Tally
from milter.aside import Aside
from milter.connection import Connection
from milter.lane import Lane, Patience, Screens
from milter.next_hop import Timeouts
from milter.policies import own_thresholds, policy_of
from milter.record import Events, MessageRecord, Metrics
from milter.sampling import Sampler
from milter.session import Session, settled
from milter.settings import ListenerSettings, Settings
from milter.trace import Tracer, load_key
from model.bundle import Thresholds
from model.mail import Direction, Mail
from model.policy import Policy, decide
from model.screen import Screening
from model.verdict import Verdict
from quarantine.store import Store

CONNECT = 10.0
"""Seconds at most to connect to a next hop: it is near."""

Decide = Callable[[Screening, Mail, str, Policy, datetime], Verdict]

__all__ = ["Events", "Gateway", "MessageRecord", "Metrics"]


class Gateway:
    """All sessions of one worker. One thread screens, one writes to the store; the loop only moves octets.

    `settings` do not change in its lifetime: a reload starts other workers. `thresholds` are the model's own. Raises
    OSError or ValueError for a trace key that cannot be read or made.
    """

    def __init__(self, settings: Settings, screener: Screens, store: Store, events: Events, metrics: Metrics, *,
                 thresholds: Thresholds | None = None, tracer: Tracer | None = None,
                 patience: Patience | None = None, timeouts: Timeouts | None = None,
                 now: Callable[[], datetime] | None = None, learner: Learner | None = None,
                 tally: Tally | None = None, shadow: Shadowing | None = None, decide: Decide = decide) -> None:
        self._settings = settings
        self._screener = screener
        self._store = store
        self._events = events
        self._metrics = metrics
        self._thresholds = thresholds
        self._tracer = tracer or Tracer(load_key(settings.gateway.state_dir))
        gateway = settings.gateway
        self._patience = patience or Patience(gateway.client_timeout, gateway.client_data_timeout)
        self._timeouts = timeouts or Timeouts(
            connect=min(CONNECT, gateway.next_hop_timeout), command=gateway.next_hop_timeout,
            block=gateway.next_hop_timeout, done=gateway.next_hop_done_timeout)
        self._now = now or (lambda: datetime.now(UTC))
        self._decide = decide
        self._hostname = settings.gateway.name
        self._screening = ThreadPoolExecutor(1, thread_name_prefix="screening")
        self._storing = ThreadPoolExecutor(1, thread_name_prefix="storing")
        self._sampler = Sampler(store.settings, store.clock, metrics) if store.settings.sample else None
        self._after = Aftermath(metrics, Aside(store.settings, store.clock, "tags"), self._sampler, learner,
                                tally or Tally(), shadow)
        self._tagging: frozenset[Direction] = frozenset()
        self._known: dict[str, Mapping[str, str]] = {}
        self._sessions: set[Connection] = set()

    @property
    def open_sessions(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    def factory(self, listener: ListenerSettings) -> Callable[[], asyncio.Protocol]:
        """Return what makes a protocol for each connection that the listener's socket accepts."""
        lane = self._lane(listener)
        return lambda: Session(lane, self._sessions)

    async def drain(self, seconds: float) -> int:
        """Let open transactions end, for at most `seconds`; return how many sessions had to be cut off.

        A message that was cut off has not been answered, so its client sends it again.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        for session in tuple(self._sessions):
            session.retire()
        ends = [session.ended for session in self._sessions]
        if ends:
            await asyncio.wait(ends, timeout=seconds)
        left = tuple(self._sessions)
        for session in left:
            session.abort()
        await settled(0.0 if left else max(0.0, until - clock()))
        return len(left)

    def tag(self, directions: Iterable[Direction]) -> None:
        """From now on, deliver what the model alone would keep of mail in these directions, with headers only."""
        self._tagging = frozenset(directions)

    def close(self) -> None:
        """End the threads once they have finished what they are doing."""
        self._screening.shutdown(cancel_futures=True)
        self._after.close()
        self._storing.shutdown()

    def _lane(self, listener: ListenerSettings) -> Lane:
        settings = self._settings
        written = settings.policy_of(listener)
        policy = policy_of(written, own_thresholds(self._thresholds, listener.direction))

        def decided(screening: Screening, mail: Mail, recipient: str) -> Verdict:
            return self._decide(screening, mail, recipient, policy, self._now())

        return Lane(
            name=listener.name, hostname=self._hostname, mode=listener.mode, direction=listener.direction,
            stage=listener.stage, headers=listener.headers, next_hop=listener.next_hop,
            on_unscored=written.on_unscored, deadline=settings.gateway.deadline,
            max_message_bytes=settings.gateway.max_message_bytes, spool_dir=settings.gateway.spool_dir,
            trusted=settings.gateway.trusted_upstreams, screener=self._screener, store=self._store,
            tracer=self._tracer, decide=decided, screening=self._screening, storing=self._storing,
            events=self._events, metrics=self._metrics, known=self._known, patience=self._patience,
            timeouts=self._timeouts, after=self._after.of, tagging=lambda: listener.direction in self._tagging,
        )
