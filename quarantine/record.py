"""What is stored of a message beside its bytes, sealed: enough to release it exactly and to say why it was kept.

The visible text is stored in part (`TEXT`), so that looking at an item never parses hostile mail anew. Of outbound
mail it is stored masked: a secret that was found is in the message's sealed bytes and in nothing that is shown.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from model.extracted import Defect, Extracted
from model.labels import Label
from model.leaks import mask
from model.mail import Client, Direction, Mail, Recipient
from model.verdict import Finding, Reason, Score, Verdict

if TYPE_CHECKING:  # only named here; importing it would load the whole of the screening
    from model.screen import Screening

TEXT = 20_000
LINKS = 50
FILES = 50
DEFECTS = 50


@dataclass(frozen=True, slots=True)
class Kept:
    """One recipient's copy on its way into the store. `trace` is the transaction's id in the log."""

    recipient: Recipient
    verdict: Verdict
    screening: "Screening"
    trace: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """An attachment: its name, declared type, type by its first octets, and decoded size."""

    name: str
    type: str
    true_type: str
    size: int


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """The sealed part of a message. Strings come from the message: escape them before showing them."""

    sender: str
    params: tuple[str, ...]
    client: Client
    sha256: str
    subject: str = ""
    from_: str = ""
    to: str = ""
    reply_to: str = ""
    message_id: str = ""
    text: str = ""
    text_chars: int = 0
    hidden_chars: int = 0
    links: tuple[tuple[str, str], ...] = ()
    link_count: int = 0
    files: tuple[File, ...] = ()
    defects: tuple[Defect, ...] = ()
    facts: dict[str, bool | None] = field(default_factory=dict)
    score: Score | None = None
    findings: tuple[Finding, ...] = ()
    fault: str = ""
    ms: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, mail: Mail, screening: "Screening") -> Self:
        """Take what is worth keeping from a screened mail."""
        seen = screening.extracted
        if seen is not None and mail.direction is Direction.OUTBOUND:
            seen = _without_secrets(seen)
        base: dict[str, Any] = {
            "sender": mail.envelope.sender,
            "params": mail.envelope.params,
            "client": mail.envelope.client,
            "sha256": mail.raw.sha256,
            "facts": asdict(screening.facts) if screening.facts is not None else {},
            "score": screening.score,
            "findings": tuple(screening.findings),
            "fault": screening.fault,
            "ms": dict(screening.ms),
        }
        if seen is None:
            return cls(**base)
        return cls(
            **base,
            subject=seen.subject,
            from_=_mailboxes(seen.from_),
            to=_mailboxes(seen.to),
            reply_to=_mailboxes(seen.reply_to),
            message_id=seen.headers.get("message-id", ""),
            text=seen.text[:TEXT],
            text_chars=len(seen.text),
            hidden_chars=len(seen.hidden_text),
            links=tuple((link.href[:500], link.shown[:200]) for link in seen.links[:LINKS]),
            link_count=len(seen.links),
            files=tuple(
                File(part.filename, part.type, part.true_type, part.size) for part in seen.parts if part.attachment
            )[:FILES],
            defects=seen.defects[:DEFECTS],
        )

    def lean(self) -> Self:
        """Return it without what belongs to the body: the beginning of the text, links, files, defects."""
        return replace(self, text="", links=(), files=(), defects=())

    def to_bytes(self) -> bytes:
        """Return compact JSON; lone surrogates (octets that are not UTF-8) survive as escapes."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Undo `to_bytes`."""
        raw = json.loads(data)
        score = raw["score"]
        if score is not None:
            score["probabilities"] = {Label(name): p for name, p in score["probabilities"].items()}
        return cls(
            **{
                **raw,
                "params": tuple(raw["params"]),
                "client": Client(**raw["client"]),
                "links": tuple((href, shown) for href, shown in raw["links"]),
                "files": tuple(File(**f) for f in raw["files"]),
                "defects": tuple(Defect(**d) for d in raw["defects"]),
                "score": None if score is None else Score(**score),
                "findings": tuple(Finding(**f) for f in raw["findings"]),
            }
        )


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """The sealed part of an item: the forward path as received, and every reason."""

    recipient: Recipient
    reasons: tuple[Reason, ...]
    trace: str = ""

    def to_bytes(self) -> bytes:
        """Return compact JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Undo `to_bytes`."""
        raw = json.loads(data)
        recipient = Recipient(raw["recipient"]["address"], tuple(raw["recipient"]["params"]))
        return cls(recipient, tuple(Reason(**r) for r in raw["reasons"]), raw["trace"])


def _mailboxes(found: Any) -> str:
    shown = [f"{a.display} <{a.address}>" if a.display else a.address for a in found[:20]]
    return ", ".join(shown) + (f", and {len(found) - 20} more" if len(found) > 20 else "")


def _without_secrets(seen: Extracted) -> Extracted:
    """Mask what leak detectors look for: the secret stays in the sealed bytes of the message and nowhere else."""
    return replace(
        seen,
        subject=mask(seen.subject),
        text=mask(seen.text),
        links=tuple(replace(link, href=mask(link.href), shown=mask(link.shown)) for link in seen.links),
        parts=tuple(replace(part, filename=mask(part.filename)) for part in seen.parts),
        defects=tuple(replace(defect, detail=mask(defect.detail)) for defect in seen.defects),
    )


def column(text: str) -> str:
    """Make text fit a column of any database: no NUL, no lone surrogates; both become visible escapes."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
