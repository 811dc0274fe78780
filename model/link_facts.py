"""Facts about what a message points to and carries: links, images, hidden text, attachments."""

import re
from collections import Counter
from collections.abc import Iterable

from model.domains import DomainLists, is_public_ip
from model.extracted import Extracted, Link, Part
from model.sender_facts import VISITED, Author, akin

Found = dict[str, bool | None]

_SHOWN_HOST = re.compile(r"(?:https?://)?((?:[\w-]{1,63}\.){1,6}[a-z]{2,24})(?:[/:?#]\S*)?", re.IGNORECASE)
_HALF = 0.5

# More than a preview line, and not outweighed by what is to be seen.
_HIDDEN_CHARS = 400
_HIDDEN_SHARE = 0.5
_LETTERS_OF = 20_000  # characters looked at
_NO_LETTER = re.compile(r"[\W_]+")

_CALL_IN = 6_000  # characters in which a number to call is looked for
_NUMBER = re.compile(r"(?<![\w/=.-])\+?\(?\d[\d().\-\s\u2010-\u2015]{7,17}\d(?!\w)")
_GROUPED = re.compile(r"[-\s.)\u2010-\u2015]\d{3}[-\s.\u2010-\u2015]?\d{4}\Z")
_DIGITS = (10, 13)

_RISKY_NAME = re.compile(
    r"\.(?:exe|scr|pif|com|bat|cmd|ps1|vbs|vbe|js|jse|wsf|wsh|hta|lnk|url|msi|msix|jar|reg|cpl|chm|iso|img|vhd|vhdx|"
    r"html?|shtml?|xhtml|mht|mhtml|svgz?|xll|xlam|docm|dotm|xlsm|xltm|pptm|potm|ppam|one|ace|cab|appx|apk|dll|sct)[\s.]*\Z",
    re.IGNORECASE,
)
_RISKY_TYPE = frozenset({
    "application/x-msdownload", "application/x-dosexec", "application/x-ms-shortcut", "application/x-iso9660-image",
    "application/hta", "application/javascript", "text/html", "image/svg+xml", "application/java-archive",
})  # fmt: skip


def links(extracted: Extracted, who: Author, lists: DomainLists) -> Found:
    """Return the facts on links and images of a message by `who`."""
    walked = [link for link in extracted.links if link.kind in VISITED and link.host and not link.hidden]
    times = Counter(link.host for link in walked)
    counted: Counter[str] = Counter()
    for host, count in times.items():
        if not lists.tracking(host):
            counted[lists.registrable(host) or host] += count
    found: Found = {
        "main_link_matches": None,
        "unknown_links": _mostly_unknown(set(times), lists),
        "unknown_images": _mostly_unknown(
            {link.host for link in extracted.links if link.kind == "image" and link.host}, lists
        ),
        "shortener_or_ip_link": None,
        "shown_link_differs": _shown_differs(walked, lists),
        "shared_host_link": None,
    }
    if walked:
        found["shortener_or_ip_link"] = any(lists.shortener(host) or is_public_ip(host) for host in times)
        found["shared_host_link"] = any(
            lists.shared(host) and lists.registrable(host) != who.organisation for host in times
        )
    if counted and who.organisation:
        found["main_link_matches"] = _own(counted.most_common(1)[0][0], who, lists)
    return found


def _own(main: str, who: Author, lists: DomainLists) -> bool | None:
    """Tell whether a host is the sender's and known; None where it is his own and unknown: a thief has one too."""
    if main == who.organisation or akin(main, who):
        return True if _reputed(main, lists) else None
    return False


def _reputed(host: str, lists: DomainLists) -> bool:
    """Whether the host is known and leads nowhere else."""
    return lists.known(host) and not lists.shortener(host)


def _mostly_unknown(hosts: Iterable[str], lists: DomainLists) -> bool | None:
    """Tell whether more than half of the organisations linked to are unknown; mail services do not count."""
    known = {lists.registrable(host) or host: _reputed(host, lists) for host in hosts if not lists.tracking(host)}
    if not known:
        return None
    return sum(not value for value in known.values()) > _HALF * len(known)


def _shown_differs(walked: Iterable[Link], lists: DomainLists) -> bool | None:
    """Tell whether a link that shows a host leads to another, unknown organisation.

    Mail services and senders count clicks on the way, so a known host is no deceit.
    """
    answer: bool | None = None
    for link in walked:
        match = _SHOWN_HOST.fullmatch(link.shown.strip()[:300]) if link.kind == "anchor" else None
        shown = lists.registrable(match[1]) if match else ""
        if not shown:
            continue
        differs = lists.registrable(link.host) != shown and not (
            lists.tracking(link.host) or _reputed(link.host, lists)
        )
        answer = bool(answer) or differs
    return answer


def callback(extracted: Extracted) -> bool | None:
    """Tell whether a text names a telephone number and leaves nothing else to follow; None without text."""
    if not extracted.text:
        return None
    if any(link.kind in VISITED and link.host and not link.hidden for link in extracted.links):
        return False
    text = f"{extracted.subject}\n{extracted.text[:_CALL_IN]}"
    return any(_telephone(match[0]) for match in _NUMBER.finditer(text))


def _telephone(text: str) -> bool:
    """Whether digits are written as a telephone number with its area: +49 30 1234567, (800) 555-0199."""
    return _DIGITS[0] <= sum(char.isdigit() for char in text) <= _DIGITS[1] and (
        text[0] in "+(" or _GROUPED.search(text) is not None
    )


def content(extracted: Extracted) -> Found:
    """Return hidden_text and risky_attachment."""
    return {
        "hidden_text": _much_hidden(extracted) if extracted.hidden_text or extracted.text else None,
        "risky_attachment": any(map(_risky, extracted.parts)),
    }


def _much_hidden(extracted: Extracted) -> bool:
    hidden = _letters(extracted.hidden_text)
    return hidden > _HIDDEN_CHARS and hidden > _HIDDEN_SHARE * _letters(extracted.text)


def _letters(text: str) -> int:
    return len(_NO_LETTER.sub("", text[:_LETTERS_OF])) if len(text) > _HIDDEN_CHARS else 0


def _risky(part: Part) -> bool:
    if part.encrypted:
        return True
    if not part.attachment:
        return False
    return (
        part.true_type in _RISKY_TYPE
        or part.type.lower() in _RISKY_TYPE
        or _RISKY_NAME.search(part.filename[-200:]) is not None
    )
