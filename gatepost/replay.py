"""What a candidate would make of mail that the quarantine still has, beside what the current model makes of it now.

Both score the same extraction under today's settings, so a difference is the model's and nothing else's. What was
recorded when the mail came is told as well. Nothing is changed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from gatepost.screening import policy_settings
from milter.policies import own_thresholds, policy_of
from milter.settings import Settings
from milter.worker import tools
from model.bundle import Bundle
from model.domains import DomainLists
from model.labels import Label
from model.mail import Envelope, Mail, RawMessage
from model.normalise import normalise
from model.policy import Policy, decide
from model.score import Scorer, ScoringFailed
from model.screen import Screening
from model.shelf import resolve
from model.verdict import Route, Verdict
from quarantine.errors import StoreError
from quarantine.search import Opened, body
from quarantine.store import Store

TIMEOUT = 60.0
KEPT = (Route.QUARANTINE, Route.HOLD, Route.REJECT)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One item under both models. `fault` says why it could not be scored anew; then the verdicts are None."""

    item: Opened
    now: Verdict | None = None
    then: Verdict | None = None
    fault: str = ""

    @property
    def changes(self) -> bool:
        """Whether the candidate would send it another way."""
        return self.now is not None and self.then is not None and self.now.route is not self.then.route


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of items; `reviewed_*` are of those that a person labelled, by what would change for them."""

    items: int
    unreadable: int
    moves: dict[tuple[Route, Route], int]
    reviewed_ham_newly_kept: int
    reviewed_ham_newly_delivered: int
    reviewed_bad_newly_delivered: int
    reviewed_bad_newly_kept: int

    @property
    def changed(self) -> int:
        """How many items would go another way."""
        return sum(n for (old, new), n in self.moves.items() if old is not new)


def summarise(found: Iterable[Replayed]) -> Summary:
    """Count what would change."""
    moves: Counter[tuple[Route, Route]] = Counter()
    reviewed: Counter[tuple[bool, bool, bool]] = Counter()
    items = unreadable = 0
    for one in found:
        items += 1
        if one.now is None or one.then is None:
            unreadable += 1
            continue
        moves[one.now.route, one.then.route] += 1
        if (label := one.item.item.reviewed) is not None:
            reviewed[label is Label.HAM, one.now.route in KEPT, one.then.route in KEPT] += 1
    return Summary(
        items, unreadable, dict(moves), reviewed[True, False, True], reviewed[True, True, False],
        reviewed[False, True, False], reviewed[False, False, True],
    )  # fmt: skip


class Replay:
    """Two models ready to look at kept mail. Use as a context manager."""

    def __init__(self, settings: Settings, candidate: Path) -> None:
        """Load and prove both. Raises Refused, BundleError or ShelfError."""
        self._settings = settings
        pinned = settings.model.model_copy(update={"path": str(candidate)})
        self.current = Scorer(Bundle.open(resolve(settings.model)))
        self._made = tools(settings.model_copy(update={"model": pinned}))
        self.candidate = self._made.bundle
        self._lists = DomainLists.load()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._made.extractor.close()

    def over(self, store: Store, items: Iterable[Opened], now: datetime) -> Iterator[Replayed]:
        """Yield what both models make of each item, in order."""
        for one in items:
            yield self._one(store, one, now)

    def _one(self, store: Store, one: Opened, now: datetime) -> Replayed:
        if one.message is None or one.record is None:
            return Replayed(one, fault="its sealed parts cannot be opened")
        try:
            data = b"".join(body(store, one.item.message))
        except StoreError as error:
            return Replayed(one, fault=str(error))
        recipient = one.record.recipient
        envelope = Envelope(one.message.sender, (recipient,), one.message.params, one.message.client)
        with RawMessage.of(data) as raw:
            mail = Mail(envelope, raw, one.item.direction)
            theirs = self._made.screener.screen(mail, timeout=TIMEOUT)
            ours = self._again(theirs)
            if ours.score is None or theirs.score is None:
                return Replayed(one, fault=theirs.fault or ours.fault or "not scored")
            before, after = (
                decide(seen, mail, recipient.address, self._policy(one, bundle), now)
                for seen, bundle in ((ours, self.current.bundle), (theirs, self.candidate))
            )
        return Replayed(one, before, after)

    def _again(self, seen: Screening) -> Screening:
        """Return what was seen with the current model's score of it."""
        if seen.extracted is None or seen.facts is None:
            return seen
        try:
            score = self.current.score(normalise(seen.extracted, seen.facts, self._lists), seen.facts)
        except ScoringFailed as error:
            return replace(seen, score=None, fault="scoring-failed", detail=str(error))
        return replace(seen, score=score)

    def _policy(self, one: Opened, bundle: Bundle) -> Policy:
        """Return the policy of the item's listener; of the first of its direction where that is gone."""
        item = one.item
        listener = next((found for found in self._settings.listener if found.name == item.listener), None)
        written = (self._settings.policy_of(listener) if listener else
                   policy_settings(self._settings, item.direction))  # fmt: skip
        return policy_of(written, own_thresholds(bundle.thresholds, item.direction))
