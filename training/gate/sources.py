"""The gate's mail: the held-out written set that ships, this site's reviewed mail, and labelled collections.

Everything is read through the very functions that serve. Reviewed mail is read into a folder that is removed
afterwards: nothing of it is left in clear.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training.corpora import Corpora
from training.examples import Example, of_rows, of_written, pick_rows
from training.gate.parts import drawn, for_gate
from training.holdout import reasons
from training.letter import compose
from training.reading import Raw, Reader
from training.settings import TrainSettings
from training.store.entry import Filter, Origin
from training.store.errors import DataStoreError
from training.store.settings import DatasetSettings
from training.store.snapshots import snapshot
from training.store.store import DataStore
from training.triage.approval import approved, said
from training.written import FOLDER, Written
from training.written import load as load_written

WRITTEN, SITE, OUTSIDE = "written", "site", "outside"
MOST_OUTSIDE = 3_000
"""Messages of labelled collections that are looked at, in a drawn order."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class GateMail:
    """One labelled message of the gate. `certifies` tells whether how it was chosen says nothing about its score.

    `raw` gives the bytes as they came, `declared` the facts that are declared and not computed (written mail).
    """

    source: str
    example: Example
    certifies: bool
    raw: Callable[[], bytes]
    declared: Mapping[str, bool]
    weight: float = 1.0

    @property
    def sender(self) -> str:
        """Whom it counts for; mail of nobody counts for its group."""
        return self.example.sender or f"group {self.example.group}"


def written(
    reader: Reader, pairs: Sequence[str] | None = None, most: int | None = None, folder: Path = FOLDER
) -> Iterator[GateMail]:
    """Yield the written mail that no model may train on, at most about `most` messages, drawn by whole pairs.

    With `pairs`, the pairs of these names instead.
    """
    settings = TrainSettings().data
    every = load_written(folder)
    held = reasons(every, settings.held_out)
    named = set(held if pairs is None else pairs)
    messages = _drawn([m for m in every if m.group in named], most)
    examples = of_written(messages, reader, settings.seed, held)
    for message, example in zip(messages, examples, strict=True):
        yield GateMail(WRITTEN, example, True, partial(compose, message, settings.seed), message.facts)


def _drawn(messages: Sequence[Written], most: int | None) -> list[Written]:
    """Return whole pairs in a drawn order until there are enough."""
    pairs: dict[str, list[Written]] = {}
    for message in sorted(messages, key=lambda m: drawn(f"written:{m.group}")):
        pairs.setdefault(message.group, []).append(message)
    found: list[Written] = []
    for some in pairs.values():
        if most is not None and len(found) >= most:
            break
        found += some
    return found


def site(store: DataStore, reader: Reader, *, frozen: str = "", most_weight: float = 10.0) -> Iterator[GateMail]:
    """Yield the gate's part of this site's reviewed inbound mail: as it is now, or as a snapshot froze it.

    What was kept was chosen by its score, so it is compared on and never certifies. A label counts as in training:
    if as many people gave it as `[dataset] approvals` demands. Raises DataStoreError.
    """
    found = snapshot(store, frozen).entries if frozen else store.entries(Filter(labelled=True))
    counts = approved(said(store.history()), store.settings.approvals)
    mine = [e for e in found if counts(e) and e.direction == "inbound" and for_gate(e.group)]
    raws = (Raw(store.raw(e.digest), {}) for e in mine)
    for entry, seen in zip(mine, reader.read(raws), strict=True):
        if not seen.fault:
            example = Example(
                key=entry.digest, archive=SITE, source=entry.collection, split="test", group=entry.group,
                bad=bool(entry.bad), kind=entry.label if entry.bad else None, read=True, synthetic=False,
                year=entry.received.year if entry.received else None, lang=entry.lang, document=seen.document,
                facts=seen.facts, sender=seen.sender,
            )  # fmt: skip
            weight = min(entry.sample_weight, most_weight)
            yield GateMail(SITE, example, entry.origin is not Origin.KEPT,
                           partial(store.raw, entry.digest), {}, weight)  # fmt: skip


def outside(folder: Path, cache: Path, reader: Reader, tell: Tell) -> Iterator[GateMail]:
    """Yield real mail of the collections' `dev` split, which no model trains on. Raises CorporaError."""
    opened = Corpora.open(folder, cache)
    rows = [r for r in pick_rows(opened.rows, "dev", {}, TrainSettings().data.seed) if not r.synthetic][:MOST_OUTSIDE]
    by_key = {row.path: row for row in rows}
    for example in of_rows(opened, rows, reader, tell):
        yield GateMail(OUTSIDE, example, True, partial(opened.raw, by_key[example.key]), {})


@contextmanager
def collected(
    reader: Reader, dataset: DatasetSettings, *, pairs: Sequence[str] | None = None, frozen: str = "",
    most_written: int | None = None, corpora: Path | None = None, cache: Path, tell: Tell = lambda _: None,
) -> Iterator[list[GateMail]]:  # fmt: skip
    """Yield all of the gate's mail, with the data store open behind it; a site without one has no mail of its own.

    `pairs` names the written pairs of a candidate that does not say what it was trained on. Raises DataStoreError,
    CorporaError or WrittenError.
    """
    tell("reading the written mail that is held out")
    mail = list(written(reader, pairs, most_written))
    with ExitStack() as open_:
        if dataset.database.exists():
            tell("reading reviewed mail of the data store")
            store = open_.enter_context(DataStore.open(dataset))
            mail += site(store, reader, frozen=frozen, most_weight=dataset.most_weight)
        elif frozen:
            raise DataStoreError(f"{dataset.database}: no such file, so there is no snapshot {frozen}")
        if corpora is not None:
            tell("reading labelled collections")
            mail += outside(corpora, cache, reader, tell)
        yield mail
