"""What the store wants to know of a message when it comes in: sender, time, language, and its text for grouping.

Hostile mail is taken apart in the same killable child as in the gateway, and nothing of its text is kept in clear.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.util import find_spec
from itertools import islice
from threading import local
from typing import Self

from model.child import ExtractionFailed, Extractor
from model.domains import DomainLists
from model.extracted import Extracted, Limits
from model.facts import facts
from model.mail import RawMessage
from model.normalise import Document, normalise
from model.sender_facts import author
from training.reading import COLLECTION, TIMEOUT, envelope_of

WORKERS = 2
"""Extraction children at once: the gateway may be serving beside them."""
_AHEAD = 32
_FEWEST_LETTERS = 20  # a language cannot be told from less
_NO_LANGUAGE = "zxx"  # of ISO 639-2: numbers, code
_LOOKED_AT = 2_000  # characters of a text that its language is told from
_OLDEST = datetime(1982, 1, 1, tzinfo=UTC)  # RFC 822; an earlier date is nonsense


@dataclass(frozen=True, slots=True)
class Look:
    """A message as the store sees it. `fault` says why it could not be read, and then the rest is empty.

    `received` is the time of the topmost Received field, else of Date. `lang` is an ISO 639-1 code or empty.
    """

    digest: str
    document: Document
    sender: str = ""
    sender_domain: str = ""
    received: datetime | None = None
    lang: str = ""
    fault: str = ""


class Looker:
    """Looks at messages, two at a time. Use as a context manager; the children start at the first message."""

    def __init__(self, lists: DomainLists, now: datetime) -> None:
        self._lists = lists
        self._latest = now + timedelta(days=2)
        self._own = local()
        self._extractors: list[Extractor] = []
        self._pool = ThreadPoolExecutor(WORKERS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for extractor in self._extractors:
            extractor.close()

    def look(self, messages: Iterable[bytes]) -> Iterator[Look]:
        """Yield what is seen of each message, in order."""
        stream = iter(messages)
        while batch := list(islice(stream, _AHEAD)):
            yield from self._pool.map(self._one, batch)

    def _one(self, raw: bytes) -> Look:
        digest = hashlib.sha256(raw).hexdigest()
        try:
            extracted = self._extractor().extract(RawMessage.of(raw), timeout=TIMEOUT)
        except ExtractionFailed as error:
            return Look(digest, Document("", (), "", ()), fault=str(error))
        found = facts(extracted, envelope_of(extracted), COLLECTION, self._lists)
        document = normalise(extracted, found, self._lists)
        who = author(extracted, self._lists)
        return Look(
            digest,
            document,
            who.address.address.lower(),
            who.organisation or who.domain,
            self._time(extracted),
            language(document.body or document.subject),
        )

    def _time(self, extracted: Extracted) -> datetime | None:
        written = [r.rpartition(";")[2] for r in extracted.received[:1]] + [extracted.headers.get("date", "")]
        times = (read_time(text) for text in written)
        return next((t for t in times if t is not None and _OLDEST <= t <= self._latest), None)

    def _extractor(self) -> Extractor:
        if not hasattr(self._own, "extractor"):
            self._own.extractor = Extractor(Limits())
            self._extractors.append(self._own.extractor)
        mine: Extractor = self._own.extractor
        return mine


def read_time(text: str) -> datetime | None:
    """Return a date of RFC 5322 section 3.3 in UTC, None where it is none; without a zone it is UTC."""
    try:
        found = parsedate_to_datetime(" ".join(text.split()))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language; empty where it is too short, or py3langid not installed."""
    text = text[:_LOOKED_AT]
    if not has_langid() or sum(char.isalpha() for char in text) < _FEWEST_LETTERS:
        return ""
    import py3langid  # loads its table in half a second

    found = str(py3langid.classify(text)[0])
    return "" if found == _NO_LANGUAGE else found


@cache
def has_langid() -> bool:
    """Whether languages can be told; py3langid comes with the training extra."""
    return find_spec("py3langid") is not None
