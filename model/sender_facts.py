"""Facts about who sends: authentication, the domain, where answers go, and what the site knows of the sender."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from model.authres import topmost, trusted
from model.domains import DomainLists
from model.extracted import Address, Extracted
from model.lookalike import lookalike
from model.mail import Envelope

Found = dict[str, bool | None]

MAX_AUTHORS = 20  # more are as ambiguous as two
MAX_NAME = 200  # characters of a display name or local part that are looked at
# Labels with a dot between them (RFC 5321 section 4.1.2), in any letters (RFC 6531); no quotes, commas, blanks.
_HOST = re.compile(r"(?:[\w-]{1,63}\.){1,20}[\w-]{2,63}")
# Soft hyphens, joiners, direction marks, variation selectors and tags.
UNSEEN = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\U000e0000-\U000e0fff]"
)
_INVISIBLE = re.compile(UNSEEN)
_HOSTED = "gappssmtp.com"
MIN_LABEL = 3
VISITED = frozenset({"anchor", "form", "area", "text", "frame"})
"""Kinds of links that a reader follows."""


class Acquaintance(Protocol):
    """What a site knows of its senders (`model.facts.Site`)."""

    @property
    def own_domains(self) -> frozenset[str]:
        """Return the site's own domains."""
        ...

    @property
    def known_correspondents(self) -> Collection[str]:
        """Return addresses and domains that the site writes to."""
        ...

    @property
    def seen_senders(self) -> Collection[str]:
        """Return addresses and domains that wrote before."""
        ...


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
    """Return who From says has written; an empty `Author` when From is absent, names several mailboxes or no host."""
    distinct = _authors(extracted)
    if len(distinct) != 1:
        return Author(Address("", ""), "", "")
    (address,) = distinct.values()
    if _HOST.fullmatch(address.domain) is None:
        return Author(address, "", "")
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
    by_list = mailing_list(extracted, envelope, who, lists)
    passed = _authenticated(extracted, who.organisation, authserv_ids, lists, by_list=by_list)
    signers = {lists.registrable(signature.domain) for signature in extracted.dkim} - {""}
    return_path = lists.registrable(_domain(envelope.sender or extracted.headers.get("return-path", "")))
    claims = signers | ({return_path} - {""})
    return {
        "authenticated": passed,
        "sender_known": _known(who, passed, lists),
        "dkim_aligned": (who.organisation in signers) if signers else None,
        "foreign_signer": _foreign(who.organisation, signers, return_path, lists) if claims and not by_list else None,
    }


def _known(who: Author, authenticated: bool | None, lists: DomainLists) -> bool | None:
    """Tell whether a popular domain writes; where anyone may write, other facts say so already."""
    if lists.shared(who.domain):
        return None
    return authenticated if lists.known(who.domain) else False


def mailing_list(extracted: Extracted, envelope: Envelope, who: Author, lists: DomainLists) -> bool:
    """Whether a mailing list has sent another's message on: its List-Id (RFC 2919) and return path name one domain.

    From is another's, or the list's own address that stands in for him. Lists change what they pass on, so that the
    author's signature fails (RFC 6377 section 5), and have answers go elsewhere.
    """
    name = extracted.headers.get("list-id", "").rpartition("<")[2].rstrip("> ").lower()
    listed = lists.registrable(_domain(name))
    if not listed or listed != lists.registrable(_domain(envelope.sender)):
        return False
    return listed != who.organisation or name == who.address.address.lower().replace("@", ".", 1)


def _authenticated(extracted: Extracted, organisation: str, ids: frozenset[str], lists: DomainLists, *,
                   by_list: bool) -> bool | None:  # fmt: skip
    """Tell whether DMARC or an aligned DKIM signature passed (RFC 7489 section 3.1, relaxed).

    A signature that a mailing list broke proves nothing; its owner says by DMARC if it must not be so.
    """
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
        if result.result == "pass" and organisation in (lists.registrable(signer), _hosted(signer)):
            return True
    decided = [result for result in (*dmarc, *dkim) if result.result != "temperror"]
    return False if decided and not by_list else None


def _hosted(signer: str) -> str:
    """Return whom Google signs for under its own name where a customer has no key: a-com.2023.gappssmtp.com is a.com.

    Google gives the name only to who has proved that the domain is his.
    """
    first, _, rest = signer.partition(".")
    return first.replace("-", ".") if rest.endswith(_HOSTED) else ""


def _foreign(organisation: str, signers: set[str], return_path: str, lists: DomainLists) -> bool:
    def strange(domain: str) -> bool:
        return domain != organisation and not (
            lists.known(domain) or lists.tracking(domain) or lists.shared(domain)
        )

    unsigned = organisation not in signers and any(map(strange, signers))
    return unsigned or (bool(return_path) and strange(return_path))


def visible(text: str) -> str:
    """Return a short text without the characters that nobody sees."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def origin(extracted: Extracted, envelope: Envelope, who: Author, identified: Mapping[str, bool | None],
           site: Acquaintance, lists: DomainLists) -> Found:  # fmt: skip
    """Return facts about the sender's domain, Reply-To, the headers that lists and replies carry, and the site's own
    experience of the sender.
    """
    found: Found = {
        "list_unsubscribe": None, "is_reply": None, "known_correspondent": None, "cheap_tld": None,
        "reply_to_elsewhere": None, "free_mail_sender": None, "sender_on_shared_host": None, "from_ambiguous": None,
        "from_unusable": None, "brand_in_subject": None, "first_contact": None, "lookalike_domain": None,
    }  # fmt: skip
    if extracted.headers or extracted.from_:
        found["list_unsubscribe"] = "list-unsubscribe" in extracted.headers
        found["is_reply"] = bool(extracted.headers.get("in-reply-to") or extracted.headers.get("references"))
    odd = any(defect.code == "from-multiple" for defect in extracted.defects)
    if extracted.from_ or odd:
        several = odd or len(_authors(extracted)) > 1
        found["from_ambiguous"] = several
        found["from_unusable"] = not several and not who.organisation
    if not who.organisation:
        return found
    free = lists.free_mail(who.domain)
    found["cheap_tld"] = lists.cheap_tld(who.domain)
    found["free_mail_sender"] = free
    found["sender_on_shared_host"] = lists.tenant(who.domain) and not free
    if not mailing_list(extracted, envelope, who, lists):
        found["reply_to_elsewhere"] = _reply_elsewhere(extracted, who, free, lists)
    brand = lists.brands.named(visible(extracted.subject[:MAX_NAME]))
    found["brand_in_subject"] = (brand is not None and who.organisation not in brand.domains
                                 and not identified["sender_known"])  # fmt: skip
    listed = _listed(who, site.known_correspondents, lists)
    if site.known_correspondents:
        found["known_correspondent"] = identified["authenticated"] if listed else False
    if site.seen_senders:
        found["first_contact"] = not (listed or _listed(who, site.seen_senders, lists))
    named = frozenset(site.known_correspondents)  # none, of a list that only answers
    if site.own_domains or named:
        found["lookalike_domain"] = not listed and lookalike(who.organisation, site.own_domains, named)
    return found


def _reply_elsewhere(extracted: Extracted, who: Author, free: bool, lists: DomainLists) -> bool:
    for address in extracted.reply_to:
        organisation = lists.registrable(address.domain)
        if free and organisation == who.organisation and address.address.lower() != who.address.address.lower():
            return True
        if organisation and organisation != who.organisation and not _akin_or_known(organisation, who, lists):
            return True
    return False


def _akin_or_known(organisation: str, who: Author, lists: DomainLists) -> bool:
    """Whether a reply may well go there: a popular domain, or one that is named alike."""
    return lists.known(organisation) or akin(organisation, who)


def akin(organisation: str, who: Author) -> bool:
    """Whether one's label is within the other's: "shop" and "shopcards"."""
    one, other = sorted((organisation.partition(".")[0], who.label), key=len)
    return len(one) > MIN_LABEL and one in other


def _listed(who: Author, known: Collection[str], lists: DomainLists) -> bool:
    """Whether the address is on a list, or its domain where not anyone may have a mailbox there."""
    return who.address.address.lower() in known or (
        not lists.shared(who.domain) and (who.organisation in known or who.domain in known)
    )


def _domain(address: str) -> str:
    """Return the domain of an address or of a bare domain, in lower case."""
    return address.strip().strip("<>").rpartition("@")[2].strip().lower().rstrip(".")
