"""The derived domain lists in one file: approximate membership by xor filters, and short plain lists.

A filter answers "is this name in the list?" in microseconds from about ten bits a name (Graf and Lemire, "Xor
filters", 2020): never no for a member, and yes for one stranger in 256.

Layout: magic, length of the header (4 octets, big endian), header (JSON), payload, SHA-256 of all before it. The
hash finds damage, not forgery: the file is as trusted as the package it lies in.
"""

import hashlib
import json
import mmap
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"GPLIST1\n"
_DIGEST = hashlib.sha256().digest_size
_SPARE = 1.23  # slots a name: below about 1.23 a random assignment of three slots each cannot be solved
_ROUNDS = 20
Section = dict[str, Any]


class ListsError(Exception):
    """The file of domain lists cannot be used; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class XorFilter:
    """Three blocks of one-octet fingerprints; a name belongs if its three slots give its fingerprint."""

    slots: memoryview | bytes
    block: int
    seed: int

    def __contains__(self, name: str) -> bool:
        a, b, c, mark = struct.unpack("<4I", _digest(name, self.seed))
        block, slots = self.block, self.slots
        found: int = (
            slots[a * block >> 32] ^ slots[block + (b * block >> 32)] ^ slots[2 * block + (c * block >> 32)]
        )
        return bool(found == mark & 0xFF)


def _digest(name: str, seed: int) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=16, key=seed.to_bytes(8, "big")).digest()


def build_filter(names: Iterable[str]) -> XorFilter:
    """Build a filter over distinct names. Deterministic: seeds are tried from 1 until the slots can be solved.

    Raises ValueError when no seed works, which repeated names would cause; they are therefore made distinct here.
    """
    members = sorted(set(names))
    block = int(len(members) * _SPARE / 3) + 16
    for seed in range(1, _ROUNDS + 1):
        digests = b"".join(_digest(name, seed) for name in members)
        words = np.frombuffer(digests, dtype="<u4").reshape(len(members), 4).astype(np.uint64)
        places = ((words[:, :3] * np.uint64(block)) >> np.uint64(32)).astype(np.int64)
        places += np.arange(3, dtype=np.int64) * block
        order = _peel(places, 3 * block)
        if order is not None:
            return XorFilter(_assign(places, (words[:, 3] & np.uint64(0xFF)).astype(np.uint8), order, 3 * block),
                             block, seed)
    raise ValueError("no seed solves the filter")


_Order = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]


def _peel(places: npt.NDArray[np.int64], size: int) -> _Order | None:
    """Return rounds of (members, the slot that each has to itself), or None if some never get one."""
    count = np.bincount(places.ravel(), minlength=size)
    joined = np.zeros(size, dtype=np.int64)  # the exclusive or of the members in a slot: the member, when alone
    for column in range(3):
        np.bitwise_xor.at(joined, places[:, column], np.arange(len(places)))
    order: _Order = []
    alone = np.flatnonzero(count == 1)
    left = len(places)
    while len(alone):
        members, first = np.unique(joined[alone], return_index=True)
        order.append((members, alone[first]))
        left -= len(members)
        touched = places[members]
        np.subtract.at(count, touched.ravel(), 1)
        np.bitwise_xor.at(joined, touched.ravel(), np.repeat(members, 3))
        candidates = np.unique(touched)
        alone = candidates[count[candidates] == 1]
    return None if left else order


def _assign(places: npt.NDArray[np.int64], marks: npt.NDArray[np.uint8], order: _Order, size: int) -> bytes:
    slots = np.zeros(size, dtype=np.uint8)
    for members, own in reversed(order):
        at = places[members]
        slots[own] = marks[members] ^ slots[at[:, 0]] ^ slots[at[:, 1]] ^ slots[at[:, 2]]
    return slots.tobytes()


def write(path: Path, facts: Mapping[str, Any], filters: Mapping[str, Iterable[str]],
          lines: Mapping[str, Iterable[str]]) -> None:
    """Write filters and plain lists, with `facts` (built, sources…) in the header. The file appears whole."""
    sections: dict[str, Section] = {}
    payload = bytearray()
    for name, members in filters.items():
        distinct = set(members)
        made = build_filter(distinct)
        sections[name] = {"kind": "xor8", "offset": len(payload), "length": len(made.slots),
                          "block": made.block, "seed": made.seed, "entries": len(distinct)}
        payload += made.slots
    for name, members in lines.items():
        distinct_lines = sorted(set(members))
        text = "\n".join(distinct_lines).encode()
        sections[name] = {"kind": "lines", "offset": len(payload), "length": len(text),
                          "entries": len(distinct_lines)}
        payload += text
    header = json.dumps({**facts, "sections": sections}, indent=1, sort_keys=True).encode()
    whole = MAGIC + struct.pack(">I", len(header)) + header + bytes(payload)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(whole + hashlib.sha256(whole).digest())
    fresh.replace(path)


class FilterFile:
    """A file of lists, mapped into memory. `header` is what `write` was told, with the sections."""

    def __init__(self, header: dict[str, Any], payload: memoryview) -> None:
        self.header = header
        self._payload = payload

    @classmethod
    def open(cls, path: Path) -> "FilterFile":
        """Map and check a file. Raises ListsError for a missing, truncated, damaged or newer one."""
        try:
            with path.open("rb") as file:
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise ListsError(f"{path}: cannot be read ({error}); run `gatepost lists refresh`") from error
        if bytes(data[: len(MAGIC)]) != MAGIC:
            raise ListsError(f"{path}: not a file of domain lists; run `gatepost lists refresh`")
        body = data[:-_DIGEST]
        if hashlib.sha256(body).digest() != bytes(data[-_DIGEST:]):
            raise ListsError(f"{path}: truncated or damaged; run `gatepost lists refresh`")
        start = len(MAGIC) + 4
        (length,) = struct.unpack(">I", data[len(MAGIC) : start])
        return cls(json.loads(bytes(body[start : start + length])), body[start + length :])

    def _section(self, name: str, kind: str) -> tuple[Section, memoryview]:
        section = self.header["sections"].get(name)
        if section is None or section["kind"] != kind:
            raise ListsError(f"the domain lists have no {name}; run `gatepost lists refresh`")
        return section, self._payload[section["offset"] : section["offset"] + section["length"]]

    def has(self, name: str) -> bool:
        """Whether there is a section of this name."""
        return name in self.header["sections"]

    def filter(self, name: str) -> XorFilter:
        """Return a filter by name."""
        section, slots = self._section(name, "xor8")
        return XorFilter(slots, section["block"], section["seed"])

    def lines(self, name: str) -> frozenset[str]:
        """Return a plain list by name."""
        return frozenset(bytes(self._section(name, "lines")[1]).decode().split("\n"))
