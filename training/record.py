"""The record of a run: one JSON object a line, as it happens, so that an interrupted run has one too."""

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RECORD = "run.jsonl"
PICTURE = "run.png"
PACKAGES = ("gatepost", "torch", "transformers", "peft", "onnx", "onnxruntime", "scikit-learn", "numpy", "tokenizers")


class RunRecord:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        """Start the file anew. Raises OSError."""
        self._path = path
        path.write_text("", encoding="utf-8")

    def note(self, event: dict[str, Any]) -> None:
        """Append one event. Raises OSError."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False, sort_keys=True) + "\n")


def versions() -> dict[str, str]:
    """Return the versions of Python and of what a run depends on; a package that is absent is left out."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def curve(path: Path) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Return the points (step, loss) of training and of watched mail from a record. Raises OSError, ValueError."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    trained = [(int(e["step"]), float(e["loss"])) for e in lines if e.get("event") == "step"]
    watched = [(int(e["step"]), float(e["watched_loss"])) for e in lines if "watched_loss" in e]
    return trained, watched
