"""Drafts for the unlabelled mail of the data store: one mail after the other, each written down before the next."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from training.store.entry import Entry, Filter, LabelSource
from training.store.labelling import give
from training.store.store import DataStore
from training.teacher.asking import Asker, Became, Drafted
from training.teacher.errors import TeacherBusy, TeacherError
from training.teacher.prompt import SYSTEM, written
from training.teacher.settings import TeacherSettings
from training.teacher.view import View, Viewer

IN_A_ROW = 3
"""Mails without any answer, one after the other, at which the server counts as broken and the run ends."""
_SAMPLE = 40
_OCTETS_PER_TOKEN = 3.5
"""Of UTF-8. English has about 4.4 in current tokenisers, other scripts 2.5 to 4; for an estimate."""
_ANSWER_TOKENS = 80


def author(model: str) -> str:
    """The name under which a teacher's drafts stand in the data store."""
    return f"teacher {model}"


def waiting(store: DataStore, wanted: Filter) -> list[Entry]:
    """Return what has neither a label nor a draft, oldest first."""
    return store.entries(replace(wanted, labelled=False, drafts=False))


def draft(store: DataStore, entries: Sequence[Entry], viewer: Viewer, asker: Asker, by: str) -> Iterator[Drafted]:
    """Draft labels and yield what became of each mail. Raises TeacherError; what was drafted before it stays.

    Stopped at any moment and run again, it goes on where it was: a draft is one transaction, and an answer that
    was paid for is remembered before it is used.
    """
    silent = 0
    for entry in entries:
        try:
            done = asker.draft(entry.digest, viewer.view(store.raw(entry.digest)))
        except TeacherBusy as error:
            done = Drafted(Became.FAILED, why=str(error))
        silent = silent + 1 if done.became is Became.FAILED else 0
        if done.answer is not None:
            given = {entry.digest: str(done.answer.label)}
            give(store, given, source=LabelSource.DRAFT, by=by, reason=done.answer.reason,
                 confidence=done.answer.confidence)  # fmt: skip
        yield done
        if silent >= IN_A_ROW:
            raise TeacherError(f"{IN_A_ROW} mails in a row had no answer; the last: {done.why}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What drafting will take, before anything is sent. Tokens and cost are for all mails, seconds at least.

    `measured` tells whether seconds know this model's own pace, or only the limit of requests.
    """

    mails: int
    tokens_in: int
    tokens_out: int
    cost: float
    seconds: float
    measured: bool
    removed: Counter[str]


def estimate(
    store: DataStore, entries: Sequence[Entry], view: Callable[[bytes], View], settings: TeacherSettings,
    pace: float | None,
) -> Estimate:  # fmt: skip
    """Estimate from at most forty mails, spread evenly. Repairs and the cache are not reckoned with."""
    step = max(1, len(entries) // _SAMPLE)
    sample = entries[::step][:_SAMPLE]
    views = [found for found in (view(store.raw(entry.digest)) for entry in sample) if not found.fault]
    octets = sum(len(written(found.data).encode()) for found in views) / max(1, len(views)) + len(SYSTEM)
    tokens_in = int(octets / _OCTETS_PER_TOKEN * len(entries))
    tokens_out = _ANSWER_TOKENS * len(entries)
    removed: Counter[str] = Counter()
    for found in views:
        removed.update(found.removed)
    return Estimate(
        mails=len(entries),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost=(tokens_in * settings.price_in + tokens_out * settings.price_out) / 1e6,
        seconds=len(entries) * max(60.0 / settings.requests_per_minute, pace or 0.0),
        measured=pace is not None,
        removed=removed,
    )
