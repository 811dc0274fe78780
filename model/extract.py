"""A message taken apart: every text, link, attachment and header fact, over all readings of it.

`extract` never raises. What is wrong with a message, and what we refused to spend on it, is a `Defect`.
"""

from collections.abc import Callable

from model import headers
from model.addresses import read_addresses
from model.charset import clean
from model.content import Contents
from model.defects import CODES
from model.extracted import Address, Defect, DkimSignature, Extracted, Limits
from model.headers import Budget, Fields, text_of, unfold
from model.mime import Tree, walk
from model.salvage import salvage

KEPT_HEADERS = (
    "list-id", "list-unsubscribe", "list-unsubscribe-post", "precedence", "auto-submitted", "in-reply-to",
    "references", "message-id", "date", "return-path", "x-mailer", "user-agent", "content-type",
    "require-tls-esmtp",
)
KEPT_CHARS = 8 * 1024
REPEATED = 100
SIGNATURES = 20


def extract(raw: bytes, limits: Limits = Limits(), *, content: bool = False) -> Extracted:  # noqa: B008 - frozen
    """Take `raw`, a whole message, apart within `limits`. With `content` the parts carry their octets in base64."""
    return _Extraction(raw, limits, content=content).run()


class _Extraction:
    """Runs the steps; a fault of ours in one of them leaves what the others found."""

    def __init__(self, raw: bytes, limits: Limits, *, content: bool) -> None:
        self.raw = raw
        self.limits = limits
        self.tree = Tree(Fields())
        self.contents = Contents(limits, content=content)
        self.defects: dict[str, str] = {}
        self.found: dict[str, tuple[Address, ...]] = dict.fromkeys(("from", "sender", "reply-to", "to"), ())

    def run(self) -> Extracted:
        self._step("structure", self._structure)
        self._step("senders", self._senders)
        self._step("parts", self._parts)
        texts = ("", "")
        try:
            texts = self.contents.texts()
        except Exception as error:  # noqa: BLE001 - see _step
            self._fault("texts", error)
        fields = self.tree.fields
        values: dict[str, object] = {}
        self._step("headers", lambda: values.update(self._headers(fields)))
        for code in (*self.tree.defects, *self.contents.defects):
            self._flag(code)
        return Extracted(
            from_=self.found["from"], sender=self.found["sender"], reply_to=self.found["reply-to"],
            to=self.found["to"], parts=tuple(self.contents.parts), text=texts[0], hidden_text=texts[1],
            html=self.contents.html, links=tuple(self.contents.links),
            defects=tuple(Defect(code, detail) for code, detail in self.defects.items()),
            **values,  # type: ignore[arg-type]
        )

    def _step(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - hostile mail must cost a defect, never an answer
            self._fault(name, error)

    def _fault(self, name: str, error: Exception) -> None:
        self._flag("extractor-fault", f"{name}: {type(error).__name__}")

    def _flag(self, code: str, detail: str = "") -> None:
        self.defects.setdefault(code, detail or CODES[code])

    def _structure(self) -> None:
        self.tree = walk(self.raw, self.limits)
        if not self.tree.fields.items:
            self._flag("header-missing")
        if not any(leaf.body.strip() for leaf in self.tree.leaves[:100]):
            self._flag("no-body")
        if any(len(value) > headers.VALUE_CHARS for _, value in self.tree.fields.items):
            self._flag("header-value-long")

    def _parts(self) -> None:
        for leaf in self.tree.leaves:
            self.contents.add(leaf)
        self._inner_messages()
        if self.tree.suspicious or "mime-ambiguous" in self.tree.defects:
            salvage(self.raw, self.contents)

    def _inner_messages(self) -> None:
        """Walk messages that were encoded as a whole: base64 or quoted-printable message/rfc822."""
        budget = Budget(self.limits.header_bytes, self.limits.headers * 4)
        while self.contents.messages:
            octets, depth = self.contents.messages.pop(0)
            if depth >= self.limits.depth:
                self._flag("nested-too-deep")
                continue
            inner = walk(octets, self.limits, depth=depth, budget=budget)
            self.tree.defects.update(inner.defects)
            for leaf in inner.leaves:
                if len(self.contents.parts) >= self.limits.parts:
                    self._flag("too-many-parts")
                    return
                self.contents.add(leaf)

    def _senders(self) -> None:
        fields = self.tree.fields
        left = self.limits.addresses
        for name in self.found:
            values = fields.all(name)
            some: list[Address] = []
            for value in values[:20]:
                if len(value) > headers.VALUE_CHARS:
                    self._flag("header-value-long")
                addresses, odd = read_addresses(unfold(value), left)
                some += addresses
                left -= len(addresses)
                if odd and name != "to":
                    self._flag("address-malformed")
            self.found[name] = tuple(some)
            if name == "from":
                mailboxes = {a.address.lower().rstrip(".") for a in some if a.address}
                if len(values) > 1 or len(mailboxes) > 1:
                    self._flag("from-multiple")
                if not mailboxes:
                    self._flag("from-missing")
        if left <= 0:
            self._flag("address-too-many")

    def _headers(self, fields: Fields) -> dict[str, object]:
        kept: dict[str, str] = {}
        for name in KEPT_HEADERS:
            value = fields.first(name)
            if value is not None:
                kept[name] = text_of(value[:KEPT_CHARS])
        subject = fields.first("subject") or b""
        if subject.count(b"=?") > headers.ENCODED_WORDS:
            self._flag("encoded-words-too-many")
        return {
            "subject": " ".join(text_of(subject).split()),
            "headers": kept,
            "authentication_results": _all(fields, "authentication-results"),
            "received": _all(fields, "received"),
            "dkim": tuple(_signature(v) for v in fields.all("dkim-signature")[:SIGNATURES]),
        }


def _all(fields: Fields, name: str) -> tuple[str, ...]:
    return tuple(unfold(value[:KEPT_CHARS]) for value in fields.all(name)[:REPEATED])


def _signature(value: bytes) -> DkimSignature:
    """Read d= and s= of a tag list (RFC 6376 section 3.2); the first of each counts."""
    tags: dict[str, str] = {}
    for piece in unfold(value[:KEPT_CHARS]).split(";")[:50]:
        name, _, text = piece.partition("=")
        tags.setdefault(name.strip().lower(), "".join(text.split()))
    return DkimSignature(clean(tags.get("d", "")).lower().rstrip("."), clean(tags.get("s", "")).lower())
