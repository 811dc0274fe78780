"""The one text that is trained on and served: `Document`.

Deterministic and pure. It keeps what a sender says and where links lead, folds what only deceives the eye
(compatibility forms, zero-width and bidi marks, look-alike letters), and leaves out what names a recipient, a
mailing list or a collection of mail. Any change of its output needs a new `VERSION`: a model serves only with the
version that it was trained on.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from model.confusables import fold, imitates
from model.extracted import Address, Extracted
from model.facts import Facts

VERSION = 2
MAX_BODY_CHARS = 400_000
MAX_SUBJECT_CHARS = 400
MAX_HOSTS = 12
MAX_MARKS = 2  # combining marks kept on one letter; floods of them only break words


class HostLists(Protocol):
    """What normalising asks of the domain lists."""

    def registrable(self, host: str) -> str:
        """Return the registrable domain of a host."""
        ...

    def tracking(self, host: str) -> bool:
        """Tell whether a host is a mail service's click counter."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """What the encoder reads. `fact_tokens` are short neutral words; `hosts` are registrable link domains."""

    subject: str
    fact_tokens: tuple[str, ...]
    body: str
    hosts: tuple[str, ...]
    version: int = VERSION

    @property
    def text(self) -> str:
        """All of it in reading order, for bag-of-words baselines and for people."""
        return "\n".join(part for part in (self.subject, " ".join(self.fact_tokens), self.body,
                                           " ".join(self.hosts)) if part)


_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"[^\S\n]+")
_BLANK = re.compile(r" ?\n\s*")
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MARKS = re.compile(f"({_MARK}{{{MAX_MARKS}}}){_MARK}+")
# A word with at least one letter beyond ASCII; possessive from a word's beginning, so linear on any text.
_FOREIGN_WORD = re.compile(r"(?<!\w)[0-9A-Za-z_]*+[^\W\x00-\x7f]\w*+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"']{1,2000}", re.IGNORECASE)
_MAILBOX = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]++")  # possessive and anchored: linear on any text
_RULE = re.compile(r"([-=_*#~.+•·─━])\1{3,}")
_REPLY_MARK = re.compile(r"^(?:\s*(?:re|fw|fwd|aw|wg|tr|rif|sv|vs|antw)\s*(?:\[\d+\])?\s*:)+", re.IGNORECASE)
_LIST_TAG = re.compile(r"^\s*(?:\[[^\]\n]{1,40}\]\s*){1,3}")


def normalise(extracted: Extracted, facts: Facts, lists: HostLists) -> Document:
    """Make the `Document` of a message. Linear in the size of the text; never raises on hostile text."""
    you = _recipient_pattern(extracted.to)
    subject = clean(_strip_subject(extracted.subject[: 4 * MAX_SUBJECT_CHARS]))[:MAX_SUBJECT_CHARS]
    body = clean(_mask(_cap(extracted.text), you))
    if you:
        subject = you.sub("you", subject)
    return Document(subject, _fact_tokens(extracted, facts), body, _hosts(extracted, lists))


def clean(text: str) -> str:
    """Fold a text to what a reader takes it for: NFKC, no invisible characters, look-alikes as Latin letters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _MARKS.sub(r"\1", _INVISIBLE.sub("", text)))
        # NFKC may give characters that hide again (U+FFA0 becomes U+1160)
        text = _fold_words(_INVISIBLE.sub("", text))
    text = _RULE.sub(r"\1\1\1", _CONTROL.sub(" ", text))
    return _BLANK.sub("\n", _SPACE.sub(" ", text)).strip()


def _fold_words(text: str) -> str:
    """Fold words that borrow letters: mixed scripts always, whole words only in a mostly Latin text.

    A Russian or Greek text must stay what it is, so that the fold never touches honest words of other scripts.
    """
    if not imitates(text):
        return text
    letters, latin = _letters(text[:20_000])
    mostly_latin = latin * 10 >= letters * 8

    def one(match: re.Match[str]) -> str:
        word = match[0]
        if all(char < "\u0250" for char in word.upper()):
            return word
        folded = fold(word)
        if folded == word:
            return word
        mixed = any(c.isascii() and c.isalpha() for c in word)
        return folded if mixed or (mostly_latin and folded.isascii()) else word

    return _FOREIGN_WORD.sub(one, text)


def _letters(text: str) -> tuple[int, int]:
    """Return how many letters a text has, and how many of them are Latin (below U+0250)."""
    octets = text.encode("ascii", "ignore")
    plain = len(octets) - len(octets.translate(None, string.ascii_letters.encode()))
    others = Counter("".join(_BEYOND_ASCII.findall(text)))
    letters = {char: count for char, count in others.items() if char.isalpha()}
    return plain + sum(letters.values()), plain + sum(count for char, count in letters.items() if char < "\u0250")


def _cap(text: str) -> str:
    """Keep head and tail of an oversized text: padding in the middle is what an attacker would add."""
    if len(text) <= MAX_BODY_CHARS:
        return text
    half = MAX_BODY_CHARS // 2
    return text[:half] + "\n" + text[-half:]


def _mask(text: str, you: re.Pattern[str] | None) -> str:
    """Replace addresses by the place they lead to, and the recipient by a neutral word."""
    if "://" in text:
        text = _URL.sub(lambda m: _url_host(m[0]), text)
    if "@" in text:
        text = _MAILBOX.sub("mailbox", text)
    return you.sub("you", text) if you else text


def _url_host(url: str) -> str:
    rest = url.partition("://")[2]
    return re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2][:100]


def _recipient_pattern(to: Iterable[Address]) -> re.Pattern[str] | None:
    """Match what names the recipient: local parts and display names of To, whole words of four letters or more."""
    names: set[str] = set()
    for address in list(to)[:8]:
        local = address.local.partition("+")[0]
        for name in (local, *re.split(r"[\s,.\"']+", address.display)):
            if 4 <= len(name) <= 60 and any(c.isalpha() for c in name):
                names.add(name)
    if not names:
        return None
    ordered = sorted(names, key=lambda n: (-len(n), n))
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, ordered)) + r")(?!\w)", re.IGNORECASE)


def _strip_subject(subject: str) -> str:
    """Drop reply marks and list tags: they tell which collection a message is from, not what it wants."""
    for _ in range(3):
        shorter = _LIST_TAG.sub("", _REPLY_MARK.sub("", subject))
        if shorter == subject:
            break
        subject = shorter
    return subject


def _hosts(extracted: Extracted, lists: HostLists) -> tuple[str, ...]:
    """Return the first distinct registrable domains that links lead to, without the mail services' counters."""
    seen: dict[str, None] = {}
    for link in extracted.links:
        if link.kind in ("anchor", "form", "area", "text", "refresh") and link.host and not link.hidden:
            if lists.tracking(link.host):
                continue
            seen.setdefault(lists.registrable(link.host) or link.host, None)
            if len(seen) == MAX_HOSTS:
                break
    return tuple(seen)


_TOKENS: tuple[tuple[str, str], ...] = (
    ("is_reply", "reply"),
    ("list_unsubscribe", "unsubscribe"),
    ("free_mail_sender", "freemail"),
    ("reply_to_elsewhere", "elsewhere"),
    ("name_matches_domain", "named"),
    ("foreign_brand", "brand"),
    ("risky_attachment", "risky"),
    ("shown_link_differs", "differs"),
)


def _fact_tokens(extracted: Extracted, facts: Facts) -> tuple[str, ...]:
    """Name the few facts that every mail can show, and the kinds of its attachments, as plain words."""
    tokens = [word for name, word in _TOKENS if getattr(facts, name)]
    kinds = {(p.true_type or p.type).rpartition("/")[2][:20] for p in extracted.parts if p.attachment}
    return (*tokens, *(f"attached {kind}" for kind in sorted(kinds)[:4]))
