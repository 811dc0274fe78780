"""Changing the text of a raw message as its sender could: parts are decoded, changed, encoded again.

Header fields that say who sent a message stay byte for byte; only those that describe the changed body (RFC 2045),
and the subject where asked for, are written anew.
"""

import base64
import re
import textwrap
from collections.abc import Callable
from email import policy
from email.generator import BytesGenerator
from email.header import Header, decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from io import BytesIO

from model.charset import decode

Change = Callable[[str], str]
"""From a text to the changed one."""

_END = re.compile(rb"\r?\n\r?\n")
_BODY_FIELDS = rb"(?:content-type|content-transfer-encoding|mime-version)"
_POLICY = policy.compat32.clone(linesep="\r\n", max_line_length=None)


def rewritten(
    raw: bytes, *, plain: Change | None = None, html: Change | None = None, subject: Change | None = None,
    plain_as_html: bool = False,
) -> bytes | None:  # fmt: skip
    """Return the message with its readable text parts changed, or None where there is none or it cannot be told.

    With `plain_as_html` a message that has no HTML part gets its plain text as HTML, and `html` changes that.
    """
    try:
        message = BytesParser(policy=_POLICY).parsebytes(raw)
        leaves = [part for part in message.walk() if _readable(part)]
        rich = any(part.get_content_subtype() == "html" for part in leaves)
        done = [_change(part, plain, html, as_html=plain_as_html and not rich) for part in leaves]
        if not any(done):
            return None
        return _assembled(raw, message, subject)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return None  # mail that Python's parser cannot write again; nobody could say what the attack did to it


def replaced(raw: bytes, fields: list[str], body: bytes) -> bytes:
    """Return the message with a wholly new body; `fields` are the header lines that describe it."""
    return _head(raw, None) + "\r\n".join([*fields, "", ""]).encode("ascii") + body


def texts(raw: bytes) -> list[tuple[str, str]]:
    """Return the readable text parts, each as subtype (`plain` or `html`) and text; none of unparsable mail."""
    try:
        message = BytesParser(policy=_POLICY).parsebytes(raw)
        return [(part.get_content_subtype(), _text(part)) for part in message.walk() if _readable(part)]
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return []


def base64_lines(data: bytes) -> bytes:
    """Encode a body in base64 (RFC 2045 section 6.8)."""
    return "\r\n".join([*textwrap.wrap(base64.b64encode(data).decode("ascii"), 76), ""]).encode("ascii")


def _readable(part: Message) -> bool:
    return (
        part.get_content_type() in {"text/plain", "text/html"}
        and not part.is_multipart()
        and part.get_content_disposition() != "attachment"
        and part.get_filename() is None
    )


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return decode(payload if isinstance(payload, bytes) else b"", part.get_content_charset() or "")[0]


def _change(part: Message, plain: Change | None, html: Change | None, *, as_html: bool) -> bool:
    subtype, text = part.get_content_subtype(), _text(part)
    if not text.strip():
        return False
    if subtype == "plain" and as_html:
        subtype, text = "html", _as_html(text)
    change = html if subtype == "html" else plain
    if change is None:
        return False
    changed = change(text)
    if changed == text:
        return False
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        del part[name]
    part["Content-Type"] = f"text/{subtype}; charset=utf-8"
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(base64_lines(changed.encode("utf-8", "replace")).decode("ascii"))
    return True


def _as_html(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "<html><body>" + escaped.replace("\r\n", "\n").replace("\n", "<br>\n") + "</body></html>"


def _assembled(raw: bytes, message: Message, subject: Change | None) -> bytes:
    if message.is_multipart() and message.get_boundary() is None:
        raise ValueError("a multipart without a boundary cannot be written again")
    out = BytesIO()
    BytesGenerator(out, mangle_from_=False, policy=_POLICY).flatten(message)
    body = _END.split(out.getvalue(), maxsplit=1)[1]
    if message.is_multipart():
        return _head(raw, subject, keep_body_fields=True) + b"\r\n" + body
    fields = "".join(f"{name}: {message[name]}\r\n" for name in ("Content-Type", "Content-Transfer-Encoding"))
    return _head(raw, subject) + b"MIME-Version: 1.0\r\n" + fields.encode("ascii") + b"\r\n" + body


def _head(raw: bytes, subject: Change | None, *, keep_body_fields: bool = False) -> bytes:
    """Return the header lines as they came, without those that are to be written anew; ends with a line break."""
    found = _END.search(raw)
    head = raw[: found.start()] if found else raw
    head += b"\r\n"
    if not keep_body_fields:
        head = _without(head, _BODY_FIELDS)[0]
    if subject is not None:
        head, old = _without(head, rb"subject")
        if old:
            plain = str(make_header(decode_header(old[0].partition(b":")[2].decode("utf-8", "replace").strip())))
            text = " ".join(plain.split())
            new = Header(subject(text), "utf-8", maxlinelen=70).encode(linesep="\r\n")
            head += f"Subject: {new}\r\n".encode("ascii")
    return head


def _without(head: bytes, name: bytes) -> tuple[bytes, list[bytes]]:
    """Take fields out of a header block, with their folded lines (RFC 5322 section 2.2.3)."""
    field = re.compile(rb"^" + name + rb"[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*\n", re.IGNORECASE | re.MULTILINE)
    return field.sub(b"", head), [m[0] for m in field.finditer(head)]
