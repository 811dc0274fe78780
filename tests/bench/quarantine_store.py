"""How fast mail is kept, durably, and how small.

    python tests/bench/quarantine_store.py [--folder DISK] [--eml DIR]

Every keep is one commit with synchronous=FULL. Prints keeps a second for one process and for several at once, the
time of a keep, and stored against original octets: of text written here, and of the messages in DIR if given.
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from kept_mail import keep, mail, new_store, store_settings

from quarantine.search import Filter, find
from quarantine.stats import stats
from quarantine.store import Store

SIZE = 8192


def letters(number: int, size: int = SIZE) -> list[bytes]:
    """Write messages of invented words, as likely as Zipf has it, so that they compress as text does."""
    dice = random.Random(7)
    words = ["".join(dice.choices("etaoinshrdlucmfwyp", k=dice.randint(2, 9))) for _ in range(4000)]
    weights = [1 / (n + 1) for n in range(len(words))]
    made = []
    for _ in range(number):
        text = " ".join(dice.choices(words, weights, k=size // 4))
        made.append((b"Subject: x\r\n\r\n" + text.encode())[:size])
    return made


def keeps(folder: Path, bodies: list[bytes]) -> list[float]:
    """Keep each; return seconds for each."""
    took = []
    with Store.open(store_settings(folder)) as store:
        for octets in bodies:
            one = mail(octets)
            begun = time.perf_counter()
            keep(store, one)
            took.append(time.perf_counter() - begun)
    return took


def main() -> None:
    """Run and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path, default=None, help="where the database is made: the disk to measure")
    options.add_argument("--eml", type=Path, default=None, help="folder of messages to measure the size with")
    options.add_argument("--count", type=int, default=1000)
    options.add_argument("--processes", type=int, default=4)
    chosen = options.parse_args()
    bodies = letters(chosen.count)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        new_store(folder).close()
        took = sorted(keeps(folder, bodies))
        p99 = took[int(len(took) * 0.99)]
        print(f"one process: {len(took) / sum(took):.0f} keeps/s of {SIZE} octets, "
              f"median {statistics.median(took) * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms")  # fmt: skip
        with Store.open(store_settings(folder)) as store:
            show(store, "written text")
            begun = time.perf_counter()
            number = sum(1 for _ in find(store, Filter()))
            print(f"list: {number / (time.perf_counter() - begun):.0f} items/s opened")
        share = [(folder, bodies[n :: chosen.processes]) for n in range(chosen.processes)]
        begun = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(chosen.processes) as pool:
            everything = sorted(t for part in pool.starmap(keeps, share) for t in part)
        rate = len(everything) / (time.perf_counter() - begun)
        p99 = everything[int(len(everything) * 0.99)]
        print(f"{chosen.processes} processes: {rate:.0f} keeps/s with their start, p99 {p99 * 1e3:.1f} ms")
    if chosen.eml:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
            new_store(Path(name)).close()
            files = [path for path in sorted(chosen.eml.rglob("*")) if path.is_file()][: chosen.count]
            keeps(Path(name), [path.read_bytes() for path in files])
            with Store.open(store_settings(Path(name))) as store:
                show(store, str(chosen.eml))


def show(store: Store, what: str) -> None:
    """Print sizes."""
    found = stats(store)
    print(f"size, {what}: {found.messages} messages, {found.octets} octets stored in {found.stored} "
          f"({found.stored / found.octets:.1%})")  # fmt: skip


if __name__ == "__main__":
    main()
