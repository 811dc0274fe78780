"""Facts about the name that a sender shows: against the domain, the text, and the brands that thieves borrow."""

import re

from model.brands import Brand
from model.confusables import mixes_scripts, skeleton
from model.domains import DomainLists
from model.extracted import Extracted
from model.sender_facts import MAX_AUTHORS, MAX_NAME, MIN_LABEL, UNSEEN, VISITED, Author, Found, visible

MAX_TEXT = 20_000  # characters looked at for names: a name that matters stands near the start or the end
_WORD = re.compile(r"[^\W_]{3,}")
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")
_SCRIPT_OF = 600  # characters that tell which letters a text is written in
# Invisible characters between two letters: nobody writes so by accident.
_BETWEEN = re.compile(f"[A-Za-z]{UNSEEN}+[A-Za-z]")


def name(extracted: Extracted, who: Author, lists: DomainLists, own_domains: frozenset[str], *,
         modern: bool) -> Found:  # fmt: skip
    """Return what the display name says against the domain and the text. `modern`: lists of today may judge."""
    names = ("name_matches_domain", "label_in_text", "name_in_text", "foreign_brand", "address_in_name",
             "name_disguised")  # fmt: skip
    found: Found = dict.fromkeys(names)
    drawn = [address.display[:MAX_NAME] for address in extracted.from_[:MAX_AUTHORS] if address.display.strip()]
    if drawn:
        found["name_disguised"] = any(map(_disguised, drawn))
    shown = [visible(text) for text in drawn]
    if not who.organisation:
        borrowed = any(map(lists.brands.named, shown))
        found["foreign_brand"] = borrowed or None
        return found
    display = visible(who.address.display[:MAX_NAME])
    words = [skeleton(word) for word in _WORD.findall(display) if word.lower() not in lists.common_words]
    found["foreign_brand"] = _foreign_brand(display, extracted, who, lists)
    if display.strip():
        found["address_in_name"] = _address_in_name(display, who, lists)
    shared = lists.shared(who.domain) or lists.tracking(who.domain)
    if words and not shared:
        found["name_matches_domain"] = _name_matches(display, words, who, lists, modern=modern)
    text = extracted.subject + "\n" + extracted.text
    squashed = _squashed(text)
    if not squashed:
        return found
    # who asks to be followed says who he is; a letter without links is signed as its writer likes
    asks = any(link.kind in VISITED and link.host and not link.hidden for link in extracted.links)
    latin = mostly_latin(text)
    label = skeleton(who.label)
    if len(label) >= MIN_LABEL and not shared and who.organisation not in own_domains:
        found["label_in_text"] = label in squashed or (False if asks and latin else None)
    if words:
        named = any(word in squashed for word in words if len(word) > MIN_LABEL or len(words) == 1)
        found["name_in_text"] = named or (False if asks and latin == mostly_latin(display) else None)
    return found


def mostly_latin(text: str) -> bool:
    """Whether a fifth of the letters at a text's beginning are Latin: a Latin label is not looked for in Chinese."""
    if text[:_SCRIPT_OF].isascii():
        return True
    letters = [char for char in text[:_SCRIPT_OF] if char.isalpha()]
    return 5 * sum(char < "\u0250" for char in letters) >= len(letters)


def _disguised(display: str) -> bool:
    """Whether a name is drawn with mathematical or circled letters, mixes scripts in a word, or hides characters."""
    if display.isascii():
        return False
    if _BETWEEN.search(display):
        return True
    drawn = sum("\U0001d400" <= char < "\U0001d800" or "\u2460" <= char < "\u2500" for char in display)
    return drawn > 1 or any(not word.isascii() and mixes_scripts(word) for word in _WORD.findall(display))


def _squashed(text: str) -> str:
    """Return the skeleton of a text without links and addresses, which name a domain whoever writes."""
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT // 2] + "\n" + text[-MAX_TEXT // 2 :]
    words = [word for word in text.split() if "@" not in word and "://" not in word and "www." not in word]
    return skeleton("".join(words))


def _name_matches(display: str, words: list[str], who: Author, lists: DomainLists, *, modern: bool) -> bool | None:
    host = skeleton(who.domain)
    joined, label = "".join(words), skeleton(who.label)
    if any(word in host for word in words) or (len(label) >= MIN_LABEL and label in joined):
        return True
    initials = "".join(word[0] for word in words)
    if len(initials) >= MIN_LABEL and initials in host:
        return True
    local = who.address.local[:MAX_NAME]
    if not modern or lists.known(who.domain):
        person = _borne_out(words, local)
    else:
        person = _person(display, local) and not lists.cheap_tld(who.domain)
    if person:
        return None  # somebody at a firm: the name says who, the domain for whom
    return False


def _borne_out(words: list[str], local: str) -> bool:
    """Whether the local part is made of the name: a word of it, or the beginning of one."""
    local = skeleton(local)
    return any(word in local or word.startswith(local[:MIN_LABEL]) for word in words if len(local) >= MIN_LABEL)


def _person(display: str, local: str) -> bool:
    """Whether a name of two or three words is borne out by a local part like first.last or f.last.

    Where nothing is known of the domain, looser forms do not count: thieves write "club vp" <clubvp@…>.
    """
    words = [skeleton(word) for word in display.replace(",", " ").split()]
    first, dot, last = local.partition(".")
    if not dot or len(words) not in (2, 3):
        return False
    first, last = skeleton(first), skeleton(last)
    return bool(first) and last in words and any(word.startswith(first) for word in words if word != last)


def _foreign_brand(display: str, extracted: Extracted, who: Author, lists: DomainLists) -> bool:
    # whoever writes from free mail did not choose its name: nobody at o2.pl pretends to be O2
    chosen = (display,) if lists.free_mail(who.domain) else (display, who.domain.rpartition(".")[0])
    for text in chosen:
        brand = lists.brands.named(text)
        if brand and who.organisation not in brand.domains and not _may_say(brand.name, display, who, lists):
            return not _by_mail_service(brand, extracted, who, lists)
    return False


def _by_mail_service(brand: Brand, extracted: Extracted, who: Author, lists: DomainLists) -> bool:
    """Whether a mail service writes for the brand: there are links, and each leads to the brand or the service."""
    if not lists.tracking(who.domain):
        return False
    hosts = {link.host for link in extracted.links if link.kind in VISITED and link.host and not link.hidden}
    homes = {lists.registrable(host) for host in hosts if not lists.tracking(host)}
    return bool(homes) and homes <= brand.domains


def _may_say(brand: str, display: str, who: Author, lists: DomainLists) -> bool:
    """Whether a popular domain has the brand's name, as written, in its label, or names itself beside the brand.

    The first is a country's or a department's domain ("amazon.de"), the second a partner ("Amazon at Fidelity").
    """
    if not lists.known(who.organisation):
        return False
    if brand.replace(" ", "") in who.label.replace("-", ""):
        return True
    label = skeleton(who.label)
    return len(label) >= MIN_LABEL and label in skeleton(display) and skeleton(brand) not in label


def _address_in_name(display: str, who: Author, lists: DomainLists) -> bool:
    return any(lists.registrable(host) not in ("", who.organisation) for host in _ADDRESS.findall(display))
