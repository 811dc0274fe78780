"""The data store as the reviewer meets it: what waits for a verdict, what was reviewed, and what a model makes of it.

Messages are read through the code that serves and through the reading cache; nothing is written to the store.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.head import TextInput
from model.mail import Direction
from model.score import Scorer
from model.text import document_words
from training.head import word_table
from training.reading import Raw, Reader
from training.store.entry import Entry
from training.store.store import DataStore

Tell = Callable[[str], None]
_BITS = 16  # of a bundle without a head of its own
_NO_VECTOR = np.empty(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Pile:
    """Messages in one order. `words`: CSR [n, 2^bits]; `scores`: calibrated probability of bad mail, empty if not
    asked for. `unread`: how many could not be read and are left out.
    """

    entries: tuple[Entry, ...]
    subjects: tuple[str, ...]
    words: Any
    scores: tuple[float, ...]
    unread: int = 0

    @property
    def groups(self) -> list[str]:
        """Campaigns."""
        return [e.group for e in self.entries]

    @property
    def bad(self) -> list[bool]:
        """Labels as ham against bad."""
        return [bool(e.bad) for e in self.entries]


def read(
    store: DataStore, entries: Sequence[Entry], reader: Reader, scorer: Scorer, *, scored: bool, tell: Tell
) -> Pile:
    """Read messages, and score them if asked. Raises DataStoreError, ScoringFailed, OSError, sqlite3.Error."""
    bits = scorer.head.bits if scorer.head else _BITS
    kept: list[Entry] = []
    subjects, given, scores = [], [], []
    seen_of = reader.read(Raw(raw, {}) for raw in store.raws(e.digest for e in entries))
    for number, (entry, seen) in enumerate(zip(entries, seen_of, strict=True), 1):
        if number % 200 == 0:
            tell(f"read {number} of {len(entries)}")
        if seen.fault:
            continue
        kept.append(entry)
        subjects.append(seen.document.subject)
        given.append(TextInput(_NO_VECTOR, document_words(scorer.encoder, seen.document, bits), 1))
        if scored:
            scores.append(scorer.score(seen.document, seen.facts).p_bad)
    return Pile(tuple(kept), tuple(subjects), _table(given, bits), tuple(scores), len(entries) - len(kept))


def _table(given: Sequence[TextInput], bits: int) -> Any:
    from scipy.sparse import csr_matrix

    return word_table(given, bits) if given else csr_matrix((0, 1 << bits))


def part(pile: Pile, rows: Sequence[int]) -> Pile:
    """Return some messages of a scored pile in the order of `rows`."""
    return Pile(
        tuple(pile.entries[n] for n in rows), tuple(pile.subjects[n] for n in rows),
        pile.words[np.array(rows, dtype=np.int64)], tuple(pile.scores[n] for n in rows), 0,
    )  # fmt: skip


def one_each(entries: Iterable[Entry], most: int, *, sides: bool = False) -> list[Entry]:
    """Return one inbound message of each campaign (with `sides`, of its ham and of its bad mail), at most `most`,
    the newest. Pure.

    Of a campaign, what somebody labelled or drafted comes before what nobody has thought about.
    """
    inbound = [e for e in entries if e.direction is Direction.INBOUND]
    ranked = sorted(
        inbound, key=lambda e: (e.trains, e.bad is not None, e.received or e.added, e.digest), reverse=True
    )
    found: dict[tuple[str, bool | None], Entry] = {}
    for entry in ranked:
        found.setdefault((entry.group, entry.bad if sides else None), entry)
    chosen = sorted(found.values(), key=lambda e: (e.received or e.added, e.digest), reverse=True)
    return chosen[:most]
