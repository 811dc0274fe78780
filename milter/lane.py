"""A listener with everything its sessions work with: the composition that `Gateway` makes once for each."""

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from milter.aftermath import Settled
from milter.endpoint import Endpoint
from milter.next_hop import Timeouts
from milter.record import Events, Metrics
from milter.trace import Tracer
from model.mail import Direction, Mail
from model.screen import Screening
from model.verdict import Stage, Verdict
from quarantine.store import Store

T = TypeVar("T")


class Screens(Protocol):
    """What a screener does for us: blocking, never raises."""

    def screen(self, mail: Mail, *, timeout: float) -> Screening:
        """Return what is known of `mail` after about `timeout` seconds at most."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that we wait for a client: for one command, and for a whole message."""

    command: float
    data: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One listener's settings and tools. `decide` is policy, bound to its own.

    `after` begins what follows from a settled message, and returns what still reads it; `tagging` tells whether the
    breaker has tripped.
    """

    name: str
    hostname: str
    mode: str
    direction: Direction
    stage: Stage
    headers: bool
    next_hop: Endpoint
    on_unscored: str
    deadline: float
    max_message_bytes: int
    spool_dir: Path
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    screener: Screens
    store: Store
    tracer: Tracer
    decide: Callable[[Screening, Mail, str], Verdict]
    screening: Executor
    storing: Executor
    events: Events
    metrics: Metrics
    known: dict[str, Mapping[str, str]]
    patience: Patience
    timeouts: Timeouts
    after: Callable[[Settled], list[Future[Any]]]
    tagging: Callable[[], bool]

    def trusts(self, peer: str) -> bool:
        """Whether a peer may speak for a client with XFORWARD; a unix socket's peer (empty) may."""
        if not peer:
            return True
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self.trusted if network.version == address.version)

    def hop_down(self, detail: str) -> None:
        """Tell that the next hop failed."""
        self.events.next_hop_down(self.name, str(self.next_hop), detail)
        self.metrics.next_hop_failure(self.name)

    async def in_store(self, act: Callable[[Store], T]) -> T:
        """Run `act` in the store's own thread; it is finished even if the caller goes away."""
        running = asyncio.get_running_loop().run_in_executor(self.storing, act, self.store)
        return await asyncio.shield(running)
