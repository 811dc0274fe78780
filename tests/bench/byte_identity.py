"""Byte identity at our own sockets: what goes in through the real session comes out unchanged at the next hop.

    python tests/bench/byte_identity.py --corpora FOLDER --cases FOLDER [--messages 2000] [--seed 1]

Messages of the corpora and all outside cases are sent over loopback, through session, spool, header filter and
next-hop client, to a sink that records octets. Line ends are made CRLF first, as any MTA in front would; what then
still holds a bare CR or NUL is not wire-legal. Verdicts are made up and vary (they do not touch the octets), so
that headers of every kind are prepended. Prints counts; exits 1 unless every wire-legal message with few enough
hops is identical below our fields and every other gets its row of the reply table, in both modes.
"""

import argparse
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from byte_sink import Received  # noqa: E402 - the path above comes first
from gateway_rig import Client, Rig, rig, score  # noqa: E402

from milter.trace import RECEIVED_LIMIT  # noqa: E402
from model.screen import Screening  # noqa: E402
from training.corpora import Corpora  # noqa: E402

LIMIT = 50_000_000
_HOP = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_OURS = re.compile(rb"(?:X-Gatepost-[A-Z][a-z]+: [ -~]{0,180}\r\n)+\Z")


def main() -> int:
    """Run both modes over everything and print what came of it."""
    options = _options()
    named = [*_corpus(options), *_cases(options.cases)]
    good = True
    for mode in ("before-queue", "after-queue"):
        with tempfile.TemporaryDirectory() as folder, rig(Path(folder), mode=mode, stage="observe") as it:
            begun = time.monotonic()
            counts, wrong = _run(it, named, mode)
            seconds = time.monotonic() - begun
        print(f"{mode}: {sum(counts.values())} messages in {seconds:.1f} s")
        for outcome, number in sorted(counts.items()):
            print(f"  {number:6}  {outcome}")
        for name in wrong[:20]:
            print(f"  WRONG   {name}")
        good = good and not wrong
    return 0 if good else 1


def _run(it: Rig, named: list[tuple[str, Path]], mode: str) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    wrong = []
    client = it.client()
    for at, (name, path) in enumerate(named):
        it.screener.answer = lambda mail, at=at: (
            Screening(fault="no-model") if at % 7 == 0 else Screening(score=score(at % 101 / 100))
        )
        it.screener.seen.clear()
        message = _wire(path.read_bytes())
        expected = _expected(message, mode)
        outcome = _send(it, client, message)
        kind = name.split("/")[0]
        counts[f"{kind}: {outcome}"] += 1
        if outcome != expected:
            wrong.append(f"{name}: {outcome}, expected {expected}")
        it.sink.received.clear()
        it.sink.raw.clear()
    client.say("QUIT", 221)
    return counts, wrong


def _send(it: Rig, client: Client, message: bytes) -> str:
    client.envelope()
    client.say("DATA", 354)
    client.send((b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
    code, text = client.reply()
    if code != 250:
        return f"{code} {text}"
    if "kept as" in text:
        return "held"
    (got,) = it.sink.received
    return "identical" if _same(got, message) else "CHANGED"


def _same(got: Received, message: bytes) -> bool:
    data = got.data
    return data.endswith(message) and _OURS.fullmatch(data[: len(data) - len(message)]) is not None


def _expected(message: bytes, mode: str) -> str:
    held = mode == "after-queue"
    if set(message.replace(b"\r\n", b"")) & {0, 10, 13}:
        return "held" if held else "550 5.5.2 bad line ending"
    head = message.partition(b"\r\n\r\n")[0]
    if len(_HOP.findall(head)) > RECEIVED_LIMIT:
        return "held" if held else "554 5.4.6 Too many hops"
    return "identical"


def _wire(data: bytes) -> bytes:
    """CRLF for LF, and a line end at the end; bare CR and NUL stay."""
    text = re.sub(rb"\r?\n", b"\r\n", data)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


def _corpus(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    if options.corpora is None:
        return
    opened = Corpora.open(options.corpora, options.cache)
    rows = sorted((row for row in opened.rows if row.kind == "raw"), key=lambda row: row.path)
    for row in random.Random(options.seed).sample(rows, min(options.messages, len(rows))):
        yield f"corpora/{row.path}", opened.root / row.path


def _cases(folder: Path | None) -> Iterator[tuple[str, Path]]:
    if folder is None:
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size < LIMIT:
            yield f"cases/{path.relative_to(folder)}", path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpora", type=Path, help="folder with index.csv")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "gatepost-corpora",
        help="where archives are unpacked, or have been",
    )
    parser.add_argument("--cases", type=Path, help="folder with outside cases, unpacked")
    parser.add_argument("--messages", type=int, default=2000, help="how many of the corpora")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
