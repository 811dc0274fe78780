"""Derive the compact file of domain lists from the packages `pymispwarninglists` and `publicsuffixlist`."""

import json
from collections.abc import Iterable
from datetime import date
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from publicsuffixlist import PublicSuffixList

from model.domains import AGAIN, DYNAMIC_AGAIN, read_hosts
from model.filterfile import write

MISSING = (
    "the package pymispwarninglists is not installed; it comes with the training extra: "
    "pip install 'gatepost[train]'"
)

# Popularity lists and the lists of institutions: who is on one of them is somebody. Name in the package, upstream,
# and what upstream says of its use as far as the package tells (it carries no licence file of an upstream list).
POPULAR = {
    "tranco": "Tranco, tranco-list.eu",
    "google-chrome-crux-1million": "Chrome UX report, by way of the crux-top-lists project",
    "moz-top500": "Moz top 500",
    "university_domains": "Hipo/university-domains-list",
    "bank-website": "MISP project",
}
OTHERS = {
    "disposable-email": "MISP project",
    "dynamic-dns": "MISP project",
}
LICENCE = "collection: BSD-3-Clause (MISP Project); upstream terms: see model/data/README.md"


class SourceMissing(Exception):
    """The package with the lists is not installed."""


def refresh(target: Path, built: date, hand_kept: Path) -> dict[str, Any]:
    """Build `target` and return its header facts. Raises SourceMissing, OSError or ValueError.

    `hand_kept` is the folder of the lists kept by hand: a domain that one of them calls free mail is left out of
    the disposable ones.
    """
    folder, version = lists_folder()
    suffixes = PublicSuffixList()
    raw = {name: _read(folder, name) for name in (*POPULAR, *OTHERS)}
    popular: set[str] = set()
    for name in POPULAR:
        popular |= _registrable(suffixes, raw[name]["list"])
    free = read_hosts(hand_kept / "free_mail.txt")
    disposable = _clean(raw["disposable-email"]["list"]) - free
    dynamic = _clean(raw["dynamic-dns"]["list"])
    facts = {
        "format": 1,
        "built": built.isoformat(),
        "packages": {"pymispwarninglists": version, "publicsuffixlist": metadata.version("publicsuffixlist")},
        "sources": [_source(name, upstream, raw[name]) for name, upstream in {**POPULAR, **OTHERS}.items()],
    }
    write(
        target,
        facts,
        {"popular": popular, "dynamic": dynamic - popular,
         DYNAMIC_AGAIN: (AGAIN + name for name in dynamic - popular)},
        {"disposable": disposable, "banks": _registrable(suffixes, raw["bank-website"]["list"])},
    )
    return facts


def lists_folder() -> tuple[Path, str]:
    """Return where the installed package keeps its lists, and its version. Raises SourceMissing."""
    try:
        package = resources.files("pymispwarninglists")
    except ModuleNotFoundError as error:
        raise SourceMissing(MISSING) from error
    folder = Path(str(package)) / "data" / "misp-warninglists" / "lists"
    return folder, metadata.version("pymispwarninglists")


def _read(folder: Path, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / name / "list.json").read_text(encoding="utf-8"))
    return data


def _source(name: str, upstream: str, data: dict[str, Any]) -> dict[str, Any]:
    version = str(data["version"])
    made = f"{version[:4]}-{version[4:6]}-{version[6:]}" if len(version) == len("20250115") else "1970-01-01"
    return {"name": name, "upstream": upstream, "version": version, "date": made, "licence": LICENCE,
            "entries": len(data["list"])}


def _clean(names: Iterable[str]) -> set[str]:
    return {name.strip().strip(".").lower() for name in names} - {""}


def _registrable(suffixes: PublicSuffixList, names: Iterable[str]) -> set[str]:
    found = {suffixes.privatesuffix(name) for name in _clean(names)}
    return {name for name in found if name}
