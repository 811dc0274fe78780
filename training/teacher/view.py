"""A mail as a teacher sees it: a small JSON object, redacted, of bounded length."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model.child import ExtractionFailed, Extractor
from model.domains import DomainLists
from model.extracted import Address, Extracted
from model.facts import facts
from model.mail import RawMessage
from model.normalise import clean, normalise
from training.reading import COLLECTION, TIMEOUT, envelope_of
from training.teacher.prompt import speaks_to_models
from training.teacher.redact import Redactor

_MOST_LINKS = 20
_MOST_FILES = 10
_MOST_HIDDEN = 600
_MOST_SHORT = 300
_CUT = "\n[…]\n"


@dataclass(frozen=True, slots=True)
class View:
    """What would be sent of a mail, and how much was taken out of it. `wary`: it talks to whatever labels it.

    `fault` says why a mail cannot be read, and then the rest is empty.
    """

    data: dict[str, Any]
    removed: dict[str, int]
    wary: bool = False
    fault: str = ""


class Viewer:
    """Makes views, one at a time, taking mail apart in a killable child. Use from one thread; `close` it."""

    def __init__(self, lists: DomainLists, extractor: Extractor, own_domains: Iterable[str], most: int) -> None:
        self._lists = lists
        self._extractor = extractor
        self._own = tuple(own_domains)
        self._most = most

    def view(self, raw: bytes) -> View:
        """Return the view of a message."""
        try:
            extracted = self._extractor.extract(RawMessage.of(raw), timeout=TIMEOUT)
        except ExtractionFailed as error:
            return View({}, {}, fault=str(error))
        found = facts(extracted, envelope_of(extracted), COLLECTION, self._lists)
        signs = normalise(extracted, found, self._lists).fact_tokens
        return view_of(extracted, signs, self._own, self._lists, self._most)


def view_of(extracted: Extracted, signs: Iterable[str], own: Iterable[str], lists: DomainLists, most: int) -> View:
    """Redact a message that was taken apart. Pure. `signs` are neutral words for what was found out about it."""
    to = Redactor(extracted, own, lists.free_mail)
    links = dict.fromkeys(to.url(link.href)[:_MOST_SHORT] + _shown(to, link.shown, link.host)
                          for link in extracted.links[: 4 * _MOST_LINKS] if link.href.strip())  # fmt: skip
    data: dict[str, Any] = {
        "from": [_sender(to, one) for one in extracted.from_[:4]],
        "reply_to": [_sender(to, one) for one in extracted.reply_to[:4]],
        "subject": to.text(extracted.subject)[:_MOST_SHORT],
        "text": capped(to.text(extracted.text), most),
        "hidden_text": to.text(extracted.hidden_text)[:_MOST_HIDDEN],
        "links": list(links)[:_MOST_LINKS],
        "attachments": [
            f"{to.text(part.filename)[:100]} ({part.true_type or part.type}{', encrypted' if part.encrypted else ''})"
            for part in [part for part in extracted.parts if part.attachment][:_MOST_FILES]
        ],
        "signs": list(signs),
    }
    names = (one.display for one in extracted.from_)
    spoken = "\n".join([extracted.subject, extracted.text, extracted.hidden_text, *names])
    return View({name: value for name, value in data.items() if value}, to.counts, speaks_to_models(clean(spoken)))


def _sender(to: Redactor, one: Address) -> dict[str, str]:
    return {"name": to.text(one.display)[:_MOST_SHORT], "address": to.address(one.address),
            "domain": to.host(one.domain)}  # fmt: skip


def _shown(to: Redactor, shown: str, host: str) -> str:
    """Say what a link shows to a reader, where that looks like another place."""
    looks_like_place = "." in shown and " " not in shown.strip() and host not in shown.lower()
    return f' (shown as "{to.text(shown)[:100]}")' if looks_like_place else ""


def capped(text: str, most: int) -> str:
    """Return a text of at most `most` characters: its beginning and its end, where it is longer."""
    if len(text) <= most:
        return text
    tail = most // 4
    return text[: most - tail - len(_CUT)] + _CUT + text[-tail:]
