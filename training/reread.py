"""Labels of collections that somebody read again and found wrong: `reread.toml`, by path.

A collection may be labelled as a whole, and be wrong for some of it. What is corrected here was found by reading the
whole of it, whatever any model said, or the figures would be polished.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from model.labels import Label

FILE = Path(__file__).parent / "reread.toml"
SOURCE = "read-again"
"""Label source of a corrected row: somebody read this very message."""


class RereadError(Exception):
    """The list of corrections is wrong; the text names the file, the message, and what was expected."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a message is, and why."""

    label: Label
    reason: str


def load(file: Path = FILE) -> dict[str, Correction]:
    """Read the corrections by path. Raises `RereadError`."""
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RereadError(f"{file}: {error}") from error
    found: dict[str, Correction] = {}
    for number, message in enumerate(given.get("message", ()), 1):
        where = f"{file}: message {number}"
        wanted = {"path", "label", "reason"}
        if set(message) != wanted or not all(isinstance(value, str) and value for value in message.values()):
            raise RereadError(f"{where}: expected path, label and reason as text, found {', '.join(sorted(message))}")
        if message["label"] not in list(Label):
            raise RereadError(f"{where}: label: expected one of {', '.join(Label)}, found {message['label']!r}")
        if message["path"] in found:
            raise RereadError(f"{where}: path: {message['path']} is there twice")
        found[message["path"]] = Correction(Label(message["label"]), message["reason"])
    return found

