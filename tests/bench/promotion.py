"""How long a promotion and a rollback take, and what clients notice: python tests/bench/promotion.py

A real gateway with two workers under load from three clients; the candidate is a copy of the shipped model with
another version, so the gate has all of its work and nothing to refuse.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from serving import GATEPOST, Serving, copy_of_model, serving, until

from model.bundle import MANIFEST, digest
from training.evaluation.trained import FILE, TrainedOn


class Clients:
    """Three threads that send one message after another; how long each took, and what went wrong."""

    def __init__(self, it: Serving) -> None:
        self.it = it
        self.took: list[tuple[float, float]] = []
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def _run(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                self.it.send()
                self.took.append((begun, time.monotonic() - begun))
            except Exception as error:  # noqa: BLE001 - whatever a client sees is counted
                self.errors.append(repr(error))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def slowest(self, since: float) -> str:
        """Messages since a moment, with the median and the slowest in milliseconds."""
        took = sorted(seconds for begun, seconds in self.took if begun >= since)
        return f"{len(took)} messages, median {took[len(took) // 2] * 1000:.0f} ms, slowest {took[-1] * 1000:.0f} ms"


def candidate(folder: Path) -> Path:
    """A copy that says what it was trained on (nothing of the gate's mail)."""
    copy = copy_of_model(folder, "copy-1")
    TrainedOn.of(["no mail of the gate"]).write(copy)
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"][FILE] = digest(copy / FILE)
    (copy / MANIFEST).write_text(json.dumps(manifest))
    return copy


def run(it: Serving, *words: str) -> tuple[float, dict]:
    """Run a command; return its seconds and what it says."""
    begun = time.monotonic()
    done = subprocess.run([*GATEPOST, "model", *words, "--json", "--config", str(it.config)], capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    if not done.stdout:
        sys.exit(done.stderr)
    return time.monotonic() - begun, json.loads(done.stdout)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as it:
        it.extra = f'[dataset]\npath = "{name}/dataset"\n[gate]\nslower = 3.0\nslowest_ms = 1000.0\n'
        it.start()
        clients = Clients(it)
        clients.start()
        try:
            until(lambda: len(clients.took) > 20, "no mail goes through")
            print(f"before      {clients.slowest(0)}")
            for words in (("promote", str(candidate(Path(name)))), ("rollback",)):
                begun = time.monotonic()
                seconds, told = run(it, *words)
                print(f"{words[0]:<10}  {seconds:.1f} s, {told['action']}, gateway {told['gateway']}")
                print(f"{'':<10}  meanwhile {clients.slowest(begun)}")
                for check in told["checks"]:
                    if not check["passed"]:
                        print(f"{'':<10}  FAILED {check['name']}: {check['detail']}")
        finally:
            clients.stop()
        print(f"clients     {len(clients.took)} messages, {len(clients.errors)} errors {clients.errors[:3]}")
        print(f"gateway     {[(e['event'], e.get('model')) for e in it.events('reload-done')]}")


if __name__ == "__main__":
    main()
