"""Leaves of a message turned into parts, texts and links."""

import base64
import hashlib

from model import filename, magic, transfer, urls, views
from model.charset import decode
from model.extracted import Limits, Link, Part
from model.headers import decode_words
from model.html import NODES, read_html
from model.mime import Entity
from model.smime import signed_content
from model.views import View

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml", "text/htm", "text/x-html"})
_TEXT_TYPES = frozenset({
    "application/json", "application/xml", "application/x-sh", "application/javascript", "application/csv",
    "application/x-yaml", "application/pgp-signature", "message/delivery-status", "message/disposition-notification",
    "message/feedback-report", "message/global-delivery-status", "message/rfc822-headers",
})
_HTML_NAMES = (".html", ".htm", ".shtml", ".xhtml", ".svg")
_MISMATCH_FREE = frozenset({"application/octet-stream", "application/x-download", "application/force-download", "",
                            "application/binary", "application/x-unknown", "text/plain"})


class Contents:
    """Collects what the leaves hold, within limits for the whole message."""

    def __init__(self, limits: Limits, *, content: bool) -> None:
        self.limits = limits
        self.content = content
        self.parts: list[Part] = []
        self.views: list[View] = []
        self.links: list[Link] = []
        self.html = False
        self.defects: dict[str, None] = {}
        self.messages: list[tuple[bytes, int]] = []
        self._octets = limits.decoded_bytes
        self._html = limits.html_bytes
        self._nodes = NODES
        self._chars = 4 * limits.text_chars
        self._seen: set[bytes] = set()
        self._choice: object | None = None

    def flag(self, code: str) -> None:
        """Note a defect of the whole message once."""
        self.defects[code] = None

    def add(self, leaf: Entity) -> None:
        """Decode a leaf in every way that a reader could and take in what comes out."""
        self._choice = leaf.choice
        if len(leaf.body) > self._octets:
            self.flag("decoded-too-large")
            leaf.body = leaf.body[: self._octets]
        octets, codes = transfer.readings(leaf.body, leaf.encodings, odd=leaf.encoding_odd)
        self._octets -= max(map(len, octets), default=0)
        codes = [*leaf.defects, *codes]
        if len(octets) > 1 and leaf.encoding_odd:
            codes.append("mime-ambiguous")
        self._part(leaf, octets[0], codes)
        for other in octets[1:4]:
            self._reading(leaf, other)
        self._choice = None

    def _part(self, leaf: Entity, octets: bytes, codes: list[str]) -> None:
        kind = leaf.type.main
        name = _name(leaf)
        true_type = magic.sniff(octets) if octets else ""
        placement = leaf.disposition.main
        codes += filename.defects(name)
        if _mismatch(kind, true_type):
            codes.append("type-mismatch")
        locked = bool(octets) and magic.encrypted(octets, kind, true_type)
        locked |= kind.endswith("pkcs7-mime") and leaf.type.get("smime-type").lower() == "enveloped-data"
        if locked:
            codes.append("encrypted")
        if kind == "message/partial":
            codes.append("message-partial")
        if kind == "message/external-body":
            codes.append("message-external")
        if true_type == "application/ms-tnef" or kind == "application/ms-tnef":
            codes.append("tnef")
        charset = self._texts(leaf, octets, name, true_type, codes)
        inline_image = kind.startswith("image/") and (placement == "inline" or leaf.fields.first("content-id"))
        attached = placement.startswith("attachment") or (
            not inline_image and not (kind.startswith(("text/", "message/")) and not name)
        )
        codes = list(dict.fromkeys(codes))
        for code in codes:
            self.flag(code)
        self.parts.append(Part(
            type=kind[:200], true_type=true_type, charset=charset, filename=name, disposition=placement[:100],
            size=len(octets), sha256=hashlib.sha256(octets).hexdigest(), attachment=bool(attached),
            encrypted=locked, defects=tuple(codes),
            content=base64.b64encode(octets).decode("ascii") if self.content else None,
        ))

    def _texts(self, leaf: Entity, octets: bytes, name: str, true_type: str, codes: list[str]) -> str:
        """Take in the texts of a part; return the charset it turned out to be in ("" for no text)."""
        kind = leaf.type.main
        if kind in {"message/rfc822", "message/global"}:
            if leaf.depth < self.limits.depth:
                self.messages.append((octets, leaf.depth + 1))
            return ""
        if true_type == "application/pkcs7-mime":
            inside = signed_content(octets)
            if inside and leaf.depth < self.limits.depth:
                self.messages.append((inside, leaf.depth + 1))
            return ""
        is_html = kind in _HTML_TYPES or true_type in _HTML_TYPES or name.lower().endswith(_HTML_NAMES)
        textual = kind.startswith("text/") or kind in _TEXT_TYPES or kind == ""
        if true_type and not true_type.startswith("text/") and not is_html:
            textual = False
        named = is_html or textual or any(t.main.startswith("text/") for t in leaf.types)
        if not named and (true_type or not octets or not _is_text(octets)):
            return ""
        return self.take_text(octets, leaf.type.get("charset"), codes, html=is_html)

    def take_text(self, octets: bytes, declared: str, codes: list[str], *, html: bool) -> str:
        """Decode a text and take in what it shows, hides and links to; return its charset."""
        digest = hashlib.blake2b(octets, digest_size=16).digest()
        if transfer.has_uuencoded(octets):
            octets = self._uuencoded(octets, codes)
        if self._chars <= 0 and digest not in self._seen:
            self.flag("text-truncated")
            return declared.lower()
        octets = octets[: 4 * self.limits.text_chars] if not html else octets
        text, charset, found = decode(octets, declared)
        codes += found
        if digest in self._seen:
            return charset
        self._seen.add(digest)
        self._chars -= len(text)
        if html:
            self._page(text)
        else:
            self._plain(text)
        return charset

    def _page(self, text: str) -> None:
        if self._html <= 0 or self._nodes <= 0:
            self.flag("html-too-large")
            return
        self._html -= len(text)
        page = read_html(text, self.limits, self._nodes)
        self._nodes -= page.nodes
        for code in page.defects:
            self.flag(code)
        known = {link.href for link in page.links}
        for link in page.links:  # an address that is shown as a link's text is no link of its own
            if link.kind == "anchor" and "." in link.shown:
                known.update(urls.clean(url)[0] for url in urls.find(link.shown, 5))
        self.html |= bool(page.text)
        self._links(page.links)
        self._links([link for link in _text_links(page.text, self.limits.links + 1) if link.href not in known])
        self.views.append(View(page.text, True, page.hidden, self._choice))

    def _plain(self, text: str) -> None:
        text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
        self._links(_text_links(text[: self.limits.text_chars], self.limits.links + 1))
        self.views.append(View(text, choice=self._choice))

    def _links(self, links: list[Link]) -> None:
        room = self.limits.links - len(self.links)
        if len(links) > room:
            self.flag("links-too-many")
        self.links += links[: max(room, 0)]

    def _uuencoded(self, octets: bytes, codes: list[str]) -> bytes:
        files = transfer.uuencoded(octets)
        for name, data, _ in files:
            kind = magic.sniff(data)
            self._octets -= len(data)
            found = ["uuencoded", *filename.defects(name)]
            for code in found:
                self.flag(code)
            self.parts.append(Part(
                type="application/octet-stream", true_type=kind, charset="", filename=name, disposition="attachment",
                size=len(data), sha256=hashlib.sha256(data).hexdigest(), attachment=True,
                encrypted=magic.encrypted(data, "", kind), defects=tuple(found),
                content=base64.b64encode(data).decode("ascii") if self.content else None,
            ))
            if not kind and _is_text(data):
                self.take_text(data, "", [], html=False)
        if files:
            codes.append("uuencoded")
        for _, _, (start, end) in reversed(files):
            octets = octets[:start] + octets[end:]
        return octets

    def _reading(self, leaf: Entity, octets: bytes) -> None:
        """Take in another reading of a leaf: its text if it is one, otherwise the octets as a part."""
        if not octets:
            return
        true_type = magic.sniff(octets)
        if _is_plausible(octets):
            is_html = true_type in _HTML_TYPES or leaf.type.main == "text/html"
            self.take_text(octets, leaf.type.get("charset"), [], html=is_html)
        elif true_type:
            self.found(octets, true_type)

    def found(self, octets: bytes, true_type: str) -> None:
        """Add a part that no structure names."""
        if len(self.parts) >= self.limits.parts:
            return
        self.flag("salvaged")
        self.parts.append(Part(
            type="", true_type=true_type, charset="", filename="", disposition="", size=len(octets),
            sha256=hashlib.sha256(octets).hexdigest(), attachment=True,
            encrypted=magic.encrypted(octets, "", true_type), defects=("salvaged",),
            content=base64.b64encode(octets).decode("ascii") if self.content else None,
        ))

    def texts(self) -> tuple[str, str]:
        """Return (visible, hidden) text: each different text once, joined by a blank line, within the limit."""
        return self._joined(views.shown(self.views)), self._joined(views.hidden(self.views))

    def _joined(self, texts: list[str]) -> str:
        text, cut = views.joined(texts, self.limits.text_chars)
        if cut:
            self.flag("text-truncated")
        return text


def _text_links(text: str, limit: int) -> list[Link]:
    links: dict[str, Link] = {}
    for shown in urls.find(text, limit):
        href, host = urls.clean(shown)
        if host and href not in links:
            links[href] = Link(href, host, shown[:1000], "text")
    return list(links.values())


def _name(leaf: Entity) -> str:
    """Return the decoded file name: of Content-Disposition, else of Content-Type."""
    name = leaf.disposition.get("filename") or leaf.type.get("name")
    if not name:
        return ""
    return decode_words(name)[:1000]


def _is_text(octets: bytes) -> bool:
    sample = octets[:2048]
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True  # a byte order mark of UTF-16
    return b"\0" not in sample and sum(c < 9 or 13 < c < 32 for c in sample) * 50 <= len(sample)


def _is_plausible(octets: bytes) -> bool:
    """Whether another reading gave text and not the noise that a wrong reading gives."""
    sample = octets[:2048]
    high = sum(c > 126 for c in sample)
    if not _is_text(octets):
        return False
    try:
        octets[:2044].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > 2040 or (len(sample) > 32 and high * 4 < len(sample))
    return True


def _mismatch(declared: str, true_type: str) -> bool:
    """Whether the octets are another kind of file than declared; only kinds that a person would mistake."""
    if not true_type or declared in _MISMATCH_FREE or declared == true_type:
        return False
    dangerous = true_type in {
        "application/vnd.microsoft.portable-executable", "application/x-executable", "text/html",
        "application/x-ms-shortcut", "application/x-iso9660-image", "application/java-archive", "text/x-script",
    }
    harmless = declared.startswith(("image/", "audio/", "video/", "text/calendar", "application/pdf"))
    return (dangerous and harmless) or (declared == "application/pdf" and true_type != declared)
