"""The second approval: a label that trains only once different people gave the same one. Pure."""

from collections.abc import Callable, Iterable, Mapping

from training.store.entry import TRAINS, Entry, LabelChange
from training.triage.agreement import words_of

Words = Mapping[str, Mapping[str, str]]


def said(history: Iterable[LabelChange]) -> Words:
    """Return by message what each person says of it now; drafts are no person's word."""
    return words_of(history, TRAINS)


def approvers(entry: Entry, words: Words) -> frozenset[str]:
    """Return who gave the label that an entry has now."""
    return frozenset(by for by, label in words.get(entry.digest, {}).items() if label == entry.name)


def approved(words: Words, needed: int) -> Callable[[Entry], bool]:
    """Return what tells of an entry whether it may train: its label may, and `needed` people gave this very one."""
    return lambda entry: entry.trains and (needed <= 1 or len(approvers(entry, words)) >= needed)
