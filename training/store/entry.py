"""What the data store holds, as values.

An entry is a message, once, whatever the number of times it was added. Its label is the newest that a person, an
import or a recorded bulk rule gave it; a draft is never more than a proposal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from model.labels import Label
from model.mail import Direction

BAD = "bad"
"""Label of bad mail whose kind nobody told."""
NAMES = (*(str(label) for label in Label), BAD)
"""Every label as it is written."""


class LabelSource(StrEnum):
    """Who says so."""

    REVIEW = "review"  # a person looked at this very message
    IMPORT = "import"  # a person added it as such, perhaps with many others
    RULE = "rule"  # a bulk rule that a person ran and that is on record
    DRAFT = "draft"  # a proposal: of a teacher model, or of somebody's report


TRAINS = (LabelSource.REVIEW, LabelSource.IMPORT, LabelSource.RULE)
"""Labels that may enter a snapshot. Drafts never do."""


class Origin(StrEnum):
    """How a message came to be looked at, which decides what it is evidence of."""

    KEPT = "kept"  # the gateway kept it: a biased choice
    SAMPLED = "sampled"  # delivered mail, drawn at random
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the store. `digest` is the SHA-256 of its bytes; times are aware UTC, `size` is in octets.

    `label` and `bad` are None without a label; bad mail of unknown kind has `label` None and `bad` True. `group` is
    shared by near-duplicates. `sample_weight` is 1/p of the sampling that brought it in, else 1. `received` is when
    the mail came, where it tells; `added` when it came into the store. `reporter` is who reported it, if anybody.
    """

    digest: str
    label: Label | None
    bad: bool | None
    label_source: LabelSource | None
    reviewer: str
    labelled: datetime | None
    sender: str
    sender_domain: str
    group: str
    collection: str
    provenance: str
    licence: str
    reporter: str
    direction: Direction
    origin: Origin
    sample_weight: float
    received: datetime | None
    added: datetime
    lang: str
    size: int

    @property
    def name(self) -> str:
        """The label as it is written; empty without one."""
        return written(self.label, self.bad)

    @property
    def trains(self) -> bool:
        """Whether the label may enter a snapshot."""
        return self.bad is not None and self.label_source in TRAINS


@dataclass(frozen=True, slots=True)
class LabelChange:
    """One line of the history of labels: never changed, only added. `before` and `after` are as written.

    `confidence` is how sure a drafting model said to be, from 0 to 1; people are not asked.
    """

    digest: str
    at: datetime
    by: str
    before: str
    after: str
    source: LabelSource
    reason: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a message beside its bytes when it is added. `label` is as written, empty for none."""

    label: str = ""
    source: LabelSource = LabelSource.IMPORT
    by: str = ""
    at: datetime | None = None
    reason: str = ""
    collection: str = "local"
    provenance: str = ""
    licence: str = ""
    reporter: str = ""
    direction: Direction = Direction.INBOUND
    origin: Origin = Origin.IMPORTED
    sample_weight: float = 1.0
    received: datetime | None = None
    lang: str = ""


class Outcome(StrEnum):
    """What became of a message that was to be added."""

    ADDED = "added"
    KNOWN = "known"
    LABELLED = "labelled"  # known, and labelled now
    DIFFERS = "known under another label"  # left as it was
    FORGOTTEN = "forgotten once, and not added again"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Added:
    """The outcome for one message; `why` says more where it was not added."""

    digest: str
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; an empty field filters nothing."""

    digest: str = ""
    collections: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    direction: Direction | None = None
    labels: tuple[str, ...] = ()
    labelled: bool | None = None
    drafts: bool | None = None
    group: str = ""
    sender: str = ""
    since: datetime | None = None


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen set of labelled messages. Labels and groups of `entries` are those of the day it was frozen.

    `superseded` says when a part of it was forgotten: its fingerprint then belongs to data that no longer exist.
    """

    name: str
    fingerprint: str
    created: datetime
    by: str
    resolved: str
    superseded: datetime | None
    entries: tuple[Entry, ...] = ()
    size: int = 0


def read_label(name: str) -> tuple[Label | None, bool | None]:
    """Return label and badness of a written label; (None, None) for the empty one. Raises ValueError."""
    if not name:
        return None, None
    if name == BAD:
        return None, True
    if name not in NAMES:
        raise ValueError(f"there is no label {name!r}; labels are {', '.join(NAMES)}")
    return Label(name), name != Label.HAM


def written(label: Label | None, bad: bool | None) -> str:
    """Undo `read_label`."""
    return str(label) if label is not None else BAD if bad else ""


def compatible(names: Sequence[str]) -> bool:
    """Whether labels can all be true of one campaign: bad mail of unknown kind may be of any kind."""
    kinds = set(names)
    return len(kinds - {BAD}) <= 1 and not (BAD in kinds and Label.HAM in kinds)
