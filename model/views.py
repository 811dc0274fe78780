"""Views of a message's text: what a reader sees first, and what only another view says.

Of a multipart/alternative a reader shows the last view that it can (RFC 2046 section 5.1.4), which is the page. The
plain view beside it is made from the same source: what the page hides from people's eyes stands in it in the open, so
that a filter that begins with it reads harmless padding where people read a lure. The page speaks first; of the plain
view follows what the page neither shows nor hides, since some readers show that one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.confusables import skeleton

SAME = 0.6
"""Share of a line's runs of three words from which the page has said it: words in a page's tables change places."""
HEAD_SHARE = 0.75
_ADDRESS = re.compile(r"\b(?:https?|ftp)://[^\s<>\"']{1,2000}|\bwww\.[^\s<>\"']{1,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class View:
    """A text as one part shows it. `choice` is the multipart/alternative that the part stands in, if any."""

    text: str
    page: bool = False
    hidden: str = ""
    choice: object | None = None


def shown(views: Sequence[View]) -> list[str]:
    """Return visible texts in reading order: what only a plain alternative says stands behind everything."""
    pages: dict[int, list[View]] = {}
    for view in views:
        if view.page and view.choice is not None and view.text:
            pages.setdefault(id(view.choice), []).append(view)
    first: list[str] = []
    further: list[str] = []
    for view in views:
        rivals = () if view.page or view.choice is None else pages.get(id(view.choice), ())
        if rivals:
            further.append(_beyond(view.text, rivals))
        else:
            first.append(view.text)
    return [*first, *further]


def hidden(views: Sequence[View]) -> list[str]:
    """Return what pages hide, in order."""
    return [view.hidden for view in views if view.page]


def joined(texts: Iterable[str], limit: int) -> tuple[str, bool]:
    """Join texts by a blank line, each that is contained in another left out; at most `limit` characters.

    A longer text keeps its head and its tail. Return it, and whether it was cut.
    """
    kept: list[tuple[str, str]] = []
    for text in texts:
        words = " ".join(text.split())
        if not words or any(words in other for _, other in kept[-50:]):
            continue
        kept = [pair for pair in kept if pair[1] not in words] if len(kept) < 20 else kept
        kept.append((text, words))
    whole = "\n\n".join(text for text, _ in kept)
    if len(whole) <= limit:
        return whole, False
    head = int(limit * HEAD_SHARE)
    return whole[:head] + "\n\n" + whole[len(whole) - (limit - head - 2) :], True


def _beyond(plain: str, pages: Sequence[View]) -> str:
    """Return the lines of a plain view that say something the pages neither show nor hide. Linear in both."""
    words: set[str] = set()
    runs: set[int] = set()
    for page in pages:
        for text in (page.text, page.hidden):
            said = _words(text)
            words.update(said)
            runs.update(_runs(said))
    return "\n".join(line for line in plain.split("\n") if not _said(_words(line), words, runs)).strip()


def _said(line: Sequence[str], words: set[str], runs: set[int]) -> bool:
    """Whether pages say a line of words. A line of addresses and rules alone says nothing: links are kept apart."""
    found = _runs(line)
    if not found:
        return all(word in words for word in line)
    return sum(run in runs for run in found) >= SAME * len(found)


def _words(text: str) -> list[str]:
    """Return the words of a text as their skeletons: look-alikes and what has no width make no other word of them."""
    return [word for word in map(skeleton, _ADDRESS.sub(" ", text).split()) if word]


def _runs(words: Sequence[str]) -> list[int]:
    return [hash(run) for run in zip(words, words[1:], words[2:], strict=False)]
