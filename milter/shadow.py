"""The shadow process: scores live mail with a candidate, beside the mail's way, and writes down what it would do.

Started by the supervisor as `python -P -m milter.shadow FD`, at the lowest priority, with its settings as one line of
JSON on standard input; it reports on standard output, a line of JSON each: `ready` with the candidate's version,
`failed` with a sentence for the operator, `counts`. It is a process of its own so that a candidate that crashes,
hangs or eats memory takes nothing along (the system is told to end it first), and so that it needs one model session
in memory and not one a worker. It ends when nobody is left who could send it mail.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from milter.policies import own_thresholds, policy_of
from milter.settings import Settings
from milter.shadow_feed import LARGEST, Seen, unpack, worst
from model.bundle import Bundle, BundleError
from model.mail import Envelope, Mail, RawMessage
from model.policy import Policy, decide
from model.score import Scorer, ScoringFailed, verify
from model.screen import Screening
from model.verdict import Route, Score
from quarantine import shadows
from quarantine.errors import StoreError
from quarantine.shadows import Shadowed
from quarantine.store import Store, utc_now

GOLDENS = 4
BATCH = 200
"""Messages after which what is known is written at the latest."""
FLUSH = 2.0
"""Seconds between two writes."""
WAIT = 0.5
"""Seconds after which it looks whether it is to go."""
MOST_WAITING = 5_000
"""Rows that wait for a database that cannot be written; then the oldest are lost."""
LOWEST = 19


class Shadow:
    """One candidate. `tell` hears what the supervisor should know."""

    def __init__(self, settings: Settings, scorer: Scorer, tell: Callable[..., None], *,
                 clock: Callable[[], datetime] = utc_now,
                 ticks: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._settings = settings
        self._scorer = scorer
        self._tell = tell
        self._clock = clock
        self._ticks = ticks
        self._policy = cache(self._policy_of)
        self._rows: list[Shadowed] = []
        self._counts: Counter[str] = Counter()
        self._store: Store | None = None
        self._written = ticks()
        self._trouble = ""

    def take(self, data: bytes) -> None:
        """Score one message. Whatever goes wrong with it is counted, and the next one comes."""
        try:
            seen = unpack(data)
            row = self.shadowed(seen, self._scorer.score(seen.document, seen.facts))
        except Exception:  # noqa: BLE001 - a candidate may fail in any way
            self._counts["failed"] += 1
            return
        self._counts["changes" if row.changes else "agrees"] += 1
        self._rows.append(row)
        del self._rows[:-MOST_WAITING]

    def shadowed(self, seen: Seen, score: Score) -> Shadowed:
        """Return what policy would do with the candidate's score, beside what it did."""
        routes = [self._route(seen, copy.recipient, score) if copy.by_score else copy.route for copy in seen.copies]
        return Shadowed(self._clock(), score.model, seen.model, seen.direction, seen.listener, seen.route,
                        worst(routes), seen.p_bad, score.p_bad, seen.message)  # fmt: skip

    def _route(self, seen: Seen, recipient: str, score: Score) -> Route:
        """Decide anew for one recipient whose copy no rule decided on; so none has to be looked at again."""
        with RawMessage.of(b"") as raw:
            mail = Mail(Envelope(seen.sender, ()), raw, seen.direction)
            return decide(Screening(score=score), mail, recipient, self._policy(seen.listener), self._clock()).route

    def _policy_of(self, name: str) -> Policy:
        listener = {one.name: one for one in self._settings.listener}[name]
        own = own_thresholds(self._scorer.bundle.thresholds, listener.direction)
        return replace(policy_of(self._settings.policy_of(listener), own), allow=(), block=())

    def turn(self, *, last: bool = False) -> None:
        """Write and report if it is time."""
        now = self._ticks()
        full = len(self._rows) >= BATCH and not self._trouble  # where it cannot be written, every message would try
        if not (last or full or now - self._written >= FLUSH):
            return
        self._written = now
        if self._counts:
            self._tell("counts", counts=dict(self._counts))
            self._counts.clear()
        try:
            self._write()
            self._trouble = ""
        except StoreError as error:
            self._counts["unwritten"] += 1
            if str(error) != self._trouble:  # once, not every two seconds
                self._tell("trouble", error=str(error))
            self._trouble = str(error)
            self.close()

    def _write(self) -> None:
        if self._store is None:
            self._store = Store.open(self._settings.quarantine, clock=self._clock)
        if self._rows:
            shadows.add(self._store, self._rows)
            self._rows.clear()

    def close(self) -> None:
        """Close the database."""
        if self._store is not None:
            self._store.close()
            self._store = None


def _say(kind: str, **data: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({"kind": kind, **data}) + "\n")
        sys.stdout.flush()


def _humble() -> None:
    """Come last wherever there is too little: of the processor's time, and of memory."""
    os.nice(LOWEST)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _serve(shadow: Shadow, line: socket.socket) -> None:
    """Take messages until nobody is left who sends any, or we are asked to go."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    line.settimeout(WAIT)
    while not asked:
        try:
            data = line.recv(LARGEST)
        except TimeoutError:
            data = None
        if data == b"":
            break
        if data:
            shadow.take(data)
        shadow.turn()
    shadow.turn(last=True)
    shadow.close()


def main() -> int:
    """Run on the descriptor that the supervisor named."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _humble()
    start = json.loads(sys.stdin.readline())
    try:
        settings = Settings.model_validate(start["settings"])
        scorer = Scorer(Bundle.open(Path(start["candidate"])))
        verify(scorer, most=GOLDENS)
    except (BundleError, ScoringFailed, ValueError) as error:
        _say("failed", error=str(error))
        return 1
    _say("ready", candidate=scorer.version)
    with socket.socket(fileno=int(sys.argv[1])) as line:
        _serve(Shadow(settings, scorer, _say), line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
