"""Facts about who sends: authentication, names, and where else a message points back to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from model.authres import topmost, trusted
from model.confusables import skeleton
from model.domains import DomainLists
from model.extracted import Address, Extracted
from model.mail import Envelope

Found = dict[str, bool | None]

MAX_AUTHORS = 20  # more are as ambiguous as two
MAX_NAME = 200  # characters of a display name or local part that are looked at
MAX_TEXT = 20_000  # characters looked at for names: a name that matters stands near the start or the end
_WORD = re.compile(r"[^\W_]{3,}")
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")
_MIN_LABEL = 3

@dataclass(frozen=True, slots=True)
class Author:
    """The one mailbox that From names. `organisation` is its registrable domain; empty where there is no author."""

    address: Address
    organisation: str
    domain: str

    @property
    def label(self) -> str:
        """The organisation's own label: "example" of "example.co.uk"."""
        return self.organisation.partition(".")[0]


def author(extracted: Extracted, lists: DomainLists) -> Author:
    """Return who From says has written; an empty `Author` when From is absent or names several mailboxes."""
    distinct = _authors(extracted)
    if len(distinct) != 1:
        return Author(Address("", ""), "", "")
    (address,) = distinct.values()
    return Author(address, lists.registrable(address.domain), address.domain)


def _authors(extracted: Extracted) -> dict[str, Address]:
    """Return From's mailboxes; case and a final dot make no other."""
    return {address.address.lower().rstrip("."): address for address in extracted.from_[:MAX_AUTHORS]}


def identity(extracted: Extracted, envelope: Envelope, who: Author, authserv_ids: frozenset[str],
             lists: DomainLists) -> Found:
    """Return sender_known, authenticated, dkim_aligned, foreign_signer."""
    if not who.organisation:
        nobody = dict.fromkeys(("sender_known", "authenticated", "dkim_aligned", "foreign_signer"))
        return {**nobody, "sender_known": False if extracted.from_ else None}
    passed = _authenticated(extracted, who.organisation, authserv_ids, lists)
    signers = {lists.registrable(signature.domain) for signature in extracted.dkim} - {""}
    return_path = lists.registrable(_domain(envelope.sender or extracted.headers.get("return-path", "")))
    claims = signers | ({return_path} - {""})
    return {
        "authenticated": passed,
        "sender_known": passed if lists.known(who.domain) else False,
        "dkim_aligned": (who.organisation in signers) if signers or extracted.received else None,
        "foreign_signer": _foreign(who.organisation, signers, return_path, lists) if claims else None,
    }


def _authenticated(extracted: Extracted, organisation: str, ids: frozenset[str], lists: DomainLists) -> bool | None:
    """Tell whether DMARC or an aligned DKIM signature passed (RFC 7489 section 3.1, relaxed)."""
    headers = trusted(extracted.authentication_results, ids)
    dmarc, dkim = topmost(headers, "dmarc"), topmost(headers, "dkim")
    for result in dmarc:
        about = _domain(result.get("header.from")) or organisation
        if result.result == "fail":
            return False
        if result.result == "pass" and lists.registrable(about) == organisation:
            return True
    for result in dkim:
        signer = _domain(result.get("header.d") or result.get("header.i"))
        if result.result == "pass" and lists.registrable(signer) == organisation:
            return True
    decided = [result for result in (*dmarc, *dkim) if result.result != "temperror"]
    return False if decided else None


def _foreign(organisation: str, signers: set[str], return_path: str, lists: DomainLists) -> bool:
    def strange(domain: str) -> bool:
        return domain != organisation and not (
            lists.known(domain) or lists.tracking(domain) or lists.shared(domain)
        )

    unsigned = organisation not in signers and any(map(strange, signers))
    return unsigned or (bool(return_path) and strange(return_path))


def name(extracted: Extracted, who: Author, lists: DomainLists, own_domains: frozenset[str]) -> Found:
    """Return what the display name says against the domain and the text."""
    names = ("name_matches_domain", "label_in_text", "name_in_text", "foreign_brand", "address_in_name")
    found: Found = dict.fromkeys(names)
    if not who.organisation:
        borrowed = any(lists.brands.named(address.display) for address in extracted.from_[:MAX_AUTHORS])
        found["foreign_brand"] = borrowed or None
        return found
    display = who.address.display[:MAX_NAME]
    text = _squashed(extracted.subject + "\n" + extracted.text)
    words = [skeleton(word) for word in _WORD.findall(display) if word.lower() not in lists.common_words]
    found["foreign_brand"] = _foreign_brand(display, who, lists)
    if display.strip():
        found["address_in_name"] = _address_in_name(display, who, lists)
    shared = lists.shared(who.domain) or lists.tracking(who.domain)
    if words and not shared:
        found["name_matches_domain"] = _name_matches(display, words, who, lists)
    if text:
        label = skeleton(who.label)
        if len(label) >= _MIN_LABEL and not shared and who.organisation not in own_domains:
            found["label_in_text"] = label in text
        if words:
            found["name_in_text"] = skeleton(display) in text or max(words, key=len) in text
    return found


def _squashed(text: str) -> str:
    """Return the skeleton of a text without links and addresses, which name a domain whoever writes."""
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT // 2] + "\n" + text[-MAX_TEXT // 2 :]
    words = [word for word in text.split() if "@" not in word and "://" not in word and "www." not in word]
    return skeleton("".join(words))


def _name_matches(display: str, words: list[str], who: Author, lists: DomainLists) -> bool | None:
    host = skeleton(who.domain)
    joined, label = "".join(words), skeleton(who.label)
    if any(word in host for word in words) or (len(label) >= _MIN_LABEL and label in joined):
        return True
    initials = "".join(word[0] for word in words)
    if len(initials) >= _MIN_LABEL and initials in host:
        return True
    local = who.address.local[:MAX_NAME]
    if lists.known(who.domain):
        person = _borne_out(words, local)
    else:
        person = _person(display, local) and not lists.cheap_tld(who.domain)
    if person:
        return None  # somebody at a firm: the name says who, the domain for whom
    return False


def _borne_out(words: list[str], local: str) -> bool:
    """Whether the local part is made of the name: a word of it, or the beginning of one."""
    local = skeleton(local)
    return any(word in local or word.startswith(local[:_MIN_LABEL]) for word in words if len(local) >= _MIN_LABEL)


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


def _foreign_brand(display: str, who: Author, lists: DomainLists) -> bool:
    for text in (display, who.domain.rpartition(".")[0]):
        brand = lists.brands.named(text)
        if brand and who.organisation not in brand.domains and not _may_say(brand.name, display, who, lists):
            return True
    return False


def _may_say(brand: str, display: str, who: Author, lists: DomainLists) -> bool:
    """Whether a popular domain has the brand's name, as written, in its label, or names itself beside the brand.

    The first is a country's or a department's domain ("amazon.de"), the second a partner ("Amazon at Fidelity").
    """
    if not lists.known(who.organisation):
        return False
    if brand.replace(" ", "") in who.label.replace("-", ""):
        return True
    label = skeleton(who.label)
    return len(label) >= _MIN_LABEL and label in skeleton(display) and skeleton(brand) not in label


def _address_in_name(display: str, who: Author, lists: DomainLists) -> bool:
    return any(lists.registrable(host) not in ("", who.organisation) for host in _ADDRESS.findall(display))


def origin(extracted: Extracted, who: Author, identified: Mapping[str, bool | None], correspondents: frozenset[str],
           lists: DomainLists) -> Found:
    """Return facts about the sender's domain, Reply-To and the headers that lists and replies carry."""
    found: Found = {
        "list_unsubscribe": None, "is_reply": None, "known_correspondent": None, "cheap_tld": None,
        "reply_to_elsewhere": None, "free_mail_sender": None, "sender_on_shared_host": None, "from_ambiguous": None,
    }  # fmt: skip
    if extracted.headers or extracted.from_:
        found["list_unsubscribe"] = "list-unsubscribe" in extracted.headers
        found["is_reply"] = bool(extracted.headers.get("in-reply-to") or extracted.headers.get("references"))
    odd = any(defect.code == "from-multiple" for defect in extracted.defects)
    if extracted.from_ or odd:
        found["from_ambiguous"] = odd or len(_authors(extracted)) > 1
    if who.organisation:
        free = lists.free_mail(who.domain)
        found["cheap_tld"] = lists.cheap_tld(who.domain)
        found["free_mail_sender"] = free
        found["sender_on_shared_host"] = lists.shared(who.domain) and not free
        found["reply_to_elsewhere"] = _reply_elsewhere(extracted, who, free, lists)
        found["known_correspondent"] = _correspondent(who, identified["authenticated"], correspondents, lists)
    return found


def _reply_elsewhere(extracted: Extracted, who: Author, free: bool, lists: DomainLists) -> bool:
    for address in extracted.reply_to:
        organisation = lists.registrable(address.domain)
        if free and organisation == who.organisation and address.address.lower() != who.address.address.lower():
            return True
        if organisation and organisation != who.organisation and not _akin(organisation, who, lists):
            return True
    return False


def _akin(organisation: str, who: Author, lists: DomainLists) -> bool:
    """Whether a reply may well go there: a popular domain, or one label within the other ("shop", "shopcards")."""
    if lists.known(organisation):
        return True
    one, other = sorted((organisation.partition(".")[0], who.label), key=len)
    return len(one) > _MIN_LABEL and one in other


def _correspondent(who: Author, authenticated: bool | None, known: frozenset[str], lists: DomainLists) -> bool | None:
    if not known:
        return None
    listed = who.address.address.lower() in known or (
        not lists.shared(who.domain) and (who.organisation in known or who.domain in known)
    )
    return authenticated if listed else False


def _domain(address: str) -> str:
    """Return the domain of an address or of a bare domain, in lower case."""
    return address.strip().strip("<>").rpartition("@")[2].strip().lower().rstrip(".")
