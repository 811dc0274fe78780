"""A snapshot as the trainer and the evaluator see it: read through the code that serves, one vote a campaign."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from model.mail import Direction
from training.examples import Example
from training.reading import Raw, Reader
from training.store.entry import Entry, LabelSource, Snapshot
from training.store.errors import DataStoreError
from training.store.store import DataStore


def weights(entries: Sequence[Entry], most: float) -> list[float]:
    """Return the weight of each entry: its share of its campaign's one vote within its class.

    A sampled message stands for 1/p others, `most` at the most. Pure.
    """
    sizes = Counter((e.group, e.bad) for e in entries)
    return [min(max(e.sample_weight, 1.0), most) / sizes[e.group, e.bad] for e in entries]


def examples(
    store: DataStore,
    snapshot: Snapshot,
    reader: Reader,
    *,
    entries: Iterable[Entry] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Example]:
    """Return the inbound messages of a snapshot, or those of its `entries` that are given, as examples.

    `archive` is the collection, `key` the digest, by which `DataStore.raw` gives the bytes. What cannot be read is
    left out and counted through `tell`. Raises DataStoreError on an entry that is not labelled by a person or rule.
    """
    chosen = [e for e in (snapshot.entries if entries is None else entries) if e.direction is Direction.INBOUND]
    if unlabelled := [e for e in chosen if not e.trains]:
        raise DataStoreError(f"message {unlabelled[0].digest} has no label that may train")
    given = weights(chosen, store.settings.most_weight)
    found: list[Example] = []
    faults: Counter[str] = Counter()
    seen_of = reader.read(Raw(raw, {}) for raw in store.raws(e.digest for e in chosen))
    for entry, weight, seen in zip(chosen, given, seen_of, strict=True):
        if seen.fault:
            faults[f"{entry.collection}: {seen.fault}"] += 1
            continue
        found.append(
            Example(
                key=entry.digest,
                archive=entry.collection,
                source=entry.origin,
                split="train",
                group=entry.group,
                bad=bool(entry.bad),
                kind=entry.label if entry.bad else None,
                read=entry.label_source is LabelSource.REVIEW,
                synthetic=False,
                year=entry.received.year if entry.received else None,
                lang=entry.lang,
                document=seen.document,
                facts=seen.facts,
                weight=weight,
                sender=seen.sender,
            )
        )
        if len(found) % 1000 == 0:
            tell(f"read {len(found)} of {len(chosen)}")
    for what, n in sorted(faults.items()):
        tell(f"left out {n} of {what}")
    return found
