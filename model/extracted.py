"""What the extractor saw: the values that cross from the killable child, and the limits it works under.

All of them go through JSON unchanged (`Extracted.to_json`, `Extracted.from_json`), since the child that parses
hostile mail must not be able to hand anything but data back.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, TypeVar, cast, get_origin


@dataclass(frozen=True, slots=True)
class Limits:
    """What we refuse to spend on one message. Beyond a limit the rest is left unread and a `Defect` says so."""

    parts: int = 1_000
    depth: int = 20
    headers: int = 1_000
    header_bytes: int = 256 * 1024
    addresses: int = 2_000
    text_chars: int = 400_000
    html_bytes: int = 2_000_000
    html_attributes: int = 500
    links: int = 1_000
    decoded_bytes: int = 64 * 1024 * 1024
    seconds: float = 2.0
    memory_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Defect:
    """Something wrong or deceptive in a message. `code` is a fixed kebab-case name, `detail` is for people.

    `detail` may quote the message and is therefore never printed without escaping.
    """

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox of a header: decoded display name and bare address (either may be empty)."""

    display: str
    address: str

    @property
    def domain(self) -> str:
        """Domain in lower case without trailing dot; empty if there is none."""
        return self.address.rpartition("@")[2].lower().rstrip(".") if "@" in self.address else ""

    @property
    def local(self) -> str:
        """Local part; empty if there is none."""
        return self.address.rpartition("@")[0]


@dataclass(frozen=True, slots=True)
class Link:
    """A reference to something outside the message. `kind`: anchor, image, form, area, text, style, frame.

    `href` is as a browser would resolve it (whitespace inside removed, backslashes as slashes, HTML entities
    decoded); `host` is its lower-case IDNA host or empty (mailto, cid, data); `shown` is the visible text.
    `hidden` is true where the element itself cannot be seen.
    """

    href: str
    host: str
    shown: str
    kind: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME tree. `type` is declared, `true_type` is by its first bytes (empty: unknown).

    `size` and `sha256` are of the decoded bytes. `content` is filled only on request (`extract --content`)
    with base64.
    """

    type: str
    true_type: str
    charset: str
    filename: str
    disposition: str
    size: int
    sha256: str
    attachment: bool
    encrypted: bool = False
    defects: tuple[str, ...] = ()
    content: str | None = None


@dataclass(frozen=True, slots=True)
class DkimSignature:
    """Claimed by a DKIM-Signature header (RFC 6376); a claim, not a verified identity."""

    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """A message taken apart. Strings are decoded Unicode without lone surrogates; nothing raised to get here.

    `text` is what a reader would see over all readings of the message (each different text once, joined by a
    blank line), attachments that are text among them; `hidden_text` is what a sender put in but a reader would
    not see. `html` tells whether visible text came from HTML. `headers` holds selected raw
    header values (decoded, first occurrence) by lower-case name: list-id, list-unsubscribe,
    list-unsubscribe-post, precedence, auto-submitted, in-reply-to, references, message-id, date, return-path,
    x-mailer, user-agent, content-type, require-tls-esmtp. `authentication_results` and `received` are all
    values, topmost first.
    """

    subject: str = ""
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    authentication_results: tuple[str, ...] = ()
    received: tuple[str, ...] = ()
    dkim: tuple[DkimSignature, ...] = ()
    parts: tuple[Part, ...] = ()
    text: str = ""
    hidden_text: str = ""
    html: bool = False
    links: tuple[Link, ...] = ()
    defects: tuple[Defect, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = _plain(self)
        for name in ("from_", "sender", "reply_to", "to", "dkim", "parts", "links", "defects"):
            data[name] = [_plain(value) for value in data[name]]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_json` data. Raises KeyError, TypeError or ValueError if it is anything else."""
        addresses = {
            name: tuple(_built(Address, a) for a in data[name])
            for name in ("from_", "sender", "reply_to", "to")
        }
        return cls(
            subject=str(data["subject"]),
            headers={str(k): str(v) for k, v in data["headers"].items()},
            authentication_results=tuple(map(str, data["authentication_results"])),
            received=tuple(map(str, data["received"])),
            dkim=tuple(_built(DkimSignature, d) for d in data["dkim"]),
            parts=tuple(_built(Part, {**p, "defects": tuple(map(str, p["defects"]))}) for p in data["parts"]),
            text=str(data["text"]),
            hidden_text=str(data["hidden_text"]),
            html=bool(data["html"]),
            links=tuple(_built(Link, link) for link in data["links"]),
            defects=tuple(_built(Defect, d) for d in data["defects"]),
            **addresses,
        )


def _plain(value: Any) -> dict[str, Any]:
    """Return the fields of a flat value by name; `dataclasses.asdict` copies deeply and takes ten times as long."""
    return {name: getattr(value, name) for name in value.__slots__}


_Flat = TypeVar("_Flat", Address, DkimSignature, Part, Link, Defect)


@cache
def _kinds(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Return the fields of a flat value whose types can be checked, with these types."""
    return tuple((name, wanted) for name, wanted in kind.__annotations__.items() if get_origin(wanted) is not tuple)


def _built(kind: type[_Flat], data: dict[str, Any]) -> _Flat:
    """Build a flat value whose fields have the declared types; whoever wrote the JSON is not trusted."""
    for name, wanted in _kinds(cast("Any", kind)):
        if not isinstance(data[name], wanted):
            raise TypeError(f"{kind.__name__}.{name} is {type(data[name]).__name__}")
    return kind(**data)
