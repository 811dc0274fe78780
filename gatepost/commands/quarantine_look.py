"""`gatepost quarantine list`, `show` and `stats`: looking changes nothing."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatepost.commands.options import gateway_config, json_object
from gatepost.commands.quarantine_common import When, one_of, opened
from gatepost.item_view import contents, done, head, text, why
from gatepost.terminal import Column, columns, headed, octets, table
from gatepost.times import ago, full, local
from model.labels import Label
from model.leaks import mask
from model.mail import Direction
from model.safe_text import safe
from quarantine.item import UNDECIDED, State
from quarantine.search import Filter, Opened, Sort, body, count, find, get, history
from quarantine.stats import Stats, stats

VISIBLE = tuple(state for state in State if state is not State.PENDING)
WAITING = (*UNDECIDED, State.RELEASING)
HEADER_BYTES = 256 * 1024
MOST = 10**9
"""Above any number of items, and within what a database can count."""
WIDE, NARROW = 110, 70
"""Columns from which a list has room for recipients, and below which sender, state and score have none."""


@click.command(name="list", short_help="list what waits for a decision, or was decided")
@click.option("--state", "states", multiple=True, type=one_of(*VISIBLE), help="Only this state; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Every state, not only what waits for a decision.")
@click.option("--direction", type=one_of(*Direction), help="Only this way.")
@click.option("--label", type=one_of(*Label), help="Only this label of the model.")
@click.option("--reviewed", type=one_of(*Label), help="Only this label of a person.")
@click.option("--unreviewed", is_flag=True, help="Only what no person has labelled.")
@click.option("--sender", default="", help="Text in the envelope sender.")
@click.option("--recipient", default="", help="Text in the envelope recipient.")
@click.option("--subject", default="", help="Text in the subject (slower: subjects are stored sealed).")
@click.option("--reason", default="", help="The deciding reason's code.")
@click.option("--model", default="", help="The version of the model that scored it.")
@click.option("--message", default="", help="The message's id, as in our reply to it: all its recipients.")
@click.option("--since", type=When(), help="Kept at or after this: 3d, 2026-11-23 or 2026-11-23T14:30.")
@click.option("--before", type=When(), help="Kept before this.")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Probability of being bad, at least.")
@click.option("--sort", type=one_of(*Sort), default=str(Sort.TIME), show_default=True, help="Order.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--limit", type=click.IntRange(0, MOST), default=50, show_default=True, help="At most so many; 0: all.")
@click.option("--offset", type=click.IntRange(0, MOST), default=0, help="Skip so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, times in UTC.")
@gateway_config
def list_items(
    *, states: tuple[str, ...], everything: bool, sort: str, reverse: bool, limit: int, offset: int,
    as_json: bool, config: Path | None, **wanted: Any,
) -> None:  # fmt: skip
    """List what was kept, newest first: what waits for a decision, unless told otherwise."""
    for name, kind in {"direction": Direction, "label": Label, "reviewed": Label}.items():
        wanted[name] = kind(wanted[name]) if wanted[name] else None
    chosen = Filter(states=VISIBLE if everything else tuple(map(State, states)) or WAITING, **wanted)
    with opened(config) as (store, _):
        found = find(store, chosen, sort=Sort(sort), reverse=reverse, limit=limit or None, offset=offset)
        if as_json:
            for one in found:
                click.echo(json.dumps(as_data(one)))
            return
        rows = list(found)
        total = len(rows) + offset if chosen.subject else count(store, chosen)
    _print_list(rows, total, offset, narrowed=bool(states or everything or any(wanted.values())))


def _print_list(rows: Sequence[Opened], total: int, offset: int, *, narrowed: bool) -> None:
    if not rows and total:
        click.echo(f"Nothing beyond the first {total}.")
    elif not rows:
        click.echo("Nothing fits." if narrowed else "Nothing waits for a decision.  (--all shows what was decided)")
    if not rows:
        return
    room = columns()
    for line in headed(table(*_as_table(rows, room), room)):
        click.echo(line)
    if total > len(rows):
        more = f"; next: --offset {offset + len(rows)}" if offset + len(rows) < total else ""
        click.echo(f"{offset + 1} to {offset + len(rows)} of {total}{more}", err=True)


def _as_table(rows: Sequence[Opened], room: int) -> tuple[list[Column], list[list[str]]]:
    heads = [Column("ID", 12), Column("KEPT", 6)]
    heads += [Column("STATE", 5)] if room >= NARROW else []
    heads += [Column("LABEL", 5)]
    heads += [Column("BAD", 4, right=True), Column("FROM", 10, 2)] if room >= NARROW else []
    heads += [Column("TO", 10, 2)] if room >= WIDE else []
    heads += [Column("SUBJECT", 7, 3)]
    now = datetime.now(UTC)
    cells = []
    for one in rows:
        item, message = one.item, one.message
        score = "-" if item.p_bad is None else f"{int(item.p_bad * 100)}%"  # never rounded up to a certainty
        line = [item.id, local(item.kept_at, now)]
        short = item.state is State.QUARANTINED and room < WIDE
        line += ["quar." if short else str(item.state)] if room >= NARROW else []
        line += [_label(one)]
        line += [score, safe(_author(one, short=room < WIDE))] if room >= NARROW else []
        line += [safe(item.recipient)] if room >= WIDE else []
        line.append(safe(message.subject) or "(no subject)" if message else "(cannot be opened)")
        cells.append(line)
    return heads, cells


def _author(one: Opened, *, short: bool) -> str:
    author = (one.message.from_ if one.message else "") or one.item.sender or "<>"
    return author.partition("<")[2].partition(">")[0] or author if short else author


def _label(one: Opened) -> str:
    item = one.item
    if item.reviewed:
        return f"{item.reviewed}*"  # a person's
    return str(item.label or ("finding" if one.message and one.message.findings else "-"))


def as_data(one: Opened) -> dict[str, Any]:
    """Return an item as plain JSON data; the sealed fields are null where they cannot be opened."""
    item, message, record = one.item, one.message, one.record
    return {
        "id": item.id,
        "message": item.message,
        "state": item.state,
        "direction": item.direction,
        "listener": item.listener,
        "kept_at": item.kept_at.isoformat(),
        "changed_at": item.changed_at.isoformat(),
        "deadline": item.deadline.isoformat() if item.deadline else None,
        "sender": item.sender,
        "recipient": item.recipient,
        "from": message.from_ if message else None,
        "subject": message.subject if message else None,
        "size": item.size,
        "route": item.route,
        "label": item.label,
        "p_bad": item.p_bad,
        "model": item.model,
        "reviewed": item.reviewed,
        "reasons": [{"code": r.code, "detail": r.detail} for r in record.reasons] if record else None,
        "findings": [
            {"detector": f.detector, "masked": f.masked, "confidence": f.confidence} for f in message.findings
        ] if message else None,
        "trace": record.trace if record else None,
        "body": item.body,
        "drawn": item.drawn,
    }  # fmt: skip


@click.command(short_help="show one item, and why it was kept")
@click.argument("item")
@click.option("--headers", is_flag=True, help="The header block as it came, made safe to look at.")
@click.option("--raw", is_flag=True, help="The exact bytes, to a file or a pipe; never to a terminal.")
@click.option("--full", "whole", is_flag=True, help="All of the stored text, not only its beginning.")
@json_object
@gateway_config
def show(item: str, headers: bool, raw: bool, whole: bool, as_json: bool, config: Path | None) -> None:
    """Show ITEM: who sent what to whom, why it was kept, what was done. The start of its id is enough.

    --headers, --raw and --json show something else instead; one of them at a time.
    """
    if raw + headers + as_json > 1:
        raise click.UsageError("choose one of --headers, --raw and --json")
    if raw and sys.stdout.isatty():
        raise click.UsageError("--raw writes hostile bytes: send them to a file or a pipe")
    with opened(config) as (store, _):
        found = get(store, item)
        if raw:
            for chunk in body(store, found.item.message):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        elif headers:
            secret = found.item.direction is Direction.OUTBOUND
            for line in _header_lines(body(store, found.item.message)):
                click.echo(mask(line) if secret else line)
        elif as_json:
            click.echo(json.dumps(as_data(found)))
        else:
            room = min(columns(), 120)
            now = datetime.now(UTC)
            lines = [*head(found, now, room), "", *why(found, room)]
            if found.message and (parts := contents(found.message, room)):
                lines += ["", *parts]
            if reviews := history(store, found.item.id):
                lines += ["", *done(reviews, room)]
            if found.message:
                gone = ["(the message itself is gone)"]
                lines += ["", *(text(found.message, room, most=None if whole else 40) if found.item.body else gone)]
            click.echo("\n".join(lines))


def _header_lines(chunks: Any) -> list[str]:
    block = b""
    for chunk in chunks:
        block += chunk
        if b"\r\n\r\n" in block or b"\n\n" in block or len(block) > HEADER_BYTES:
            break
    ends = [at for at in (block.find(b"\r\n\r\n"), block.find(b"\n\n")) if at >= 0]
    lines = block[: min([*ends, HEADER_BYTES])].replace(b"\r\n", b"\n").split(b"\n")
    return [safe(line.decode("utf-8", "surrogateescape")) for line in lines]


@click.command(name="stats", short_help="count what is kept, what waits, how labels agree")
@json_object
@gateway_config
def show_stats(as_json: bool, config: Path | None) -> None:
    """Count what is kept, what waits, and how often people agree with the model."""
    with opened(config) as (store, settings):
        found = stats(store)
        path = settings.quarantine.path
        size = sum(p.stat().st_size for p in (path, path.with_name(path.name + "-wal")) if p.exists())
    if as_json:
        click.echo(json.dumps(_stats_data(found, size)))
        return
    if not found.states:
        click.echo("The quarantine is empty.")
        return
    ways = [way for way in Direction if any(w is way for w, _ in found.states)]
    rows = [
        [state, *(str(found.states.get((way, state), 0)) for way in ways)]
        for state in VISIBLE
        if any((way, state) in found.states for way in ways)
    ]
    for line in table([Column("STATE", 11), *(Column(w.upper(), 8, right=True) for w in ways)], rows, columns()):
        click.echo(line)
    click.echo()
    for line in _summary(found, size, datetime.now(UTC)):
        click.echo(line)


def _summary(found: Stats, size: int, now: datetime) -> list[str]:
    lines = []
    if found.oldest:
        lines.append(f"oldest undecided   {full(found.oldest)} ({ago(found.oldest, now)})")
        lines.append(f"without a label    {found.unreviewed} undecided")
    if found.next_deadline:
        lines.append(f"next deadline      {full(found.next_deadline)} ({ago(found.next_deadline, now)})")
    if found.sampled:
        lines.append(f"sampled            {found.sampled} delivered, {found.sampled_unreviewed} without a label")
    ratio = f" ({found.stored / found.octets:.0%})" if found.octets else ""
    lines.append(
        f"bodies             {found.messages} messages, {octets(found.octets)} in {octets(found.stored)}{ratio}"
    )
    lines.append(f"database           {octets(size)}")
    labelled = sum(found.agreement.values())
    if labelled:
        same = sum(n for (ours, theirs), n in found.agreement.items() if ours is theirs)
        lines.append(f"labelled           {labelled}, of which {same} as the model said")
    return lines


def _stats_data(found: Stats, size: int) -> dict[str, Any]:
    return {
        "states": [{"direction": w, "state": s, "items": n} for (w, s), n in found.states.items()],
        "labels": [{"model": ours, "person": theirs, "items": n} for (ours, theirs), n in found.agreement.items()],
        "unreviewed": found.unreviewed,
        "sampled": found.sampled,
        "sampled_unreviewed": found.sampled_unreviewed,
        "oldest": found.oldest.isoformat() if found.oldest else None,
        "next_deadline": found.next_deadline.isoformat() if found.next_deadline else None,
        "messages": found.messages,
        "octets": found.octets,
        "stored": found.stored,
        "database": size,
    }
