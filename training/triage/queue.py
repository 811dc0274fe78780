"""The review queue: one message of each undecided campaign, the most valuable first, and anew after each verdict."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from training.store.entry import Entry, LabelChange, LabelSource, read_label
from training.triage.approval import Words
from training.triage.linear import enough, predicted
from training.triage.neighbours import cosines, nearest
from training.triage.pile import Pile
from training.triage.settings import TriageSettings
from training.triage.value import Signs, Worth, worth

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A reviewed message like the one in question, its label, and the cosine of their words."""

    digest: str
    subject: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of the queue: what it is worth and why, and what is like it. `p_words` is None without an opinion."""

    at: int
    entry: Entry
    p_model: float
    p_words: float | None
    worth: Worth
    near: tuple[Neighbour, ...]
    draft: LabelChange | None


def undecided(entries: Sequence[Entry], words: Words, may_train: Callable[[Entry], bool], me: str) -> list[Entry]:
    """Return what a person may still be asked: of campaigns without a label that trains, what `me` has not judged."""
    decided = {e.group for e in entries if may_train(e)}
    mine = {e.group for e in entries if me in words.get(e.digest, {})}
    return [e for e in entries if e.group not in decided and e.group not in mine]


def second(entries: Sequence[Entry], words: Words, me: str) -> list[Entry]:
    """Return what others have judged and `me` has not, in an order that chance decides: for measuring agreement.

    An order by value would ask about the hard ones first, and kappa would be of those alone.
    """
    mine = {e.group for e in entries if me in words.get(e.digest, {})}
    found = [e for e in entries if e.trains and e.group not in mine and set(words.get(e.digest, {})) - {me}]
    return sorted(found, key=lambda e: hashlib.sha256(f"second:{me}:{e.group}".encode()).digest())


def drafts_of(history: Sequence[LabelChange]) -> dict[str, LabelChange]:
    """Return the newest draft of each message."""
    return {line.digest: line for line in history if line.source is LabelSource.DRAFT and line.after}


@dataclass(slots=True)
class Queue:
    """What waits (`pile`, scored) beside what was reviewed (`known`). Labels given here count at once.

    `by_value` False keeps the order of the pile, as for second opinions.
    """

    pile: Pile
    known: Pile
    drafts: Mapping[str, LabelChange]
    settings: TriageSettings
    by_value: bool = True
    given: dict[int, str] = field(default_factory=dict)
    passed: set[int] = field(default_factory=set)
    _words: Floats | None = field(init=False, default=None)
    _near: list[list[tuple[int, float]]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        known, linear = self.known, self.settings.linear
        self._near = nearest(self.pile.words, known.words, self.settings.neighbours + 1)
        if self.pile.entries and enough(known.bad, known.groups, linear):
            self._words = predicted(known.words, known.bad, known.groups, self.pile.words, linear)

    @property
    def knows_words(self) -> bool:
        """Whether enough is labelled for the words to have an opinion."""
        return self._words is not None

    @property
    def left(self) -> int:
        """How many wait and were not passed over."""
        return len(self.pile.entries) - len(self.passed | self.given.keys())

    def following(self) -> Asked | None:
        """Return what to ask next; None at the end."""
        open_ = [n for n in range(len(self.pile.entries)) if n not in self.given and n not in self.passed]
        if not open_:
            return None
        if not self.by_value:
            return self.asked(open_[0])
        recent = self._likeness_to_given()
        return self.asked(max(open_, key=lambda n: (self._worth(n, recent).total, -n)))

    def asked(self, at: int) -> Asked:
        """Return one message of the queue as it stands now."""
        entry, recent = self.pile.entries[at], self._likeness_to_given()
        p_words = None if self._words is None else float(self._words[at])
        draft = self.drafts.get(entry.digest)
        return Asked(at, entry, self.pile.scores[at], p_words, self._worth(at, recent), self._neighbours(at), draft)

    def label(self, at: int, name: str) -> None:
        """Take a label into account; "" takes it back."""
        if name:
            self.given[at] = name
        else:
            self.given.pop(at, None)

    def skip(self, at: int) -> None:
        """Pass a message over in this sitting."""
        self.passed.add(at)

    def _likeness_to_given(self) -> Floats:
        """Greatest cosine [n] with what was labelled in this sitting."""
        if not self.given:
            return np.zeros(len(self.pile.entries))
        found: Floats = cosines(self.pile.words, self.pile.words[sorted(self.given)]).max(axis=1)
        return found

    def _worth(self, at: int, recent: Floats) -> Worth:
        entry = self.pile.entries[at]
        old = next((c for n, c in self._near[at] if self._other(at, n)), 0.0)
        draft = self.drafts.get(entry.digest)
        sure = 1.0 if draft is None or draft.confidence is None else draft.confidence
        return worth(
            Signs(
                model=self.pile.scores[at],
                words=None if self._words is None else float(self._words[at]),
                nearest=max(old, float(recent[at])),
                draft=read_label(draft.after)[1] if draft else None,
                confidence=sure,
            ),
            self.settings.value,
        )

    def _other(self, at: int, n: int) -> bool:
        """Whether a reviewed message is another campaign than the one in question: it would tell its own label."""
        return self.known.entries[n].group != self.pile.entries[at].group

    def _neighbours(self, at: int) -> tuple[Neighbour, ...]:
        found = [
            Neighbour(self.known.entries[n].digest, self.known.subjects[n], self.known.entries[n].name, c)
            for n, c in self._near[at]
            if self._other(at, n)
        ]
        if mine := [n for n in sorted(self.given) if n != at]:
            line = cosines(self.pile.words[[at]], self.pile.words[mine])[0]
            found += [
                Neighbour(self.pile.entries[n].digest, self.pile.subjects[n], self.given[n], float(c))
                for n, c in zip(mine, line, strict=True)
                if c > 0
            ]
        found.sort(key=lambda n: (-n.similarity, n.digest))
        return tuple(replace(n, similarity=min(n.similarity, 1.0)) for n in found[: self.settings.neighbours])
