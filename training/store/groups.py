"""Near-duplicates inside the store, found as mail comes in, so that a campaign is one group.

Candidates share a MinHash band (`training.dedup`); the sealed shingle sketches decide. Groups are the connected
parts, named after the smallest digest in them, so that the order in which mail came does not matter.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from sqlalchemy import Connection, insert, select, update

from quarantine.bodies import Vault
from training.dedup import Shingles, band_keys, overlap, shingles, sketch
from training.store.schema import bands, entries

NAME = 16
"""Letters of a digest that name a group."""
_EACH_BAND = 24  # entries of one band that are looked at: the members of one large campaign are all alike
_EACH_GROUP = 6  # members of one group that are compared


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is compared of a text. `mark` is the same for texts of the same shingles; all of it is keyed."""

    sketch: Shingles
    mark: bytes
    bands: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """Return the sketch as octets, to be sealed."""
        return self.sketch.astype("<u4").tobytes()


def likeness(text: str, key: bytes) -> Likeness:
    """Return what of a text is stored to group it. An empty text is like nothing."""
    found = shingles(text)
    if not len(found):
        return Likeness(found, b"", ())
    mark = hmac.digest(key, b"text" + found.tobytes(), sha256)
    keyed = (hmac.digest(key, b"band" + band, sha256)[:8] for band in band_keys(found))
    return Likeness(sketch(found), mark, tuple(int.from_bytes(k, signed=True) for k in keyed))


def open_sketch(data: bytes) -> Shingles:
    """Undo `Likeness.to_bytes`."""
    return np.frombuffer(data, dtype="<u4").astype(np.uint32)


class Grouping:
    """Finds the group of one new entry within a write transaction."""

    def __init__(self, connection: Connection, key: bytes, threshold: float) -> None:
        self._connection = connection
        self._key = key
        self._threshold = threshold

    def place(self, digest: str, like: Likeness) -> tuple[str, bool]:
        """Return the group for a new entry, joining groups that it connects, and whether it needs bands of its own.

        A text with the same shingles as a stored one is in its group already and is found through it.
        """
        own = digest[:NAME]
        if not like.mark:
            return own, False
        same = select(entries.c.grouped).where(entries.c.text_mark == like.mark).limit(1)
        if (found := self._connection.execute(same).scalar()) is not None:
            return self._join({str(found)}, own), False
        return self._join(self._near(like), own), True

    def _near(self, like: Likeness) -> set[str]:
        candidates = self._candidates(like.bands)
        near: set[str] = set()
        tried: dict[str, int] = {}
        wanted = select(
            entries.c.id, entries.c.digest, entries.c.grouped, entries.c.salt, entries.c.sketch
        ).where(entries.c.id.in_(candidates)).order_by(entries.c.id)  # fmt: skip
        for row in self._connection.execute(wanted) if candidates else ():
            if row.grouped in near or tried.get(row.grouped, 0) >= _EACH_GROUP:
                continue
            tried[row.grouped] = tried.get(row.grouped, 0) + 1
            stored = Vault(self._key, row.salt, row.digest).unseal_small("sketch", row.sketch)
            if overlap(like.sketch, open_sketch(stored)) >= self._threshold:
                near.add(row.grouped)
        return near

    def _candidates(self, keys: Iterable[int]) -> Sequence[int]:
        found: set[int] = set()
        for key in keys:
            query = select(bands.c.entry).where(bands.c.band == key).limit(_EACH_BAND)
            found.update(self._connection.execute(query).scalars())
        return sorted(found)[:900]

    def _join(self, groups: set[str], own: str) -> str:
        name = min({*groups, own})
        others = sorted(groups - {name})
        if others:
            self._connection.execute(update(entries).where(entries.c.grouped.in_(others)).values(grouped=name))
        return name


def add_bands(connection: Connection, entry: int, like: Likeness) -> None:
    """Make an entry findable by its bands."""
    if rows := [{"band": band, "entry": entry} for band in sorted(set(like.bands))]:
        connection.execute(insert(bands), rows)
