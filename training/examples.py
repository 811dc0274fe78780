"""Labelled messages as the trainer and the evaluator see them, and who of them trains.

Splits follow groups (near-duplicate keys) and pairs, never single files. Collections tell ham from bad only; the
kind of bad mail comes from rows that somebody read and from the written set.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from model.facts import Facts
from model.labels import BAD, Label
from model.normalise import Document
from training.corpora import Corpora, Row
from training.dedup import near_duplicates
from training.reading import Raw, Reader
from training.settings import DataSettings
from training.written import Written, WrittenError, compose

WRITTEN = "written"
"""Name of the written set where others have the name of their archive."""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled message. `kind` is None for ham, and for bad mail whose kind nobody told.

    `sender` is what intervals are counted by (see `Seen`); `held` says why a written message is never trained on,
    empty if it may be. `sector` and `theme` are the written set's own.
    """

    key: str
    archive: str
    source: str
    split: str
    group: str
    bad: bool
    kind: Label | None
    read: bool
    synthetic: bool
    year: int | None
    lang: str
    document: Document
    facts: Facts
    weight: float = 1.0
    sender: str = ""
    sector: str = ""
    theme: str = ""
    held: str = ""


def pick_rows(rows: Iterable[Row], split: str, caps: dict[str, int], seed: int) -> list[Row]:
    """Return the rows of a split, at most the cap of their source and class, drawn by group in a fixed order.

    A cap is named `archive/source:good`, `archive:good` or the same with `:bad`; the most exact name counts.
    """
    taken: Counter[str] = Counter()
    picked = []
    chosen = (r for r in rows if r.split == split)
    for row in sorted(chosen, key=lambda r: (_draw(seed, r.group), r.path)):
        side = "bad" if row.bad else "good"
        names = (f"{row.archive}/{row.source}:{side}", f"{row.archive}:{side}")
        name = next((n for n in names if n in caps), "")
        if name and taken[name] >= caps[name]:
            continue
        taken[name] += 1
        picked.append(row)
    return picked


def of_rows(
    corpora: Corpora, rows: Sequence[Row], reader: Reader, tell: Callable[[str], None] = lambda _: None
) -> list[Example]:
    """Read rows of a collection. What cannot be read is left out and counted through `tell`."""
    found: list[Example] = []
    faults: Counter[str] = Counter()
    for row, seen in zip(rows, reader.read(Raw(corpora.raw(r), {}) for r in rows), strict=True):
        if seen.fault:
            faults[f"{row.archive}: {seen.fault}"] += 1
            continue
        found.append(
            Example(
                key=row.path,
                archive=row.archive,
                source=row.source,
                split=row.split,
                group=row.group,
                bad=row.bad,
                kind=trusted_kind(row),
                read=row.read,
                synthetic=row.synthetic,
                year=row.year,
                lang=row.lang,
                document=seen.document,
                facts=seen.facts,
                sender=seen.sender,
            )
        )
        if len(found) % 1000 == 0:
            tell(f"read {len(found)} of {len(rows)}")
    for what, n in sorted(faults.items()):
        tell(f"left out {n} of {what}")
    return found


def trusted_kind(row: Row) -> Label | None:
    """Kind of a bad row where it may teach or measure: read rows, and fraud that a rule found on lists.

    A collector's one label for everything it holds (phishing of 2004-07, spam of 2002) is not a kind.
    """
    labels = {str(label): label for label in BAD}
    if row.label in labels and (row.read or row.split == "dev" or (row.archive == "lists" and row.label == "fraud")):
        return labels[row.label]
    return None


def of_written(
    messages: Sequence[Written], reader: Reader, seed: int, held: Mapping[str, str] = MappingProxyType({})
) -> list[Example]:
    """Compose and read the written set. Its pairs are its groups. Raises WrittenError where one is unreadable.

    `held`: reason why a pair, by its group's name, is kept out of training (`training.holdout`).
    """
    seen = list(reader.read(Raw(compose(m, seed), m.facts) for m in messages))
    if faults := [f"{m.key}: {s.fault}" for m, s in zip(messages, seen, strict=True) if s.fault]:
        raise WrittenError("\n".join(faults))
    return [
        Example(
            key=m.key,
            archive=WRITTEN,
            source=m.author,
            split="train",
            group=m.group,
            bad=m.label is not Label.HAM,
            kind=None if m.label is Label.HAM else m.label,
            read=True,
            synthetic=False,
            year=m.date.year,
            lang=m.lang,
            document=s.document,
            facts=s.facts,
            sender=s.sender,
            sector=m.sector,
            theme=m.theme,
            held=held.get(m.group, ""),
        )
        for m, s in zip(messages, seen, strict=True)
    ]


def weighed(examples: Iterable[Example], settings: DataSettings) -> list[Example]:
    """Give each example its weight: what is rare and to the point counts more, what is uniform less."""
    return [replace(e, weight=_weight(e, settings)) for e in examples]


def _weight(example: Example, settings: DataSettings) -> float:
    if example.archive == WRITTEN:
        return settings.written_weight
    if example.archive == "modern_ham" and example.source in settings.commercial:
        return settings.commercial_weight
    return settings.rule_weight if example.archive == "lists" else 1.0


def decontaminated(examples: Sequence[Example], measured: Iterable[Example], threshold: float) -> list[Example]:
    """Return the examples that are no near-duplicate, by text or by group, of a measured message."""
    held = list(measured)
    groups = {e.group for e in held}
    near = near_duplicates([e.document.text for e in examples], (e.document.text for e in held), threshold=threshold)
    return [e for e, copy in zip(examples, near, strict=True) if not copy and e.group not in groups]


def set_apart(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Part examples by group into those to train on and a share of all groups to keep back."""
    kept: list[Example] = []
    apart: list[Example] = []
    for example in examples:
        (apart if _draw(seed, f"apart:{example.group}") < share else kept).append(example)
    return kept, apart


def data_fingerprint(examples: Iterable[Example]) -> str:
    """Hash of the keys, labels and texts of a set of examples, whatever their order."""
    lines = sorted(
        f"{e.archive}|{e.key}|{e.bad}|{e.kind}|{hashlib.sha256(e.document.text.encode()).hexdigest()}"
        for e in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _draw(seed: int, name: str) -> float:
    """Number in [0, 1) that depends on the seed and the name alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") / 2**64
