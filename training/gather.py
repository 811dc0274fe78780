"""All labelled mail of one run, in its parts: trained on, kept back to calibrate, measured.

Without outside collections the written set is all there is, and the report says what that means.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model.domains import DomainLists
from training.corpora import Corpora
from training.examples import (
    Example,
    decontaminated,
    of_rows,
    of_written,
    pick_rows,
    set_apart,
    weighed,
)
from training.holdout import reasons
from training.reading import Reader
from training.settings import HeldOut, TrainSettings
from training.written import FOLDER, Written
from training.written import load as load_written

Tell = Callable[[str], None]


class DataError(Exception):
    """There is not enough labelled mail of some class; the text says where and how much."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a run works with. `site` is used for its facts alone; `dev` only to keep clear of it, and to measure.

    `held` is the part of the written set that is only measured; each message says why (`Example.held`).
    """

    train: list[Example]
    calibration: list[Example]
    dev: list[Example]
    site: list[Example]
    notes: tuple[str, ...]
    held: list[Example] = field(default_factory=list)

    @property
    def outside(self) -> bool:
        """Whether any mail of outside collections is in it."""
        return bool(self.dev or self.site)


def gather(
    settings: TrainSettings, corpora: Path | None, tell: Tell, *, written: Path = FOLDER, hold_out_author: str = ""
) -> Material:
    """Read, weigh, decontaminate and part. Raises CorporaError, WrittenError or DataError.

    `hold_out_author` holds out everything of one more author of the written set.
    """
    messages = load_written(written)
    held = reasons(messages, _held_out(settings.data.held_out, messages, hold_out_author))
    with Reader(settings.cache, DomainLists.load()) as reader:
        own = weighed(of_written(messages, reader, settings.data.seed, held), settings.data)
        rows, dev, site = _outside(settings, corpora, reader, tell)
    notes: list[str] = []
    clean = decontaminated(rows, dev, settings.data.near_duplicate)
    if rows:
        notes.append(
            f"{len(rows) - len(clean)} of {len(rows)} training messages were near-duplicates of measured "
            f"mail (Jaccard ≥ {settings.data.near_duplicate}) and are left out"
        )
    kept, apart = set_apart(clean, settings.data.calibration_share, settings.data.seed)
    if settings.data.site_trains:
        kept += weighed(site, settings.data)
        notes.append(f"{len(site)} messages of the site's stream train with their text: not a model to release")
    ours = [e for e in own if not e.held]
    own_kept, own_apart = set_apart(ours, settings.data.calibration_share, settings.data.seed)
    only_measured = [e for e in own if e.held]
    material = Material(kept + own_kept, apart + own_apart, dev, site, tuple(notes), only_measured)
    for note in notes:
        tell(note)
    _enough(material.train, settings.data.smallest_class)
    return material


def _outside(
    settings: TrainSettings, corpora: Path | None, reader: Reader, tell: Tell
) -> tuple[list[Example], list[Example], list[Example]]:
    """Read the collections: capped training rows, all of dev, and the site's stream to the last year for facts."""
    if corpora is None:
        return [], [], []
    opened = Corpora.open(corpora, settings.cache)
    if opened.corrected:
        tell(f"{opened.corrected} labels of the index, found wrong by reading, are corrected (training/reread.toml)")
    seed, last = settings.data.seed, settings.fusion.last_site_year
    train = of_rows(opened, pick_rows(opened.rows, "train", settings.data.caps, seed), reader, tell)
    dev = of_rows(opened, pick_rows(opened.rows, "dev", {}, seed), reader, tell)
    early = [r for r in pick_rows(opened.rows, "site", {}, seed) if r.year is not None and r.year <= last]
    return weighed(train, settings.data), dev, of_rows(opened, early, reader, tell)


def _held_out(settings: HeldOut, messages: Sequence[Written], author: str) -> HeldOut:
    if author and author not in {m.author for m in messages}:
        raise DataError(f"the written set has no author {author!r}")
    return settings.model_copy(update={"authors": (*settings.authors, author)}) if author else settings


def _enough(train: Sequence[Example], smallest: int) -> None:
    for name, count in (("ham", sum(not e.bad for e in train)), ("bad", sum(e.bad for e in train))):
        if count < smallest:
            raise DataError(
                f"{count} training messages are {name}; expected at least {smallest} "
                "(data.smallest_class): add messages to the written set, or give --corpora"
            )
