"""How fast, how late, how large: dot-to-reply times of a paced client, memory of the tree, time to be ready.

    python tests/bench/throughput.py                     short mails (at most 128 tokens), one core
    python tests/bench/throughput.py --mails INDEX.csv --root DIR [--split dev] [--count 400]

The gateway (supervisor, one worker for each core of --cores, extraction children) is pinned to --cores, client and
next hop to --client-core. First the capacity: as many clients as keep the gateway busy. Then a paced client, which
sends at half the capacity whatever the gateway does, so that waiting counts. A reply is timed from the moment the
final dot has been written until its reply was read. INDEX.csv has the columns path and split; path is under DIR.
"""

import argparse
import asyncio
import csv
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import psutil
from serving import GATEPOST, Serving, Sink

TOPICS = (
    "the minutes of the meeting", "your order of last week", "the invoice for March", "our dinner", "the parcel",
    "the rehearsal of the choir",
)  # fmt: skip
DEEDS = (
    "has moved to Friday evening", "is attached as agreed", "could not be delivered today", "needs your answer soon",
    "is confirmed for all of us",
)  # fmt: skip
ENDS = (
    "Please write back if that does not suit you.",
    "Many thanks and kind regards, Jo",
    "Confirm your account at http://198.51.100.7/login now.",
    "Have a look: https://www.shop.example/orders/17",
)
HEAD = """\
Received: from mx.shop.example (mx.shop.example [192.0.2.7]) by mx.corp.example; Mon, 2 Mar 2026 10:00:00 +0000\r
From: Jo Larsen <jo{number}@shop.example>\r
To: Bob <bob@corp.example>\r
Subject: {subject}\r
Date: Mon, 2 Mar 2026 10:00:00 +0000\r
Message-ID: <{number}@shop.example>\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
\r
"""


def short_mails(count: int, rng: random.Random) -> list[bytes]:
    """Return different mails of some 60 to 110 tokens, so that the encoder runs on every one."""
    return [_short(number, rng) for number in range(count)]


def _short(number: int, rng: random.Random) -> bytes:
    text = " ".join(f"{rng.choice(TOPICS).capitalize()} {rng.choice(DEEDS)}." for _ in range(rng.randint(5, 8)))
    head = HEAD.format(number=number, subject=rng.choice(TOPICS))
    return f"{head}Hello Bob,\r\n\r\n{text}\r\n\r\n{rng.choice(ENDS)}\r\n".encode()


def corpus_mails(index: Path, root: Path, split: str, count: int, rng: random.Random) -> list[bytes]:
    """Return a sample of a collection as it would come over the wire: CRLF, no NUL, a final line end."""
    with index.open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["split"] == split]
    rng.shuffle(paths)
    found = []
    for path in paths:
        raw = (root / path).read_bytes()
        if raw and b"\0" not in raw:
            lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            found.append(lines.removesuffix(b"\n").replace(b"\n", b"\r\n") + b"\r\n")
        if len(found) == count:
            break
    return found


def stuffed(mail: bytes) -> bytes:
    """Double the dots at line beginnings (RFC 5321 section 4.5.2)."""
    return (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:]


async def send(port: int, mail: bytes) -> tuple[float, bool]:
    """Send one mail in a connection of its own: seconds from dot to reply, and whether the reply was 250."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def say(line: bytes) -> bytes:
        writer.write(line)
        while True:
            answer = await reader.readline()
            if answer[3:4] != b"-":
                return answer

    try:
        for line in (b"", b"EHLO bench.example\r\n", b"MAIL FROM:<jo@shop.example>\r\n",
                     b"RCPT TO:<bob@corp.example>\r\n", b"DATA\r\n"):  # fmt: skip
            await say(line)
        writer.write(stuffed(mail) + b".\r\n")
        await writer.drain()
        begun = time.perf_counter()
        answer = await reader.readline()
        return time.perf_counter() - begun, answer.startswith(b"250")
    finally:
        writer.write(b"QUIT\r\n")
        writer.close()


async def capacity(port: int, mails: Iterator[bytes], clients: int, seconds: float) -> float:
    """Return the mails a second that `clients` get through, each sending its next as soon as it is answered."""
    end = time.perf_counter() + seconds
    done = 0

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < end:
            _, fine = await send(port, next(mails))
            done += fine

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - begun)


async def paced(port: int, mails: Iterator[bytes], rate: float, seconds: float) -> list[tuple[float, bool]]:
    """Send at a steady rate whether or not earlier mail has been answered."""
    begun = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(send(port, next(mails))))
    return await asyncio.gather(*tasks)


def cpu_seconds(pid: int) -> float:
    """Return the time that a process and all below it have had on a core: what neighbours on it cannot falsify."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(time_.user + time_.system for time_ in times)


def memory(pid: int) -> float:
    """Return the PSS of a process and all below it, in MB: shared pages are counted once."""
    root = psutil.Process(pid)
    return sum(process.memory_full_info().pss for process in (root, *root.children(recursive=True))) / 1e6


def seconds_to_ready(folder: Path, sink: Sink, workers: int, runs: int) -> float:
    """Return the median time from the start of the command until every worker is ready."""
    times = []
    for run in range(runs):
        place = folder / f"start{run}"
        place.mkdir()
        it = Serving(place, sink, workers=workers)
        begun = time.monotonic()
        it.start()
        times.append(time.monotonic() - begun)
        it.stop()
    return statistics.median(times)


def seconds_of_help(runs: int) -> float:
    """Return the median time of `gatepost --help`."""
    times = []
    for _ in range(runs):
        begun = time.monotonic()
        subprocess.run([*GATEPOST, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and the greatest, in milliseconds."""
    steps = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(steps[49] * 1e3, 1), "p99": round(steps[98] * 1e3, 1), "max": round(max(values) * 1e3, 1)}


def tokens(events: Sequence[dict[str, Any]], mails: Sequence[bytes]) -> dict[str, float]:
    """Return the mean number of windows and of tokens that the encoder sees of one mail, through the serving code."""
    from serving import MODEL

    from model.bundle import DEFAULT, Bundle
    from model.domains import DomainLists
    from model.extract import extract
    from model.facts import Site, facts
    from model.mail import Envelope
    from model.normalise import normalise
    from model.score import Scorer

    encoder = Scorer(Bundle.open(Path(MODEL) if MODEL else DEFAULT)).encoder
    lists, site = DomainLists.load(), Site(frozenset(), frozenset(), frozenset())
    lengths = []
    for mail in mails[:200]:
        extracted = extract(mail)
        known = facts(extracted, Envelope("jo@shop.example", ()), site, lists)
        windows = encoder.encode(normalise(extracted, known, lists))
        lengths.append([len(ids) for ids in windows.ids])
    return {
        "windows": round(statistics.mean(map(len, lengths)), 2),
        "tokens": round(statistics.mean(map(sum, lengths)), 1),
        "tokens_max": max(map(sum, lengths)),
        "kB": round(statistics.mean(map(len, mails)) / 1e3, 1),
        "scored": sum(event.get("p_bad") is not None for event in events) / max(1, len(events)),
    }


def main() -> int:
    """Run the bench and print one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cores", default="0", help="cores of the gateway, such as 0 or 0,1")
    options.add_argument("--client-core", type=int, default=(os.cpu_count() or 1) - 1)
    options.add_argument("--seconds", type=float, default=15.0)
    options.add_argument("--rate", type=float, default=0.0, help="pace; half the capacity if not given")
    options.add_argument("--mails", type=Path, help="index of a collection; short mails of our own without it")
    options.add_argument("--root", type=Path, default=Path())
    options.add_argument("--split", default="dev")
    options.add_argument("--count", type=int, default=400)
    options.add_argument("--runs", type=int, default=3, help="starts to time")
    given = options.parse_args()

    rng = random.Random(1)
    mails = (corpus_mails(given.mails, given.root, given.split, given.count, rng) if given.mails
             else short_mails(given.count, rng))  # fmt: skip
    cores = {int(core) for core in given.cores.split(",")}
    sink = Sink()
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-") as name:
        folder = Path(name)
        os.sched_setaffinity(0, cores)
        ready = seconds_to_ready(folder, sink, len(cores), given.runs)
        it = Serving(folder, sink, workers=len(cores))
        it.start()
        os.sched_setaffinity(0, {given.client_core})
        for thread in Path("/proc/self/task").iterdir():  # the next hop's thread as well
            os.sched_setaffinity(int(thread.name), {given.client_core})
        feed = itertools.cycle(mails)
        asyncio.run(capacity(it.port, feed, 2, 2.0))  # warm
        before, seen = cpu_seconds(it.process.pid), sink.count
        most = asyncio.run(capacity(it.port, feed, 4 * len(cores), given.seconds))
        busy = (cpu_seconds(it.process.pid) - before) / max(1, sink.count - seen)
        rate = given.rate or most / 2
        timed = asyncio.run(paced(it.port, feed, rate, given.seconds))
        size = memory(it.process.pid)
        events = it.events("message")
        it.stop()
    sink.close()
    stages = {key: round(statistics.mean(e["ms"].get(key, 0.0) for e in events), 1) for key in events[-1]["ms"]}
    print(json.dumps({
        "mails": "short" if not given.mails else f"{len(mails)} of {given.split}", "cores": sorted(cores),
        "capacity_per_core": round(most / len(cores), 1), "paced_rate": round(rate, 1),
        "cpu_ms_per_mail": round(busy * 1e3, 1),
        "dot_to_reply_ms": percentiles([seconds for seconds, _ in timed]),
        "not_250": sum(not ok for _, ok in timed), "mean_ms_by_stage": stages,
        "seen_by_the_encoder": tokens(events, mails), "pss_mb_per_worker": round(size / len(cores), 1),
        "ready_s": round(ready, 2), "help_s": round(seconds_of_help(given.runs), 2),
        "load_of_machine": [round(x, 1) for x in os.getloadavg()],
    }, indent=1))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
