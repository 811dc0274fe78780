"""Learning who writes to whom from what was delivered, and telling the facts: in a thread, off the mail's way.

Nothing waits for it. A store that cannot be read leaves senders unknown, one that cannot be written leaves a pair
unlearnt; both are counted.
"""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from milter.settle import Plan
from model.extracted import Extracted
from model.mail import Direction, Mail
from model.screen import Screening
from model.verdict import Route
from quarantine.correspondents import Bond, Hashed, Meeting, hashes, load, remember, signature
from quarantine.errors import StoreError
from quarantine.settings import StoreSettings
from quarantine.store import Clock, Store

FLUSH = 5.0
"""Seconds between two writes."""
REFRESH = 60.0
"""Seconds between two looks for what other workers, people and housekeeping changed."""
BUSY_SECONDS = 2.0
MOST_WAITING = 5_000
MOST_RECENT = 20_000
AGAIN = timedelta(days=1)
"""A pair that met is not written again for so long."""
MAILING = 50
"""Recipients above which a message is a mailing, and makes nobody a correspondent."""


def meetings(mail: Mail, todo: Plan, screening: Screening) -> tuple[Meeting, ...]:
    """Return what a delivered message tells of who writes to whom. Pure.

    Out of office replies and the like make nobody known: a stranger would only have to write to somebody who is
    away. Inbound mail counts if policy, too, delivered it and authentication did not refute its author.
    """
    seen = screening.extracted
    delivered = [at for at in todo.deliver if todo.verdicts[at].route is Route.DELIVER]
    if seen is None or not delivered:
        return ()
    recipients = mail.envelope.recipients
    if mail.direction is Direction.OUTBOUND:
        sender = mail.envelope.sender
        if "@" not in sender or _automatic(seen) or len(recipients) > MAILING:
            return ()
        return tuple(
            Meeting(sender, recipients[at].address, Bond.WROTE)
            for at in delivered
            if _domain(recipients[at].address) not in ("", _domain(sender))
        )
    refuted = screening.facts is None or screening.facts.authenticated is False
    if refuted or len(seen.from_) != 1 or not seen.from_[0].domain:
        return ()
    return (Meeting(recipients[delivered[0]].address, seen.from_[0].address, Bond.SEEN),)


def _automatic(seen: Extracted) -> bool:
    """Whether a program wrote it (RFC 3834; Precedence is what older ones say)."""
    said = seen.headers.get("auto-submitted", "no").strip().lower()
    return said[:2] != "no" or seen.headers.get("precedence", "").strip().lower() in ("bulk", "junk", "auto_reply")


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower() if "@" in address else ""


class Learner:
    """One worker's memory of who writes to whom. `known` and `seen` answer from any thread, and never wait.

    `failed` hears the kind of each failure, in the learner's own thread.
    """

    def __init__(self, settings: StoreSettings, clock: Clock, failed: Callable[[str], None], *,
                 flush: float = FLUSH, refresh: float = REFRESH) -> None:
        self.known = Hashed()
        self.seen = Hashed()
        self._settings = settings.model_copy(update={"busy_seconds": min(BUSY_SECONDS, settings.busy_seconds)})
        self._clock = clock
        self._failed = failed
        self._flush = flush
        self._refresh = refresh
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._waiting: dict[Meeting, None] = {}
        self._recent: dict[Meeting, datetime] = {}
        self._loaded: tuple[object, ...] = ()
        self._due = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="acquaintance", daemon=True)

    def note(self, found: Iterable[Meeting]) -> None:
        """Take pairs in, to be stored soon; what is too much is left out."""
        now = self._clock()
        with self._lock:
            for one in found:
                if len(self._waiting) < MOST_WAITING and now - self._recent.get(one, now - AGAIN) >= AGAIN:
                    self._waiting[one] = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Store what waits, and end; give up after `patience` seconds."""
        self._stop.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            last = self._stop.is_set()
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - not to know a sender is no reason to stop
                self._failed("correspondents-failed" if isinstance(error, StoreError) else "correspondents-fault")
                self._close()
            if last:
                self._close()
                return
            self._stop.wait(self._flush)

    def _turn(self) -> None:
        with self._lock:
            waiting, self._waiting = tuple(self._waiting), {}
        if not waiting and time.monotonic() < self._due:
            return
        if self._store is None:
            self._store = Store.open(self._settings, clock=self._clock)
        if waiting:
            self._learn(self._store, waiting)
        if time.monotonic() >= self._due:
            self._load(self._store)
            self._due = time.monotonic() + self._refresh

    def _learn(self, store: Store, found: tuple[Meeting, ...]) -> None:
        now = self._clock()
        remember(store, found, now)
        with self._lock:
            if len(self._recent) > MOST_RECENT:
                self._recent.clear()
            self._recent.update(dict.fromkeys(found, now))
        # An answer may come before the next refresh. Strangers are left to it: the list may be too young yet.
        self.known.extend(h for one in found if one.bond is not Bond.SEEN for h in hashes(store, one.outside))

    def _load(self, store: Store) -> None:
        now = self._clock()
        if (*signature(store), now.date()) == self._loaded:
            return
        held = load(store, now)
        self.known.fill(store.hashed, held.known)
        self.seen.fill(store.hashed, held.seen)
        self._loaded = (*held.mark, now.date())

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
