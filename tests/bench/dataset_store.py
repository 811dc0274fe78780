"""How fast mail comes into the data store, is grouped, frozen, read and forgotten, and how small it is.

    python tests/bench/dataset_store.py [--count N] [--eml DIR]

Half of the written messages are strangers to each other, half are one campaign with a name and a code of its own in
each: the worst case of grouping. With DIR, its messages instead.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from dataset_rig import data_store, letter, put, said

from training.store.counts import status
from training.store.forget import Subject, forget
from training.store.snapshots import Resolve, freeze, snapshot

WORDS = 300


def messages(count: int) -> list[bytes]:
    dice = random.Random(7)
    words = ["".join(dice.choices("etaoinshrdlucmfwyp", k=dice.randint(2, 9))) for _ in range(4000)]
    campaign = dice.choices(words, k=WORDS)
    made = []
    for number in range(count):
        text = dice.choices(words, k=WORDS) if number % 2 else [f"name{number}", *campaign, f"code{number}"]
        made.append(letter(" ".join(text), sender=f"a@d{number % 97}.example"))
    return made


@contextmanager
def timed(what: str, count: int) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    took = time.perf_counter() - begun
    print(f"{what}: {took:.2f} s, {count / took:.0f} messages/s")


def main() -> None:
    """Run and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=2000)
    options.add_argument("--eml", type=Path, default=None, help="folder of messages to take instead of written ones")
    chosen = options.parse_args()
    files = sorted(p for p in chosen.eml.rglob("*") if p.is_file())[: chosen.count] if chosen.eml else []
    mail = [path.read_bytes() for path in files] or messages(chosen.count)
    with tempfile.TemporaryDirectory() as name, data_store(Path(name)) as data:
        with timed("add", len(mail)):
            put(data, *((raw, said("ham")) for raw in mail))
        with timed("add again", len(mail)):
            put(data, *((raw, said("ham")) for raw in mail))
        found = status(data)
        size = sum(path.stat().st_size for path in (Path(name) / "dataset").iterdir())
        print(f"{found.messages} messages in {found.groups} groups, {found.octets} octets in {size} "
              f"({size / max(found.octets, 1):.0%})")  # fmt: skip
        with timed("freeze", found.messages):
            freeze(data, "bench", by="bench", resolve=Resolve.DROP)
        with timed("read a snapshot", found.messages):
            made = snapshot(data, "bench")
        with timed("read the bytes", len(made.entries)):
            for entry in made.entries:
                data.raw(entry.digest)
        sender = made.entries[0].sender_domain
        with timed("forget a sender", found.messages):
            gone = forget(data, Subject(sender=sender), by="bench", cache=None)
        print(f"forgotten: {len(gone.digests)} messages of {sender}")


if __name__ == "__main__":
    main()
