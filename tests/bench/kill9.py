"""200 times `kill -9` under load: is any message lost that was answered with 250?

    python tests/bench/kill9.py [--kills 200] [--rate 40] [--workers 3] [--config-model PATH]

Starts `gatepost serve` (before-queue, stage keep, with a threshold low enough that some mail is quarantined), sends
mail at a steady rate from several clients, and kills a random worker or (one time in four) the supervisor, which
is started again as systemd would. Every message has an id; the ledger has those that were answered with 250. At
the end each of them must be at the next hop or in the quarantine. Messages that were not answered are sent again,
as Postfix does; those that arrive twice are counted.
"""

import argparse
import contextlib
import json
import os
import random
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from serving import PATIENCE, Serving, Sink, until

NOTHING_KEPT = "[policy.default]\nquarantine_at = 1.0\nhold_at = 1.0\n"
BODIES = (
    "Shall we have dinner at eight by the river? I have asked Jo and Kim as well.",
    "Your parcel could not be delivered. Pay the fee now or it goes back: http://198.51.100.7/pay",
    "The minutes of Monday's meeting are below. Please tell me by Friday if anything is missing.",
    "CONGRATULATIONS!!! You have won 1,000,000. Send your bank details today to claim the prize.",
)
ID = re.compile(rb"^X-Bench-Id: (\d+)", re.MULTILINE)


def message(number: int) -> bytes:
    """Return mail number `number`; its id is in a header of its own."""
    body = BODIES[number % len(BODIES)]
    head = f"From: Anna <anna@shop.example>\r\nTo: bob@corp.example\r\nSubject: note {number}\r\n"
    return f"{head}X-Bench-Id: {number}\r\n\r\n{body}\r\n".encode()


class Refusal(Exception):
    """Anything but 250 to the dot: the message stays with the client."""


def send(port: int, number: int) -> None:
    """Send one message in one connection; return only if it was answered with 250."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client, client.makefile("rb") as answers:
        def say(line: bytes, wanted: bytes) -> None:
            client.sendall(line)
            while True:
                answer = answers.readline()
                if not answer.startswith(wanted):
                    raise Refusal(answer.decode("latin-1").strip() or "closed")
                if answer[3:4] != b"-":
                    return

        say(b"", b"220")
        say(b"EHLO bench.example\r\n", b"250")
        say(b"MAIL FROM:<anna@shop.example>\r\n", b"250")
        say(b"RCPT TO:<bob@corp.example>\r\n", b"250")
        say(b"DATA\r\n", b"354")
        say(message(number) + b".\r\n", b"250")
        with contextlib.suppress(OSError):
            client.sendall(b"QUIT\r\n")


class Clients:
    """Sends new mail at a steady rate, and what was refused again after a moment."""

    def __init__(self, it: Serving, rate: float, threads: int) -> None:
        self.it = it
        self.answered: list[int] = []
        self.attempts: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self._rate = rate
        self._lock = threading.Lock()
        self._next = 0
        self._again: list[tuple[float, int]] = []
        self._begun = time.monotonic()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Make no new mail; return when everything that was made is answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _take(self) -> int | None:
        with self._lock:
            now = time.monotonic()
            for at, (due, number) in enumerate(self._again):
                if due <= now:
                    del self._again[at]
                    return number
            if not self._stop.is_set() and self._next < (now - self._begun) * self._rate:
                self._next += 1
                return self._next
            return None

    def _run(self) -> None:
        while True:
            number = self._take()
            if number is None:
                if self._stop.is_set() and not self._again:
                    return
                time.sleep(0.005)
                continue
            self.attempts[number] += 1
            try:
                send(self.it.port, number)
            except (OSError, Refusal) as error:
                with self._lock:
                    self.refusals[str(error)[:60] if isinstance(error, Refusal) else type(error).__name__] += 1
                    self._again.append((time.monotonic() + 0.3, number))
            else:
                with self._lock:
                    self.answered.append(number)


def kept(it: Serving) -> list[int]:
    """Return the ids of the messages whose items lie in the quarantine, visible to reviewers."""
    from sqlalchemy import select

    from quarantine.schema import items
    from quarantine.search import body
    from quarantine.settings import StoreSettings
    from quarantine.store import Store

    state = it.folder / "state"
    settings = StoreSettings(url=f"sqlite:///{state}/quarantine.db", key_file=state / "quarantine.key")
    with Store.open(settings) as store:
        with store.reading() as connection:
            rows = connection.execute(select(items.c.message_id).where(items.c.state != "pending")).scalars().all()
        return [number_of(b"".join(body(store, message))) for message in rows]


def number_of(raw: bytes) -> int:
    """Return the id of a message."""
    match = ID.search(raw)
    assert match is not None
    return int(match[1])


def kill_loop(it: Serving, kills: int, pause: float, rng: random.Random) -> Counter[str]:
    """Kill `kills` times; start the supervisor again where it was hit."""
    done: Counter[str] = Counter()
    while done.total() < kills:
        time.sleep(rng.uniform(0.5, 1.5) * pause)
        workers = sorted(it.workers())
        if rng.random() < 0.25 or not workers:
            it.signal(signal.SIGKILL)
            it.process.wait()
            it.start()
            done["supervisor"] += 1
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
                done["worker"] += 1
        if done.total() % 20 == 0:
            sys.stderr.write(f"{done.total()} kills, {it.sink.count} delivered\n")
    return done


def main() -> int:
    """Run the bench; exit code 1 if anything was lost."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--rate", type=float, default=40.0)
    options.add_argument("--workers", type=int, default=3)
    options.add_argument("--clients", type=int, default=24)
    options.add_argument("--pause", type=float, default=0.8, help="mean seconds between two kills")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()

    sink = Sink()
    with tempfile.TemporaryDirectory(prefix="gatepost-kill9-") as folder:
        it = Serving(Path(folder), sink, workers=given.workers, drain_seconds=5.0)
        it.stage = "keep"
        it.extra = NOTHING_KEPT
        it.start()
        threshold = middle_score(it, sink)
        it.extra = f"[policy.default]\nquarantine_at = {threshold}\nhold_at = 1.0\n"
        it.write()
        it.reload()
        sink.sink.received.clear()
        clients = Clients(it, given.rate, given.clients)
        begun = time.monotonic()
        clients.start()
        done = kill_loop(it, given.kills, given.pause, random.Random(given.seed))
        took = time.monotonic() - begun
        under_fire = len(clients.answered)
        clients.stop()
        it.stop()
        delivered = Counter(number_of(got.data) for got in sink.sink.received)
        quarantined = Counter(kept(it))
    sink.close()
    return report(clients, done, round(under_fire / took, 1), round(took, 1), delivered, quarantined)


def middle_score(it: Serving, sink: Sink) -> float:
    """Return a threshold between the scores of the bodies, so that some are kept and some delivered."""
    for number in range(1, len(BODIES) + 1):
        send(it.port, number)
    until(lambda: sink.count == len(BODIES), "the first messages did not arrive")
    scores = sorted(event["p_bad"] for event in it.events("message"))
    return (scores[1] + scores[2]) / 2


def report(clients: Clients, done: Counter[str], rate: float, took: float,
           delivered: Counter[int], kept_: Counter[int]) -> int:  # fmt: skip
    """Print one JSON object; return 1 if a message is lost."""
    answered = set(clients.answered)
    lost = sorted(answered - delivered.keys() - kept_.keys())
    print(json.dumps({
        "kills": dict(done), "seconds": took, "answered_a_second_between_kills": rate,
        "messages": len(clients.attempts), "answered_250": len(answered),
        "sent_again": sum(n - 1 for n in clients.attempts.values()),
        "refusals": dict(clients.refusals.most_common(8)),
        "delivered": len(delivered), "delivered_twice": sum(n - 1 for n in delivered.values()),
        "quarantined": len(kept_), "quarantined_twice": sum(n - 1 for n in kept_.values()),
        "delivered_and_quarantined": len(delivered.keys() & kept_.keys()), "lost": len(lost), "lost_ids": lost[:20],
    }, indent=1))  # fmt: skip
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
