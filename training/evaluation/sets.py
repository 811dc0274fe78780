"""Which mail may be measured, by set: nothing that trained the model, made-up messages apart.

`dev` and the later part of `site` of the outside collections, and what of the written set is only ever measured.
Legitimate mail is further parted into slices, each of which has to bear the threshold by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.domains import DomainLists
from training.corpora import Corpora
from training.evaluation.figures import Floats, Ints
from training.evaluation.trained import TrainedOn
from training.examples import WRITTEN, Example, of_rows, pick_rows
from training.gather import Material, Tell
from training.reading import Reader
from training.settings import TrainSettings

SITE = "site"
HOUSEHOLD = "household"
MADE_UP = " (made up)"
"""Suffix of the part of a set that is templates and placeholders; never in a headline."""
LISTS_SINCE = 2018
"""Sender in no list is only told of mail that today's lists can speak about."""
ALL_TAKEN = "all of it"


class RefusedError(Exception):
    """A set that must not be measured, or does not exist; the text says why and which exist."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Messages measured together. `groups` are who each counts for; `weight` is 1/p of the sampling; `taken` says it.

    `groups` joins messages of one sender and near-duplicates: both are one piece of evidence.
    """

    name: str
    examples: tuple[Example, ...]
    groups: tuple[str, ...]
    weight: Floats
    taken: str = ALL_TAKEN

    @classmethod
    def of(cls, name: str, examples: Sequence[Example], *, weight: Floats | None = None,
           taken: str = ALL_TAKEN) -> "Sample":  # fmt: skip
        """Make a sample of examples that all weigh the same, unless their weights are given."""
        own = np.ones(len(examples)) if weight is None else weight
        return cls(name, tuple(examples), tuple(evidence_groups(examples)), own, taken)

    @property
    def bad(self) -> Ints:
        """1 for each bad message, 0 for each legitimate one."""
        return np.array([int(e.bad) for e in self.examples], dtype=np.int64)

    @property
    def made_up(self) -> bool:
        """Whether it is the made-up part of a set."""
        return self.name.endswith(MADE_UP)

    def only(self, wanted: Callable[[Example], bool]) -> "Sample":
        """Return the part of the sample that is wanted."""
        at = [n for n, e in enumerate(self.examples) if wanted(e)]
        return Sample(
            self.name,
            tuple(self.examples[n] for n in at),
            tuple(self.groups[n] for n in at),
            self.weight[at],
            self.taken,
        )


def evidence_groups(examples: Sequence[Example]) -> list[str]:
    """Join messages that share a sender or a near-duplicate key, and name each message's joint group."""
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    keys = []
    for example in examples:
        key = f"group:{example.archive}:{example.group}"
        keys.append(key)
        if example.sender:
            parent[top(key)] = top(f"sender:{example.sender}")
    return [top(key) for key in keys]


def samples(
    record: Mapping[str, Any],
    settings: TrainSettings,
    material: Material,
    corpora: Path | None,
    tell: Tell,
    wanted: Sequence[str] = (),
    *,
    by_content: bool = False,
) -> dict[str, Sample]:
    """Return the wanted sets by name (all, if none is named), headline sets first. Raises RefusedError.

    `by_content`: what trained the model will be left out by its content, so that all written mail that is held out
    today may be measured; otherwise only what its record names.
    """
    refuse_train(wanted)
    parts: dict[str, list[Example]] = {}
    for example in material.dev:
        name = example.archive + (MADE_UP if example.synthetic else "")
        parts.setdefault(name, []).append(example)
    if corpora is not None and (not wanted or SITE in wanted):  # the largest: read only where it is asked for
        parts[SITE] = late_site(settings, corpora, tell)
    if own := _written(record, material, by_content=by_content):
        parts[WRITTEN] = own
    if missing := [name for name in wanted if name not in parts]:
        known = sorted({*parts, *({SITE} if corpora else ())})
        raise RefusedError(f"{missing[0]}: no such set to measure; there are: {', '.join(known) or 'none'}")
    order = sorted(parts, key=lambda n: (n != HOUSEHOLD, n != WRITTEN, n != SITE, n))
    chosen = [name for name in order if (not wanted or name in wanted) and parts[name]]
    return {name: Sample.of(name, parts[name], taken=_taken(name, settings)) for name in chosen}


def _taken(name: str, settings: TrainSettings) -> str:
    """Say what a set is evidence of."""
    if name == SITE:
        return (
            f"a collector's stream after {settings.fusion.last_site_year}; only the facts of earlier years may train"
        )
    if name == WRITTEN:
        return "held out whole: authors, sectors, languages, senders; whoever wrote it knew the answer"
    return "all of it; dev: models were chosen on it, so it flatters" if name == HOUSEHOLD else "all of dev's mail"


def refuse_train(wanted: Iterable[str]) -> None:
    """Raise RefusedError where somebody asks for the training mail itself."""
    if "train" in wanted:
        raise RefusedError(
            "train: the model was trained on this split, so figures on it would say nothing; "
            "measure on the sets of dev, on site, or on the written mail that was held out"
        )


def _written(record: Mapping[str, Any], material: Material, *, by_content: bool) -> list[Example]:
    """Written mail that this very model was not trained on, whatever today's settings hold out."""
    held = set(record.get("held_out_pairs", ()))
    every = (*material.held, *material.calibration, *material.train)
    return [e for e in every if e.archive == WRITTEN and (e.group in held or (by_content and e.held))]


def late_site(settings: TrainSettings, corpora: Path, tell: Tell) -> list[Example]:
    """Read the part of the site's stream that set no weight."""
    opened = Corpora.open(corpora, settings.cache)
    late = [
        r
        for r in pick_rows(opened.rows, "site", {}, settings.data.seed)
        if r.year is not None and r.year > settings.fusion.last_site_year
    ]
    with Reader(settings.cache, DomainLists.load()) as reader:
        return of_rows(opened, late, reader, tell)


def without_copies(sample: Sample, trained: TrainedOn) -> tuple[Sample, int]:
    """Leave out what the model has seen in training, by content; return how many messages that were.

    Raises RefusedError where it is most of the set: then the set is training mail under another name.
    """
    copy = trained.near([e.document.text for e in sample.examples])
    count = int(copy.sum())
    if count * 2 > len(sample.examples):
        raise RefusedError(
            f"{sample.name}: {count} of {len(sample.examples)} messages are, or nearly are, mail that the model was "
            "trained or calibrated on, so figures on it would say nothing; measure on other mail"
        )
    seen = {id(e) for e, is_copy in zip(sample.examples, copy, strict=True) if is_copy}
    return (sample.only(lambda e: id(e) not in seen) if count else sample), count


def slices(settings: TrainSettings) -> dict[str, Callable[[Example], bool]]:
    """Name the kinds of real legitimate mail that are told apart, with how to know them."""
    commercial = set(settings.data.commercial)
    named = {"openbmc_list", "abusix"}

    def modern(source: Callable[[str], bool]) -> Callable[[Example], bool]:
        return lambda e: e.archive == "modern_ham" and source(e.source)

    return {
        "real commercial mail": modern(lambda s: s in commercial),
        "engineers' HTML mail (openbmc_list)": modern(lambda s: s == "openbmc_list"),
        "notices to abuse desks (abusix)": modern(lambda s: s == "abusix"),
        "other modern_ham": modern(lambda s: s not in commercial | named),
        "household": lambda e: e.archive == HOUSEHOLD,
        "lists": lambda e: e.archive == "lists",
        "bounces and auto-replies": lambda e: e.archive == "sisimai",
        "hard ham": lambda e: e.archive == "spamassassin",
        "Chinese": lambda e: e.archive == "zh_ccert" or (e.lang == "zh" and e.archive != WRITTEN),
        "odd charsets and structures": lambda e: e.archive in {"zammad", "mikel_mail"},
        "written, held out": lambda e: e.archive == WRITTEN,
        "sender in no list (since 2018)": lambda e: (
            e.archive != WRITTEN and e.facts.sender_known is not True and e.year is not None and e.year >= LISTS_SINCE
        ),
        "household, sender in no list": lambda e: e.archive == HOUSEHOLD and e.facts.sender_known is not True,
    }
