"""`gatepost model shadow`: what a candidate makes of live mail, beside the model that serves."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost.commands.options import gateway_config, json_lines
from gatepost.commands.quarantine_common import When, opened

if TYPE_CHECKING:
    from gatepost.changes import Changed
    from quarantine.search import Opened
    from quarantine.shadows import Agreement, Shadowed
    from quarantine.store import Store


@click.command(name="shadow", short_help="show what a candidate makes of live mail")
@click.argument("candidate", required=False, default="")
@click.option("--since", type=When(), help="Only what came at or after this: 3d, 2026-11-23.")
@click.option("--limit", type=click.IntRange(0, 100_000), default=50, show_default=True,
              help="List at most so many messages whose verdict would change.")
@json_lines
@gateway_config
def shadow(*, candidate: str, since: datetime | None, limit: int, as_json: bool, config: Path | None) -> None:
    """Show how far CANDIDATE, or the latest one, agrees with the model that serves, and which verdicts would change.

    A candidate is set as model.shadow; it scores what comes and decides nothing. Messages that are kept, sampled or
    tagged are listed by their item; of the rest, which were delivered, only routes and scores are known. With --json
    the last objects are the summaries, one for each model and direction.
    """
    from quarantine.shadows import agreements, changed

    with opened(config) as (store, settings):
        found = agreements(store, candidate, since)
        version = candidate or (found[-1].candidate if found else "")
        found = [one for one in found if one.candidate == version]
        rows = changed(store, version, since, limit=limit) if found else []
        items = _items(store, rows)
    for row in rows if as_json else ():
        click.echo(json.dumps(_data(row, items)))
    if as_json:
        for one in found:
            click.echo(json.dumps(_totals(one)))
    elif found:
        _print(found, rows, items)
    elif settings.model.shadow:
        click.echo("Nothing is recorded yet: the candidate scores what comes while the gateway serves.")
    else:
        click.echo("Nothing is recorded: no candidate is set as model.shadow.")


def _items(store: "Store", rows: "Sequence[Shadowed]") -> "dict[str, Opened]":
    """Return the first item of each message that is kept."""
    from quarantine.search import Filter, find

    found: dict[str, Opened] = {}
    for message in {row.message for row in rows if row.message}:
        for one in find(store, Filter(message=message), limit=1):
            found[message] = one
    return found


def _data(row: "Shadowed", items: "dict[str, Opened]") -> dict[str, Any]:
    one = items.get(row.message)
    return {
        "at": row.at.isoformat(), "candidate": row.candidate, "model": row.model, "direction": row.direction,
        "listener": row.listener, "old_route": row.route, "new_route": row.shadow_route, "old_p_bad": row.p_bad,
        "new_p_bad": row.shadow_p_bad, "message": row.message or None, "id": one.item.id if one else None,
        "reviewed": one.item.reviewed if one else None,
    }  # fmt: skip


def _totals(found: "Agreement") -> dict[str, Any]:
    from gatepost.changes import move_data

    messages = sum(found.moves.values())
    return {
        "summary": {
            "candidate": found.candidate, "model": found.model, "direction": found.direction,
            "since": found.first.isoformat(), "until": found.last.isoformat(), "messages": messages,
            "changed": messages - sum(n for (old, new), n in found.moves.items() if old is new),
            "moves": move_data(found.moves, "messages"),
        }
    }  # fmt: skip


def _line(row: "Shadowed", items: "dict[str, Opened]") -> "Changed":
    from gatepost.changes import Changed

    one = items.get(row.message)
    return Changed(one.item.id if one else "-", row.route, row.shadow_route, row.p_bad, row.shadow_p_bad,
                   str(one.item.reviewed or "") if one else "", one.item.sender if one else "(not kept)",
                   one.message.subject if one and one.message else "")  # fmt: skip


def _print(found: "Sequence[Agreement]", rows: "Sequence[Shadowed]", items: "dict[str, Opened]") -> None:
    from gatepost.changes import change_lines
    from gatepost.times import full
    from model.safe_text import safe

    for line in change_lines([_line(row, items) for row in rows]):
        click.echo(line)
    if rows:
        click.echo()
    for one in found:
        total = _totals(one)["summary"]
        click.echo(f"{total['changed']} of {total['messages']} {one.direction} messages would go another way with "
                   f"{safe(one.candidate)} than with {safe(one.model)}, from {full(one.first)} to {full(one.last)}")
        for line in _agreement(one):
            click.echo(line)


def _agreement(found: "Agreement") -> "list[str]":
    """Return the table of old routes (lines) by the candidate's (columns)."""
    from gatepost.terminal import Column, columns, headed, table
    from model.verdict import Route

    routes = [route for route in Route if any(route in move for move in found.moves)]
    heads = [Column("NOW", 12), *(Column(route.upper(), 10, right=True) for route in routes)]
    cells = [[str(old), *(str(found.moves.get((old, new), 0)) for new in routes)] for old in routes]
    return list(headed(table(heads, cells, columns())))
