"""`gatepost extract`: what the extractor saw in each message."""

import json
import sys
from typing import Any

import click

from gatepost.commands.options import json_lines
from gatepost.paths import read_paths
from model.child import ExtractionFailed, Extractor
from model.extracted import Address, Extracted, Limits
from model.mail import RawMessage
from model.safe_text import safe

SECONDS = 10.0


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@json_lines
@click.option("--content", is_flag=True, help="Add the decoded octets of each part in base64 (with --json).")
def command(paths: tuple[str, ...], *, as_json: bool, content: bool) -> None:
    """Show what the extractor saw.

    PATH is a file, a folder, a maildir, an mbox, or - for standard input. What is wrong with a message is shown as
    its defects; it is no error.

    Exit code 1 if a PATH could not be read or taken apart; the rest still are.
    """
    if content and not as_json:
        raise click.UsageError("--content needs --json")
    failed = False
    with Extractor(Limits()) as extractor:
        for source in read_paths(paths):
            error = source.error
            if source.data is not None:
                raw = RawMessage.of(source.data)
                try:
                    found = extractor.extract(raw, timeout=SECONDS, content=content and as_json)
                except ExtractionFailed as failure:
                    error = str(failure)
                else:
                    click.echo(json.dumps(as_row(source.name, found)) if as_json else _page(source.name, found))
                    continue
            failed = True
            if as_json:
                click.echo(json.dumps({"path": source.name, "error": error}))
            else:
                click.echo(f"{safe(source.name)}: {safe(error)}", err=True)
    sys.exit(1 if failed else 0)


def as_row(path: str, found: Extracted) -> dict[str, Any]:
    """Return the JSON object of one message."""
    return {
        "path": path,
        "subject": found.subject,
        "from": [_address(a) for a in found.from_],
        "reply_to": [_address(a) for a in found.reply_to],
        "parts": [
            {"type": p.type, "true_type": p.true_type, "charset": p.charset, "filename": p.filename, "size": p.size,
             "sha256": p.sha256, "attachment": p.attachment, "encrypted": p.encrypted, "defects": list(p.defects),
             **({"content": p.content} if p.content is not None else {})}
            for p in found.parts
        ],
        "text": found.text,
        "hidden_text": found.hidden_text,
        "links": [
            {"href": link.href, "shown": link.shown, "host": link.host, "kind": link.kind, "hidden": link.hidden}
            for link in found.links
        ],
        "defects": [d.code for d in found.defects],
    }


def _address(address: Address) -> dict[str, str]:
    return {"display": address.display, "address": address.address}


def _page(path: str, found: Extracted) -> str:
    lines = [f"== {safe(path)}", f"Subject:  {safe(found.subject)}"]
    for label, addresses in (("From", found.from_), ("Sender", found.sender), ("Reply-To", found.reply_to)):
        lines += [f"{label + ':':<9} {safe(a.display)} <{safe(a.address)}>".replace("  <", " <") for a in addresses]
    for part in found.parts:
        marks = [m for m, on in (("attachment", part.attachment), ("encrypted", part.encrypted)) if on]
        true_type = part.true_type if part.true_type != part.type else ""
        words = [part.type or "?", part.charset, true_type, f"{part.size} octets", *marks, *part.defects]
        name = f"{safe(part.filename)}  " if part.filename else ""
        lines.append(f"Part:     {name}{safe(', '.join(word for word in words if word))}")
    lines += [f"Link:     {safe(link.shown)} -> {safe(link.href)}{' (hidden)' if link.hidden else ''}"
              for link in found.links if link.kind != "image"]
    lines += [f"Defect:   {d.code}: {safe(d.detail)}" for d in found.defects]
    lines += ["", safe(found.text, lines=True)]
    if found.hidden_text:
        lines += ["", "-- hidden from the reader:", safe(found.hidden_text, lines=True)]
    return "\n".join([*lines, ""])
