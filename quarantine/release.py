"""Release: the exact bytes, with one header in front, through a private port that never screens.

`releasing` is committed before the first octet leaves. If we die between the release port's reply and our own
commit, the item stays `releasing`, and a person decides: whether that port took the message is in its log, and
nothing here claims exactly-once.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from model.mail import Direction, Envelope, Recipient
from quarantine.correspondents import Bond, Meeting, remember
from quarantine.errors import StoreError, WrongState
from quarantine.item import Action, State
from quarantine.moves import move
from quarantine.search import Opened, body, get
from quarantine.store import Store

HEADER = "X-Gatepost-Released"
STUCK_AFTER = timedelta(minutes=10)
"""Longer than a release port takes to answer: before this, a release under way is left alone."""


class SendResult(Protocol):
    """A reply of the release port; milter's `Reply` fits."""

    @property
    def code(self) -> int:
        """SMTP code."""

    @property
    def text(self) -> str:
        """The reply as one line."""


Send = Callable[[Envelope, Iterable[bytes]], SendResult]


class NotSent(Exception):
    """Raised by a `Send` that knows that the release port did not take the message."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a release went. `state` is the item's now: released, where it was before, or releasing (not known)."""

    item: str
    state: State
    reply: str


def release(
    store: Store, wanted: str, send: Send, *, by: str, to: str = "", reason: str = "", resume: bool = False,
    by_person: bool = True,
) -> Outcome:  # fmt: skip
    """Send an item to its recipient, or `to` another with a `reason`. Raises NotFound, WrongState, StoreError.

    A refusal is an `Outcome`, not an exception. What a person releases to its recipient makes an authenticated sender
    known, and no other. `resume` sends an item again that was left `releasing`.
    """
    if to and not reason.strip():
        raise StoreError("a release to another recipient needs a reason")
    found = get(store, wanted)
    item = found.item
    if item.state is State.SAMPLED:
        raise WrongState(f"item {item.id} is a sample of delivered mail: its recipient has it already")
    if not item.body or found.message is None or found.record is None:
        raise StoreError(f"item {item.id}: the message itself is gone or cannot be opened")
    _check_body(store, item.message, found.message.sha256)
    attempt = _begin(store, found, by, f"to {to}: {reason}" if to else reason, resume=resume)
    header = released_header(item.id, by, store.clock())
    chunks = _Chunks(header, body(store, item.message))
    try:
        reply = send(_envelope(found, to), chunks)
    except NotSent as error:
        return _back(store, found, attempt, by, str(error))
    except BaseException as error:
        outcome = None
        if not chunks.ended:  # the last octets were never asked for, so there was no dot
            outcome = _back(store, found, attempt, by, f"sending failed: {type(error).__name__}")
        if not isinstance(error, Exception):  # Ctrl-C: put things in order, then stop
            raise
        lost = f"the release port's answer was lost: {type(error).__name__}"
        return outcome or Outcome(item.id, State.RELEASING, lost)
    if not 200 <= reply.code < 300:
        return _back(store, found, attempt, by, reply.text)
    move(store, item.id, Action.SENT, by=by, reason=reply.text, attempt=attempt)
    if by_person and not to:
        _make_known(store, found)
    return Outcome(item.id, State.RELEASED, reply.text)


def _make_known(store: Store, found: Opened) -> None:
    """Learn the author of released inbound mail, if he is proved to be its author."""
    message, item = found.message, found.item
    if message is None or item.direction is not Direction.INBOUND or not store.settings.correspondents_days:
        return
    author = message.from_.rpartition("<")[2].rpartition(">")[0] or message.from_
    proved = message.facts.get("authenticated") is True and not message.facts.get("from_ambiguous")
    if proved and author.count("@") == 1 and not any(c.isspace() or c in "<>," for c in author):
        with contextlib.suppress(StoreError):  # the mail is out; not to know its author is no failure
            remember(store, [Meeting(item.recipient, author, Bond.RELEASED)], store.clock())


def settle(store: Store, wanted: str, *, by: str, sent: bool, reason: str) -> Outcome:
    """Say of an item left `releasing` whether it was sent, after a look at the release port's log."""
    found = get(store, wanted)
    _check_stuck(found, store.clock())
    if not sent:
        return _back(store, found, found.item.attempt, by, reason)
    move(store, found.item.id, Action.SENT, by=by, reason=reason, attempt=found.item.attempt)
    return Outcome(found.item.id, State.RELEASED, reason)


def released_header(item: str, by: str, at: datetime) -> bytes:
    """Return the one header that a released message gains: the item, who and when. No address stands in it."""
    who = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in by)[:64]
    return f"{HEADER}: {item}; by {who}; at {at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\r\n".encode()


class _Chunks:
    """Header and body in one pass; `ended` tells whether the last octet was handed out."""

    def __init__(self, header: bytes, rest: Iterable[bytes]) -> None:
        self._header = header
        self._rest = rest
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        yield self._header
        yield from self._rest
        self.ended = True


def _check_body(store: Store, message: str, sha256: str) -> None:
    digest = hashlib.sha256()
    for chunk in body(store, message):
        digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise StoreError(f"message {message}: its bytes are not the ones that were kept")


def _begin(store: Store, found: Opened, by: str, reason: str, *, resume: bool) -> int:
    item = found.item
    if item.state is State.RELEASING:
        _check_stuck(found, store.clock())
        if not resume:
            raise WrongState(stuck_help(item.id))
    elif resume:
        raise WrongState(f"item {item.id} is {item.state}: there is no release to resume")
    attempt = item.attempt + 1
    values = {"attempt": attempt} if resume else {"attempt": attempt, "before": item.state}
    action = Action.RESUME if resume else Action.RELEASE
    move(store, item.id, action, by=by, reason=reason, attempt=item.attempt, values=values)
    return attempt


def _check_stuck(found: Opened, now: datetime) -> None:
    item = found.item
    if item.state is not State.RELEASING:
        raise WrongState(f"item {item.id} is {item.state}: there is no release to settle")
    if now - item.changed_at < STUCK_AFTER:
        minutes = int(STUCK_AFTER.total_seconds() // 60)
        raise WrongState(
            f"item {item.id} is being released since {item.changed_at:%H:%M:%S} UTC; if it still is "
            f"{minutes} minutes later, come again"
        )


def stuck_help(item: str) -> str:
    """Say what to do with an item that was left `releasing`."""
    return (
        f"item {item} was left in the middle of a release: look for it in the release port's log, then run "
        f"`gatepost quarantine release --mark-released {item}` if it was sent, or "
        f"`gatepost quarantine release --resume {item}` if it was not"
    )


def _back(store: Store, found: Opened, attempt: int, by: str, why: str) -> Outcome:
    before = found.item.before if found.item.state is State.RELEASING else found.item.state
    after = before or State.QUARANTINED
    move(store, found.item.id, Action.RETURN, by=by, reason=why, after=after, attempt=attempt)
    return Outcome(found.item.id, after, why)


def _envelope(found: Opened, to: str) -> Envelope:
    message, record = found.message, found.record
    assert message is not None and record is not None  # noqa: S101 - checked by the only caller
    # SIZE was the client's and our header makes it wrong; a redirected copy takes no DSN wishes along.
    params = tuple(p for p in message.params if not p.upper().startswith("SIZE="))
    recipient = Recipient(to) if to else record.recipient
    return Envelope(message.sender, (recipient,), params, message.client)
