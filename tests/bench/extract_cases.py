"""Measure extraction on outside mail: is every message answered, how fast, and what share of honest mail is flagged?

    python tests/bench/extract_cases.py [--cases PATH] [--corpora FOLDER] [--messages 5000]

PATH is the folder or `.tar.xz` of outside cases (GATEPOST_CASES, else ../shared/cases.tar.xz). FOLDER holds
`index.csv` and either the unpacked files or the archives it names (GATEPOST_CORPORA, else ../shared/corpora). What is
absent is left out, by name. Exit 1 if a message was not answered or took longer than two seconds.
"""

import argparse
import csv
import os
import random
import statistics
import sys
import tarfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from model.child import ExtractionFailed, Extractor
from model.extracted import Limits
from model.mail import RawMessage

SECONDS = 2.0
PATIENCE = 20.0  # so that a slow message is measured and not only counted
SEED = 20


def main() -> int:
    """Measure, print two tables, and say by the exit status whether the promise holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(os.environ.get("GATEPOST_CASES", "../shared/cases.tar.xz"))
    parser.add_argument("--cases", type=Path, default=default)
    parser.add_argument("--corpora", type=Path, default=Path(os.environ.get("GATEPOST_CORPORA", "../shared/corpora")))
    parser.add_argument("--messages", type=int, default=5_000, help="how many of the corpora, an even share of each")
    options = parser.parse_args()
    bench = Bench()
    for name, path, source in (
        ("cases", options.cases, cases(options.cases)),
        ("corpora", options.corpora, corpora(options.corpora, options.messages)),
    ):
        if path.exists():
            bench.run(source)
        else:
            print(f"left out: the outside {name} ({path} is absent)")
    bench.show()
    return 1 if bench.failed or bench.slow() else 0


Item = tuple[str, str, str, bytes]
"""Group, name, label ("" if none), octets."""


def cases(path: Path) -> Iterator[Item]:
    """Yield every file of the outside cases."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            yield "cases", str(file.relative_to(path)), "", file.read_bytes()
        return
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)):
                yield "cases", member.name, "", file.read()


def corpora(folder: Path, messages: int) -> Iterator[Item]:
    """Yield whole messages, as many of each corpus as of the others while it has them."""
    by_archive: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (folder / "index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "raw":
                by_archive[row["archive"]].append(row)
    chance = random.Random(SEED)
    left = messages
    for number, (name, rows) in enumerate(sorted(by_archive.items(), key=lambda pair: len(pair[1]))):
        share = chance.sample(rows, min(len(rows), left // (len(by_archive) - number)))
        left -= len(share)
        labels = {row["path"]: row["label"] for row in share}
        for path, data in _files(folder, name, labels):
            yield name, path, labels[path], data


def _files(folder: Path, name: str, wanted: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    packed = folder / f"{name}.tar.xz"
    if not packed.exists():
        for path in sorted(wanted):
            yield path, (folder / path).read_bytes()
        return
    with tarfile.open(packed) as archive:
        for member in archive:
            if member.name in wanted and (file := archive.extractfile(member)):
                yield member.name, file.read()


class Bench:
    """Runs messages through the killable child and keeps what is told of them."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.octets: Counter[str] = Counter()
        self.all: list[tuple[float, int, str]] = []
        self.failed: list[str] = []
        self.honest: Counter[str] = Counter()
        self.flags: dict[str, Counter[str]] = defaultdict(Counter)

    def run(self, source: Iterator[Item]) -> None:
        with Extractor(Limits()) as extractor:
            extractor.extract(RawMessage.of(b"Subject: warm\n\nup"), timeout=PATIENCE)
            for group, name, label, data in source:
                raw = RawMessage.of(data)
                started = time.perf_counter()
                try:
                    found = extractor.extract(raw, timeout=PATIENCE)
                except ExtractionFailed as failure:
                    self.failed.append(f"{group}/{name}: {failure.reason}")
                    continue
                spent = time.perf_counter() - started
                codes = {d.code for d in found.defects}
                if "extractor-fault" in codes:
                    self.failed.append(f"{group}/{name}: our own fault")
                self.times[group].append(spent)
                self.octets[group] += len(data)
                self.all.append((spent, len(data), f"{group}/{name}"))
                if label == "ham":
                    self.honest[group] += 1
                    self.flags[group].update(codes)

    def slow(self) -> list[tuple[float, int, str]]:
        """Return the messages beyond the promise."""
        return [one for one in self.all if one[0] > SECONDS]

    def show(self) -> None:
        """Print the tables."""
        print(f"{'group':<16}{'messages':>9}{'mean KB':>9}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
        for group, times in self.times.items():
            ms = sorted(1000 * t for t in times)
            print(f"{group:<16}{len(ms):>9}{self.octets[group] / len(ms) / 1024:>9.1f}{statistics.median(ms):>9.2f}"
                  f"{ms[int(len(ms) * 0.99)]:>9.1f}{ms[-1]:>9.1f}")
        print("\nslowest:")
        for spent, size, name in sorted(self.all, reverse=True)[:8]:
            print(f"{1000 * spent:>9.1f} ms {size / 1024:>9.1f} KB  {name}")
        print("\nshare of honest mail with a defect, in %:")
        for group, count in self.honest.items():
            shares = ", ".join(f"{code} {100 * n / count:.1f}" for code, n in self.flags[group].most_common(8))
            print(f"{group:<16}{count:>6}  {shares or 'none'}")
        print(f"\nanswered {len(self.all)}, failed {len(self.failed)}, over {SECONDS:.0f} s {len(self.slow())}")
        for line in self.failed:
            print(f"failed: {line}")


if __name__ == "__main__":
    sys.exit(main())
