"""A written message as a full RFC 5322 message, as the last hop would hand it over.

What a message is wrapped in must say nothing about its class: transfer encodings, mailers, identifiers,
relays and the recipient are drawn from one distribution for honest and bad mail alike. Only what the author
declared (sender, return path, signer, unsubscribing, reply, authentication) differs.
"""

import base64
import quopri
import random
import textwrap
import unicodedata
from datetime import timedelta
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.written import Attachment, Written

GATE = "mx.hollerbach.example"
"""The invented gateway that adds `Received` and `Authentication-Results` to written mail."""

RECIPIENTS = {
    "en": ("Nora Whitlock", "Owen Farrow", "Tessa Marlow", "Ivan Brooks"),
    "de": ("Jana Reuter", "Moritz Hellwig", "Karin Sandner", "Timo Brandes"),
    "fr": ("Lucie Vasseur", "Bastien Morel", "Odile Renaud", "Hugo Lacombe"),
    "es": ("Marta Ibarra", "Julio Cebrero", "Elena Prado", "Andrea Solano"),
    "it": ("Giulia Ferraro", "Marco Bellandi", "Chiara Donati", "Paolo Rinaldi"),
    "nl": ("Sanne de Wit", "Joris Bakker", "Femke Visser", "Daan Mulder"),
    "pt": ("Inês Cardoso", "Rui Tavares", "Beatriz Moura", "Caio Andrade"),
    "pl": ("Alicja Wrona", "Tomasz Gajda", "Ewa Sikorska", "Marek Zieliński"),
    "sv": ("Elin Bergman", "Oskar Lindahl", "Maja Sund", "Nils Forsberg"),
    "da": ("Freja Holm", "Mads Kjær", "Signe Dahl", "Emil Toft"),
    "fi": ("Aino Lehto", "Eero Salmi", "Helmi Ranta", "Otso Niemelä"),
    "cs": ("Tereza Malá", "Vojtěch Hruška", "Lenka Bártová", "Ondřej Sova"),
    "tr": ("Elif Aydın", "Kerem Yalçın", "Defne Koç", "Baran Tuna"),
    "ru": ("Дарья Орлова", "Павел Климов", "Анна Белова", "Игорь Седов"),
    "uk": ("Оксана Гайова", "Тарас Бондар", "Леся Кравець", "Юрій Мороз"),
    "zh": ("林悦", "陈浩然", "周敏", "何俊杰"),
    "ja": ("佐伯 美咲", "小田 健", "森下 由佳", "藤井 亮"),
    "ar": ("ليلى حداد", "سامر نجار", "هدى منصور", "كريم زيدان"),
}
_MAGIC = {
    "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
    "zip": b"PK\x05\x06" + bytes(18),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(32),
    "calendar": b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n",
    "html": b"<!DOCTYPE html><title>attached</title><p>attached</p>\r\n",
    "plain": b"attached\r\n",
    "octet-stream": b"MZ" + bytes(62),
}

Entity = tuple[list[str], bytes]
"""MIME header lines and the encoded body below them (RFC 2045 section 2.4)."""


def compose(written: "Written", seed: int) -> bytes:
    """Return the message as wire bytes (CRLF). The same message and seed always give the same bytes."""
    draw = random.Random(f"{seed}:{written.key}")  # noqa: S311 - variety, not secrecy
    headers, body = _body(written, draw)
    lines = [*_trace(written, draw), *_identity(written, draw), "MIME-Version: 1.0", *headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + body


def _trace(written: "Written", draw: random.Random) -> list[str]:
    """Return path, verified authentication as declared, and one `Received` (RFC 5321 section 4.4)."""
    sender = parseaddr(written.sender)[1]
    back = written.return_path or sender
    helo = f"{draw.choice(('mail', 'out', 'mta1', 'smtp'))}.{back.rpartition('@')[2]}"
    came = format_datetime(written.date + timedelta(seconds=draw.randint(1, 40)))
    lines = [f"Return-Path: <{parseaddr(back)[1] or back}>"]
    if "authenticated" in written.facts:
        good = "pass" if written.facts["authenticated"] else "none"
        domain = written.signer or sender.rpartition("@")[2]
        lines.append(
            f"Authentication-Results: {GATE};\r\n\tdkim={good} header.d={domain};\r\n\t"
            f"dmarc={good} header.from={sender.rpartition('@')[2]}"
        )
    lines.append(
        f"Received: from {helo} ({helo} [192.0.2.{draw.randint(1, 254)}])\r\n\tby {GATE} with ESMTPS id "
        f"{draw.getrandbits(48):012X};\r\n\t{came}"
    )
    return lines


def _identity(written: "Written", draw: random.Random) -> list[str]:
    sender_name, sender = parseaddr(written.sender)
    name, address = parseaddr(written.recipient)
    name = name or draw.choice(RECIPIENTS[written.lang])
    address = address or f"{_local_part(name)}@hollerbach.example"
    domain = sender.rpartition("@")[2]
    lines = [_signature(written.signer, draw)] if written.signer else []
    lines += [
        f"Message-ID: <{draw.getrandbits(80):x}.{draw.randint(1, 9999)}@{domain}>",
        f"Date: {format_datetime(written.date)}",
        f"From: {_mailbox(sender_name, sender)}",
        f"To: {_mailbox(name, address)}",
        f"Subject: {_encoded(written.subject)}",
    ]
    if written.reply_to:
        lines.append(f"Reply-To: {_mailbox(*parseaddr(written.reply_to))}")
    if written.in_reply_to:
        parent = f"<{draw.getrandbits(64):x}@hollerbach.example>"
        lines += [f"In-Reply-To: {parent}", f"References: {parent}"]
    if written.list_unsubscribe:
        host = written.signer or domain
        lines.append(f"List-Unsubscribe: <https://{host}/u/{draw.getrandbits(40):x}>")
    return lines


def _local_part(name: str) -> str:
    """Write a name as an ASCII local part; a name in another script gets a number, as many sites do it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return ".".join(plain.split()) or f"m{sum(map(ord, name)) % 10_000:04d}"


def _signature(domain: str, draw: random.Random) -> str:
    """A DKIM-Signature (RFC 6376) that claims `domain`; it is a claim only, and does not verify."""
    tag = base64.b64encode(draw.randbytes(96)).decode()
    selector = draw.choice(("s1", "k2", "mail", "default", "sel2025"))
    return (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};\r\n"
        f"\th=From:To:Subject:Date:Message-ID; bh={base64.b64encode(draw.randbytes(32)).decode()};\r\n"
        f"\tb={tag[:64]}\r\n\t {tag[64:]}"
    )


def _encoded(text: str) -> str:
    return Header(text, "us-ascii" if text.isascii() else "utf-8", maxlinelen=70).encode(linesep="\r\n")


def _mailbox(name: str, address: str) -> str:
    return formataddr((name, address), charset="utf-8") if name else address


def _body(written: "Written", draw: random.Random) -> Entity:
    """Return the MIME header lines of the message and its encoded body (RFC 2045, 2046)."""
    views = [
        _leaf(f"text/{kind}; charset=utf-8", _crlf(text).encode("utf-8"), draw)
        for kind, text in (("plain", written.text), ("html", written.html))
        if text.strip()
    ]
    whole = views[0] if len(views) == 1 else _multipart("alternative", views, draw)
    if written.attachments:
        whole = _multipart("mixed", [whole, *(_attached(a) for a in written.attachments)], draw)
    return whole


def _crlf(text: str) -> str:
    return "\r\n".join(text.strip("\n").splitlines()) + "\r\n"


def _leaf(kind: str, data: bytes, draw: random.Random) -> Entity:
    """Encode one text part. The encoding is drawn without a look at the class; lines over 998 octets need
    one.
    """
    plain = "7bit" if data.isascii() else "8bit"
    how = draw.choice((plain, "quoted-printable", "quoted-printable", "base64"))
    if how == plain and any(len(line) > 990 for line in data.split(b"\r\n")):
        how = "quoted-printable"
    if how == "base64":
        body = _base64(data)
    elif how == "quoted-printable":
        body = quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    else:
        body = data
    return [f"Content-Type: {kind}", f"Content-Transfer-Encoding: {how}"], body


def _base64(data: bytes) -> bytes:
    return "\r\n".join([*textwrap.wrap(base64.b64encode(data).decode(), 76), ""]).encode()


def _attached(attachment: "Attachment") -> Entity:
    kind = attachment.name.rpartition(".")[2].lower()
    minor = attachment.type.partition("/")[2]
    data = _MAGIC.get(kind) or _MAGIC.get(minor) or _MAGIC["zip" if "officedocument" in minor else "pdf"]
    name = _encoded(attachment.name)
    return [
        f'Content-Type: {attachment.type}; name="{name}"',
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{name}"',
    ], _base64(data)


def _multipart(kind: str, parts: list[Entity], draw: random.Random) -> Entity:
    mark = f"=_{draw.getrandbits(96):024x}"
    body = b""
    for head, data in parts:
        body += "\r\n".join([f"--{mark}", *head, "", ""]).encode() + data
        body += b"" if data.endswith(b"\r\n") else b"\r\n"
    return [f'Content-Type: multipart/{kind};\r\n\tboundary="{mark}"'], body + f"--{mark}--\r\n".encode()
