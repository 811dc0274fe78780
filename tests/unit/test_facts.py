"""Facts: for each, what makes it true, false and unknown."""

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model import reasons
from model.domains import DomainLists
from model.extracted import Address, Defect, DkimSignature, Extracted, Link, Part
from model.facts import BAD, BOTH_SPEAK, FALSE_SPEAKS, GOOD, Facts, Site, facts, sent_at
from model.filterfile import write
from model.mail import Client, Envelope, Recipient
from model.reports import FOREIGN_CONTENT

SITE = Site(trusted_authserv_ids=frozenset({"mx.site.example"}), own_domains=frozenset({"site.example"}))
NOBODY = Envelope("", ())
ADDED = ("Mon, 4 May 2026 12:00:00 +0000", "from x by mx.site.example; Mon, 4 May 2026 12:00:01 +0000")

KNOWN = ["nordhafen.example", "partner.example", "tel-nordhafen.example", "paypal.example"]


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> DomainLists:
    """The hand-kept lists as shipped, and popularity lists of invented domains."""
    path: Path = tmp_path_factory.mktemp("lists") / "domains.bin"
    source = {"name": "test", "date": "2026-01-01"}
    write(path, {"built": "2026-01-02", "sources": [source]}, {"popular": KNOWN, "dynamic": ["dyn.example"]},
          {"banks": ["suedhafenbank.example"], "disposable": ["throwaway.example"]})
    return DomainLists.load(path)


def letter(author: str = "Nordhafen <news@nordhafen.example>", *, auth: str = "", dkim: str = "", old: bool = False,
           **more: object) -> Extracted:
    """Return a message of 2026 (or 2003) from an author."""
    display, _, address = author.rpartition(" <")
    date, received = ADDED
    if old:
        date, received = date.replace("2026", "2003"), received.replace("2026", "2003")
    built: dict[str, object] = {
        "from_": (Address(display, address.rstrip(">")),) if author else (),
        "headers": {"date": date, **dict(more.pop("headers", {}))},  # type: ignore[call-overload]
        "received": (received,),
        "authentication_results": (f"mx.site.example; {auth}",) if auth else (),
        "dkim": tuple(DkimSignature(domain, "s") for domain in dkim.split()),
        "text": "Good day",
    }
    return Extracted(**{**built, **more})  # type: ignore[arg-type]


def link(host: str, shown: str = "here", kind: str = "anchor", hidden: bool = False) -> Link:
    return Link(f"https://{host}/x", host, shown, kind, hidden)


ASKS = (link("evil.example"),)
LIST = Envelope("talk-bounces@lists.example", ())
PASS = "dkim=pass header.d=nordhafen.example"
FAIL = "dkim=fail header.d=nordhafen.example"
STRANGER = "Anyone <x@stranger.example>"

CASES: dict[str, list[tuple[bool | None, Extracted]]] = {
    "authenticated": [
        (True, letter(auth=PASS)),
        (True, letter(auth="dkim=pass header.i=@mail.nordhafen.example")),
        (True, letter(auth="dmarc=pass header.from=nordhafen.example")),
        (True, letter(auth="dkim=fail header.d=other.example; dkim=pass header.d=nordhafen.example")),
        (False, letter(auth=FAIL)),
        (False, letter(auth="dkim=none")),
        (False, letter(auth="dkim=pass header.d=stranger.example")),
        (False, letter(auth="dmarc=pass header.from=stranger.example")),
        (False, letter(auth=f"dmarc=fail header.from=nordhafen.example; {PASS}")),
        (True, letter(auth="dkim=pass header.d=nordhafen-example.20230601.gappssmtp.com")),
        (False, letter(auth="dkim=pass header.d=stranger-example.20230601.gappssmtp.com")),
        (False, letter(auth="dkim=pass header.d=nordhafen-example.stranger.example")),
        (None, letter(auth=FAIL, headers={"list-id": "Talk <talk.lists.example>"})),
        (False, letter(auth="dmarc=fail", headers={"list-id": "Talk <talk.lists.example>"})),
        (None, letter()),
        (None, letter(auth="dkim=temperror")),
        (None, letter(auth="spf=pass smtp.mailfrom=nordhafen.example")),
        (None, letter(author="", auth=PASS)),
        (None, letter(dkim="nordhafen.example")),
        (None, Extracted(from_=letter().from_, authentication_results=(f"mx.evil.example; {PASS}",))),
    ],
    "sender_known": [
        (True, letter(auth=PASS)),
        (False, letter(auth=FAIL)),
        (None, letter()),
        (False, letter(STRANGER, auth="dkim=pass header.d=stranger.example")),
        (False, letter(STRANGER)),
        (None, letter("A <a@gmail.com>", auth="dkim=pass header.d=gmail.com")),
        (None, letter("A <a@x.onmicrosoft.com>")),
        (False, letter("Nordhafen <news@nordhafen>", auth=PASS)),
        (False, letter("Nordhafen <>", auth=PASS)),
        (False, letter(auth=PASS, from_=(Address("", "a@nordhafen.example"), Address("", "b@stranger.example")))),
        (True, letter(auth=PASS, from_=(Address("", "a@nordhafen.example"), Address("", "A@nordhafen.example.")))),
        (None, letter(auth=PASS, old=True)),
        (None, letter("", auth=PASS)),
    ],
    "dkim_aligned": [
        (True, letter(dkim="mail.nordhafen.example")),
        (True, letter(dkim="stranger.example nordhafen.example")),
        (False, letter(dkim="stranger.example")),
        (None, letter()),
        (None, letter(dkim="stranger.example", old=True)),
        (True, letter(dkim="nordhafen.example", old=True)),
    ],
    "name_matches_domain": [
        (True, letter()),
        (True, letter("Team Nordhafen Bank <x@nordhafen.example>")),
        (True, letter("Nord Hafen <x@nordhafen.example>")),
        (False, letter("Suedwind <x@nordhafen.example>")),
        (False, letter("Club Rewards Nine <clubrewards@stranger.example>")),
        (None, letter("Anna Schmidt <anna.schmidt@stranger.example>")),
        (None, letter("Schmidt, Anna <a.schmidt@stranger.example>")),
        (None, letter("Anna Schmidt <aschmidt@nordhafen.example>")),
        (False, letter("bleeding gums <bleeding.gums@stranger.shop>", text="")),
        (None, letter("Suedwind <x@nordhafen.example>", old=True)),
        (True, letter(old=True)),
        (None, letter("Suedwind <x@gmail.com>")),
        (None, letter("Suedwind <x@bounce.sendgrid.net>")),
        (None, letter("Support Team <x@nordhafen.example>")),
        (None, letter(" <x@nordhafen.example>")),
    ],
    "label_in_text": [
        (True, letter(text="Your friends at Nord-Hafen")),
        (False, letter(text="Good day https://nordhafen.example/x news@nordhafen.example www.nordhafen.example",
                       links=ASKS)),
        (False, letter(text="Good day", links=ASKS)),
        (None, letter(text="Good day", links=ASKS, old=True)),
        (None, letter(text="Good day")),
        (None, letter(text="Good day", links=(link("evil.example", hidden=True), link("x.example", kind="image")))),
        (None, letter(text="您好，请点击这里查看您的账单", links=ASKS)),
        (True, letter(text="您好，Nordhafen 请点击这里查看您的账单", links=ASKS)),
        (None, letter(text="", subject="")),
        (None, letter("A <a@gmail.com>", text="gmail")),
        (None, letter("A <a@site.example>", text="site")),
        (None, letter("A <a@ab.example>", text="ab")),
    ],
    "name_in_text": [
        (True, letter("Suedwind Reisen <x@nordhafen.example>", text="Ihr Südwind-Team, Suedwind")),
        (True, letter("Suedwind Reisen Daily <x@nordhafen.example>", text="Suedwind!")),
        (False, letter("Suedwind Reisen <x@nordhafen.example>", text="Good day", links=ASKS)),
        (None, letter("Suedwind Reisen <x@nordhafen.example>", text="Good day", links=ASKS, old=True)),
        (None, letter("Suedwind Reisen <x@nordhafen.example>", text="Good day")),
        (None, letter("Suedwind Reisen <x@nordhafen.example>", text="您好，请点击这里查看您的账单", links=ASKS)),
        (None, letter(" <x@nordhafen.example>")),
        (None, letter("Support <x@nordhafen.example>")),
        (None, letter(text="")),
    ],
    "main_link_matches": [
        (True, letter(links=(link("www.nordhafen.example"), link("www.nordhafen.example"), link("evil.example")))),
        (True, letter(links=(link("tel-nordhafen.example"),))),
        (False, letter(STRANGER, links=(link("partner.example"),))),
        (False, letter(links=(link("evil.example"),))),
        (False, letter(links=(link("bit.ly"),))),
        (False, letter(links=(link("docs.google.com"),))),
        (None, letter(STRANGER, links=(link("www.stranger.example"),))),
        (None, letter(links=(link("u1.ct.sendgrid.net"),))),
        (None, letter(links=(link("nordhafen.example", hidden=True),))),
        (None, letter(links=(link("nordhafen.example"),), old=True)),
        (None, letter()),
    ],
    "list_unsubscribe": [
        (True, letter(headers={"list-unsubscribe": "<https://x.example>"})),
        (False, letter()),
        (None, Extracted(text="a bare body")),
    ],
    "is_reply": [
        (True, letter(headers={"in-reply-to": "<1@x.example>"})),
        (True, letter(headers={"references": "<1@x.example>"})),
        (False, letter()),
        (None, Extracted(text="a bare body")),
    ],
    "cheap_tld": [
        (True, letter("A <a@stranger.top>")),
        (False, letter()),
        (None, letter("A <a@stranger.top>", old=True)),
        (None, letter("")),
    ],
    "foreign_brand": [
        (True, letter("PayPal <x@stranger.example>")),
        (True, letter("PаyPа1 Service <x@nordhafen.example>")),
        (True, letter("Service <x@paypal-secure.example>")),
        (True, letter("Service <x@paypa1.com>")),
        (True, letter("Google Support <google.support@gmail.com>")),
        (True, letter("Suedhafenbank <x@stranger.example>")),
        (True, letter("Pay\U000e0139Pal <x@stranger.example>")),
        (True, letter("PayPal <paypal@sparkpostmail.com>", links=(link("www.paypal.com"), link("evil.example")))),
        (True, letter("PayPal <paypal@sparkpostmail.com>")),
        (False, letter("PayPal <paypal@sparkpostmail.com>", links=(link("www.paypal.com"), link("x.sendgrid.net")))),
        (False, letter("PayPal <x@mail.paypal.com>")),
        (False, letter("PayPal <x@paypal.example>")),
        (False, letter("PayPal at Nordhafen <x@nordhafen.example>")),
        (False, letter()),
        (False, letter("Jan Kowalski <jan@o2.pl>")),
        (True, letter("O2 <jan@o2.pl>")),
        (True, letter("Jan <jan@paypal-help.onmicrosoft.com>")),
        (False, letter("Nidhi Panda <nidhi@stranger.example>")),
        (True, letter("dhlexpress <x@stranger.example>")),
        (True, letter("PayPal <service@paypal>")),
        (True, letter(from_=(Address("PayPal", "a@paypal.com"), Address("", "b@stranger.example")))),
        (None, letter("Nordhafen <news@nordhafen>")),
        (None, letter("PayPal <x@stranger.example>", old=True)),
        (None, letter("")),
    ],
    "address_in_name": [
        (True, letter("boss@nordhafen.example <x@stranger.example>")),
        (True, letter('"Boss (boss@site.example)" <x@stranger.example>')),
        (False, letter("x@mail.nordhafen.example <x@nordhafen.example>")),
        (False, letter()),
        (None, letter(" <x@nordhafen.example>")),
    ],
    "unknown_links": [
        (True, letter(links=(link("evil.example"), link("worse.example"), link("partner.example")))),
        (True, letter(links=(link("bit.ly"),))),
        (False, letter(links=(link("evil.example"), link("partner.example")))),
        (None, letter(links=(link("u1.ct.sendgrid.net"), link("facebook.com")))),
        (None, letter(links=(link("evil.example", kind="image"),))),
        (None, letter(links=(link("evil.example"),), old=True)),
    ],
    "unknown_images": [
        (True, letter(links=(link("evil.example", kind="image"),))),
        (False, letter(links=(link("img.nordhafen.example", kind="image"),))),
        (None, letter(links=(link("x.cloudfront.net", kind="image"), link("evil.example")))),
    ],
    "shortener_or_ip_link": [
        (True, letter(links=(link("partner.example"), link("bit.ly")))),
        (True, letter(links=(link("192.0.2.7"),))),
        (False, letter(links=(link("192.168.0.7"), link("127.0.0.1")))),
        (False, letter(links=(link("partner.example"),))),
        (None, letter(links=(Link("mailto:x@y.example", "", "x", "anchor"),))),
        (None, letter()),
    ],
    "foreign_signer": [
        (True, letter(dkim="stranger.example")),
        (True, letter(headers={"return-path": "<bounce@stranger.example>"})),
        (False, letter(dkim="stranger.example nordhafen.example")),
        (False, letter(dkim="partner.example")),
        (False, letter(dkim="sendgrid.net", headers={"return-path": "<b@u1.sendgrid.net>"})),
        (None, letter()),
        (None, letter(dkim="stranger.example", old=True)),
        (None, letter(dkim="lists.example", headers={"list-id": "Talk <talk.lists.example>"})),
    ],
    "reply_to_elsewhere": [
        (True, letter(reply_to=(Address("", "x@gmail.com"),))),
        (True, letter(reply_to=(Address("", "x@nordhafen.example"), Address("", "x@stranger.example")))),
        (True, letter("A <a@gmail.com>", reply_to=(Address("", "b@gmail.com"),))),
        (False, letter(reply_to=(Address("", "x@help.nordhafen.example"),))),
        (False, letter(reply_to=(Address("", "x@partner.example"),))),
        (False, letter(reply_to=(Address("", "x@nordhafen-shop.example"),))),
        (False, letter("A <a@gmail.com>", reply_to=(Address("", "A@gmail.com"),))),
        (False, letter()),
        (None, letter("", reply_to=(Address("", "x@stranger.example"),))),
    ],
    "free_mail_sender": [
        (True, letter("A <a@gmail.com>")),
        (True, letter("A <a@throwaway.example>")),
        (False, letter()),
        (None, letter("A <a@gmail.com>", old=True)),
        (None, letter("")),
    ],
    "sender_on_shared_host": [
        (True, letter("A <a@x.onmicrosoft.com>")),
        (True, letter("A <a@me.dyn.example>")),
        (True, letter("A <a@amazonses.com>")),
        (False, letter("Trello <x@trello.com>")),
        (True, letter("A <a@someone.trello.com>")),
        (False, letter("A <a@gmail.com>")),
        (False, letter()),
        (None, letter("")),
    ],
    "shown_link_differs": [
        (True, letter(links=(link("evil.example", "www.nordhafen.example"),))),
        (True, letter(links=(link("evil.example", "https://nordhafen.example/a"), link("x.example", "x.example")))),
        (False, letter(links=(link("u1.ct.sendgrid.net", "nordhafen.example"),))),
        (False, letter(links=(link("click.partner.example", "nordhafen.example"),))),
        (False, letter(links=(link("login.nordhafen.example", "www.nordhafen.example"),))),
        (None, letter(links=(link("evil.example", "click here. now"), link("evil.example", "Version 1.2")))),
        (None, letter(links=(link("evil.example", "nordhafen.example", hidden=True),))),
    ],
    "hidden_text": [
        (True, letter(hidden_text="flower " * 200)),
        (False, letter(hidden_text="flower " * 200, text="word " * 1000)),
        (False, letter(hidden_text="\u200c\u00a0" * 500 + "A preview line")),
        (False, letter()),
        (None, letter(text="")),
    ],
    "from_ambiguous": [
        (True, letter(from_=(Address("", "a@nordhafen.example"), Address("", "b@stranger.example")))),
        (True, letter(defects=(Defect("from-multiple"),))),
        (False, letter(from_=(Address("", "a@nordhafen.example"), Address("", "A@nordhafen.example")))),
        (False, letter()),
        (None, letter("")),
    ],
    "from_unusable": [
        (True, letter("PayPal <service@paypal>")),
        (True, letter("Nordhafen <>")),
        (True, letter("Nordhafen <news@nordhafen,example>")),
        (True, letter(from_=(Address("Nordhafen", '"news@nordhafen.example"'),))),
        (False, letter(from_=(Address("", "a@nordhafen.example"), Address("", "b@stranger.example")))),
        (False, letter()),
        (None, letter("")),
        (None, letter("Mail Delivery System <MAILER-DAEMON@relay>")),
    ],
    "name_disguised": [
        (True, letter("\U0001d5e1\U0001d5fc\U0001d5ff\U0001d5f1 Hafen <news@nordhafen.example>")),
        (True, letter("N\u043erdhafen <news@nordhafen.example>")),
        (True, letter("Nord\u200bhafen <news@nordhafen.example>")),
        (False, letter("Мария Орлова <news@nordhafen.example>")),
        (False, letter("株式会社ＮＨ <news@nordhafen.example>")),
        (False, letter("Nördliches ❤ <news@nordhafen.example>")),
        (False, letter()),
        (None, letter(" <news@nordhafen.example>")),
    ],
    "brand_in_subject": [
        (True, letter(STRANGER, subject="Your PayPal account")),
        (True, letter("A <a@gmail.com>", subject="Pay\u200bPal: order 5")),
        (False, letter(subject="Pay with PayPal", auth=PASS)),
        (False, letter("PayPal <x@paypal.com>", subject="Your PayPal account")),
        (False, letter(STRANGER, subject="Your account")),
        (None, letter(STRANGER, subject="Your PayPal account", old=True)),
        (None, letter("", subject="Your PayPal account")),
    ],
    "callback_number": [
        (True, letter(STRANGER, text="Your order 1234. Not you? Call +1 (800) 555-0199 today")),
        (True, letter("A <a@gmail.com>", text="Toll free: 800-555-0199")),
        (False, letter(STRANGER, text="Call +1 (800) 555-0199", links=ASKS)),
        (False, letter(STRANGER, text="Call +1 (800) 555-0199", headers={"in-reply-to": "<1@x.example>"})),
        (False, letter(auth=PASS, text="Call +1 (800) 555-0199")),
        (False, letter(STRANGER, text="Invoice 20260504-1187, 4 May 2026, 10.20.30.40, 1234567890")),
        (None, letter(STRANGER, text="")),
    ],
    "shared_host_link": [
        (True, letter(links=(link("partner.example"), link("forms.gle")))),
        (True, letter(links=(link("x.github.io"),))),
        (False, letter(links=(link("partner.example"),))),
        (False, letter("Trello <x@trello.com>", links=(link("trello.com"),))),
        (None, letter()),
        (None, letter(links=(link("forms.gle"),), old=True)),
    ],
}  # fmt: skip


def part(name: str = "", kind: str = "application/octet-stream", true: str = "", attachment: bool = True,
         encrypted: bool = False) -> Part:
    return Part(kind, true, "", name, "attachment", 1, "", attachment, encrypted)


CASES["risky_attachment"] = [
    *((True, letter(parts=(part(name),))) for name in ("a.exe", "A.PDF.Js", "x.html", "x.svg", "x.docm", "x.iso. ")),
    (True, letter(parts=(part("a.pdf", true="application/x-dosexec"),))),
    (True, letter(parts=(part("a.zip", encrypted=True),))),
    (True, letter(parts=(part("", "text/html"),))),
    *((False, letter(parts=(part(name),))) for name in ("a.pdf", "exe", "a.docx", "a.exe.txt", "")),
    (False, letter(parts=(part("", "text/html", attachment=False),))),
    (False, letter()),
]

TABLE = [(name, at, want, mail) for name, cases in CASES.items() for at, (want, mail) in enumerate(cases)]


@pytest.mark.parametrize(("name", "at", "want", "mail"), TABLE, ids=[f"{name}-{at}" for name, at, _, _ in TABLE])
def test_each_fact_is_true_false_or_unknown_for_its_reason(
    lists: DomainLists, name: str, at: int, want: bool | None, mail: Extracted
) -> None:
    envelope = LIST if "list-id" in mail.headers else NOBODY

    assert getattr(facts(mail, envelope, SITE, lists), name) is want


@pytest.mark.parametrize(
    ("known", "auth", "want"),
    [
        ("news@nordhafen.example", PASS, True),
        ("nordhafen.example", PASS, True),
        ("nordhafen.example", FAIL, False),
        ("nordhafen.example", "", None),
        ("other.example", PASS, False),
        ("", PASS, None),
    ],
)
def test_a_correspondent_is_known_when_listed_and_not_refuted(
    lists: DomainLists, known: str, auth: str, want: bool | None
) -> None:
    site = Site(SITE.trusted_authserv_ids, frozenset(), frozenset({known} - {""}))

    assert facts(letter(auth=auth), NOBODY, site, lists).known_correspondent is want


def test_a_shared_domain_on_the_list_makes_nobody_a_correspondent(lists: DomainLists) -> None:
    site = Site(frozenset({"mx.site.example"}), frozenset(), frozenset({"gmail.com"}))
    mail = letter("A <a@gmail.com>", auth="dkim=pass header.d=gmail.com")

    assert facts(mail, NOBODY, site, lists).known_correspondent is False


@pytest.mark.parametrize(
    ("author", "seen", "want"),
    [
        (STRANGER, {"other.example"}, True),
        (STRANGER, {"stranger.example"}, False),
        (STRANGER, {"x@stranger.example"}, False),
        ("A <a@gmail.com>", {"gmail.com", "b@gmail.com"}, True),
        ("A <a@gmail.com>", {"a@gmail.com"}, False),
        (STRANGER, set(), None),
        ("", {"other.example"}, None),
    ],
)
def test_a_first_contact_is_told_only_where_a_site_has_a_history(
    lists: DomainLists, author: str, seen: set[str], want: bool | None
) -> None:
    site = Site(seen_senders=frozenset(seen))

    assert facts(letter(author), NOBODY, site, lists).first_contact is want


def test_who_is_written_to_is_no_first_contact(lists: DomainLists) -> None:
    site = Site(known_correspondents=frozenset({"stranger.example"}), seen_senders=frozenset({"other.example"}))

    assert facts(letter(STRANGER), NOBODY, site, lists).first_contact is False


@pytest.mark.parametrize(
    ("author", "want"),
    [
        ("A <a@nordhafem.example>", True),
        ("A <a@nordhafn.example>", True),
        ("A <a@nordhaffen.example>", True),
        ("A <a@n0rdhafen.example>", True),
        ("A <a@nordhafen-billing.example>", True),
        ("A <a@nordhafen.other>", True),
        ("A <a@xn--nrdhafen-nbh.example>", True),
        ("A <a@suedhafen.example>", False),
        ("A <a@mail.nordhafen.example>", False),
        ("A <a@gmail.com>", False),
        ("", None),
    ],
)
def test_a_domain_that_imitates_the_site_or_its_correspondents_is_seen(
    lists: DomainLists, author: str, want: bool | None
) -> None:
    own = Site(own_domains=frozenset({"nordhafen.example"}))
    known = Site(known_correspondents=frozenset({"nordhafen.example", "someone@else.example"}))

    assert facts(letter(author), NOBODY, own, lists).lookalike_domain is want
    assert facts(letter(author), NOBODY, known, lists).lookalike_domain is want


def test_nothing_looks_alike_where_a_site_names_nobody(lists: DomainLists) -> None:
    assert facts(letter(STRANGER), NOBODY, Site(), lists).lookalike_domain is None


BOUNCE = {
    "author": "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
    "subject": "PayPal: delivery failed",
    "links": (link("evil.example"), link("bit.ly")),
}


def test_a_report_from_the_null_sender_is_not_judged_by_what_it_quotes(lists: DomainLists) -> None:
    told = facts(letter(**BOUNCE), Envelope("", ()), SITE, lists)  # type: ignore[arg-type]

    assert {name for name in FOREIGN_CONTENT if getattr(told, name) is not None} == set()


@pytest.mark.parametrize(
    ("sender", "more"),
    [
        ("x@stranger.example", {}),
        ("", {"author": "Anyone <x@stranger.example>"}),
    ],
)
def test_who_only_looks_like_a_report_is_judged(lists: DomainLists, sender: str, more: dict[str, object]) -> None:
    told = facts(letter(**{**BOUNCE, **more}), Envelope(sender, ()), SITE, lists)  # type: ignore[arg-type]

    assert told.unknown_links is True
    assert told.shortener_or_ip_link is True


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"auto-submitted": "auto-replied"}},
        {"parts": (Part("message/delivery-status", "", "", "", "", 1, "", False),)},
    ],
)
def test_automatic_answers_and_delivery_reports_are_reports(lists: DomainLists, more: dict[str, object]) -> None:
    mail = letter(STRANGER, links=(link("evil.example"),), **more)

    assert facts(mail, NOBODY, SITE, lists).unknown_links is None
    assert facts(mail, Envelope("x@stranger.example", ()), SITE, lists).unknown_links is True


def test_a_list_that_writes_for_its_members_is_a_list(lists: DomainLists) -> None:
    """Lists that put their own address into From have answers go to the author."""
    mail = letter("Anna via Talk <talk@lists.example>", auth="dkim=pass header.d=anna.example",
                  headers={"list-id": "Talk <talk.lists.example>"}, reply_to=(Address("Anna", "a@anna.example"),))
    told = facts(mail, LIST, SITE, lists)

    assert (told.authenticated, told.reply_to_elsewhere) == (None, None)
    assert facts(mail, Envelope("x@stranger.example", ()), SITE, lists).reply_to_elsewhere is True


def test_every_fact_is_tested_has_one_sign_and_can_be_all_three() -> None:
    names = {field.name for field in fields(Facts)}

    assert set(GOOD) | set(BAD) == names
    assert not set(GOOD) & set(BAD)
    assert set(reasons.FACTS) == names
    assert set(CASES) | {"known_correspondent", "first_contact", "lookalike_domain"} == names
    assert set(GOOD) > FALSE_SPEAKS and set(GOOD) > BOTH_SPEAK and not BOTH_SPEAK & FALSE_SPEAKS
    always_known = {"risky_attachment"}
    three = {True, False, None}
    assert {name for name, cases in CASES.items() if {want for want, _ in cases} != three} == always_known


def test_the_envelope_sender_stands_for_the_return_path(lists: DomainLists) -> None:
    assert facts(letter(), Envelope("b@stranger.example", ()), SITE, lists).foreign_signer is True


def test_recipient_and_client_change_no_fact(lists: DomainLists) -> None:
    """A value that depended on them would tell the mailbox, not the mail."""
    mail = letter(auth=PASS, dkim="nordhafen.example", links=(link("evil.example"),))
    others = Extracted(**{name: getattr(mail, name) for name in mail.__dataclass_fields__} | {
        "to": (Address("Anna", "anna@nordhafen.example"),)})  # fmt: skip
    envelope = Envelope("", (Recipient("anna@nordhafen.example"),), client=Client("192.0.2.1", "x.example"))

    assert facts(mail, NOBODY, SITE, lists) == facts(others, envelope, SITE, lists)


@pytest.mark.parametrize(
    ("received", "date", "year"),
    [
        ("from x; Mon, 4 May 2026 12:00:01 +0000", "Mon, 4 May 1999 12:00:01 +0000", 2026),
        ("from x (no date)", "Mon, 4 May 1999 12:00:01 +0000", 1999),
        ("", "Mon, 4 May 1999 12:00:01", 1999),
        ("", "99/99/99", 9999),
        ("", "Mon, 99 May 99999999999999999999 12:00:01 +9999", 9999),
        ("", "", 9999),
    ],
)
def test_a_message_is_as_old_as_its_arrival_and_never_older_by_its_own_word(
    received: str, date: str, year: int
) -> None:
    extracted = Extracted(received=(received,) if received else (), headers={"date": date})

    assert sent_at(extracted).year == year
    assert sent_at(extracted) <= datetime.max.replace(tzinfo=UTC)


def test_what_arrives_now_is_of_today_though_it_came_with_a_forged_received(lists: DomainLists) -> None:
    """Whoever is the first hop sees no Received of its own, and must not believe the one that a thief wrote."""
    forged = letter("Nordhafen <x@stranger.shop>", old=True, links=(link("evil.example"),))

    assert facts(forged, NOBODY, SITE, lists).cheap_tld is None
    assert facts(forged, NOBODY, SITE, lists, arriving=True) == facts(
        letter("Nordhafen <x@stranger.shop>", links=(link("evil.example"),)), NOBODY, SITE, lists)  # fmt: skip
