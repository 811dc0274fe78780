"""`gatepost score --json` and `gatepost extract --json` on outside mail: is every message answered, and how fast?

    python tests/bench/commands_on_outside_mail.py [--cases PATH] [--corpora FOLDER] [--messages 5000]

PATH and FOLDER are as for `extract_cases.py`, which samples the mail. The messages are written into a temporary
folder, each command is run once over all of it, and each line is timed from the one before. Prints a table; exit 1 if
a message was not answered, was answered with an error, took longer than two seconds, or if anything looks like a
traceback. A file that is an mbox gives several answers.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from extract_cases import cases, corpora

SECONDS = 2.0


def main() -> int:
    """Measure both commands and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(os.environ.get("GATEPOST_CASES", "../shared/cases.tar.xz"))
    parser.add_argument("--cases", type=Path, default=default)
    parser.add_argument("--corpora", type=Path, default=Path(os.environ.get("GATEPOST_CORPORA", "../shared/corpora")))
    parser.add_argument("--messages", type=int, default=5_000)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-") as name:
        folder = Path(name)
        count = 0
        for path, source in ((options.cases, cases), (options.corpora, lambda p: corpora(p, options.messages))):
            if not path.exists():
                print(f"left out: {path} is absent")
                continue
            for _, _, _, octets in source(path):
                (folder / f"{count:06}.eml").write_bytes(octets)
                count += 1
        print(f"{count} messages")
        print(f"{'command':<10}{'answered':>10}{'errors':>8}{'p50 ms':>9}{'p99 ms':>9}{'max s':>8}{'over 2 s':>10}")
        for command in ("extract", "score"):
            bad += run(command, folder, count)
    return 1 if bad else 0


def run(command: str, folder: Path, count: int) -> int:
    """Run one command over the folder, print its row, return how many things were wrong."""
    times: list[float] = []
    errors = 0
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen([sys.executable, "-P", "-m", "gatepost", command, "--json", str(folder)],
                                   stdout=subprocess.PIPE, stderr=complaints)
        assert process.stdout is not None
        last = time.monotonic()
        for line in process.stdout:
            now = time.monotonic()
            times.append(now - last)
            last = now
            errors += "error" in json.loads(line)
        process.wait()
        complaints.seek(0)
        traceback = complaints.read().count(b"Traceback")
    # the first line waits for the program and its model
    ordered = sorted(times[1:]) or [0.0]
    slow = sum(t > SECONDS for t in ordered)
    print(f"{command:<10}{len(times):>10}{errors:>8}{statistics.median(ordered) * 1000:>9.1f}"
          f"{ordered[int(len(ordered) * 0.99)] * 1000:>9.1f}{ordered[-1]:>8.2f}{slow:>10}")
    return errors + slow + traceback + max(0, count - len(times))


if __name__ == "__main__":
    sys.exit(main())
