"""`gatepost replay`: what would change for kept mail if another model served."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost.commands.options import gateway_config, json_lines
from gatepost.commands.quarantine_common import When, opened

if TYPE_CHECKING:
    from gatepost.replay import Replayed, Summary


@click.command("replay", short_help="say what another model would do with kept mail")
@click.option("--model", required=True, metavar="MODEL", help="A bundle's folder, or a version of the model store.")
@click.option("--since", type=When(), default="7d", show_default=True, help="Kept at or after: 3d, 2026-11-23.")
@click.option("--until", type=When(), help="Kept before this.")
@json_lines
@gateway_config
def command(model: str, since: datetime, until: datetime | None, as_json: bool, config: Path | None) -> None:
    """Score kept mail, and sampled delivered mail, with MODEL, and list every verdict that would change.

    The comparison is with the model that serves now, under the settings of now. Changes nothing. With --json the
    last object is the summary.
    """
    from gatepost.model_view import folder_of
    from gatepost.replay import Replay, Replayed, summarise
    from milter.worker import Refused
    from model.bundle import BundleError
    from model.shelf import ShelfError
    from quarantine.item import State
    from quarantine.search import Filter, find

    states = tuple(state for state in State if state not in (State.PENDING, State.TAGGED))
    with opened(config) as (store, settings):
        try:
            replay = Replay(settings, folder_of(settings.model, model))
        except (BundleError, ShelfError, Refused) as error:
            raise click.ClickException(str(error)) from None
        seen: list[Replayed] = []
        with replay:
            for one in replay.over(store, find(store, Filter(states=states, since=since, before=until)),
                                   datetime.now(UTC)):  # fmt: skip
                seen.append(one if one.changes or one.fault else _light(one))
                if as_json and (one.changes or one.fault):
                    click.echo(json.dumps(_data(one)))
                elif sys.stderr.isatty() and len(seen) % 50 == 0:
                    click.echo(f"\r{len(seen)} items", nl=False, err=True)
        summary = summarise(seen)
        versions = (replay.current.version, replay.candidate.version)
    if as_json:
        click.echo(json.dumps(_totals(summary, versions)))
        return
    _print([one for one in seen if one.changes], summary, versions)


def _light(one: "Replayed") -> "Replayed":
    """Drop what only a list would show: there may be many items that do not change."""
    from dataclasses import replace

    return replace(one, item=replace(one.item, message=None, record=None))


def _data(one: "Replayed") -> dict[str, Any]:
    item, message = one.item.item, one.item.message
    return {
        "id": item.id, "kept_at": item.kept_at.isoformat(), "direction": item.direction, "sender": item.sender,
        "subject": message.subject if message else None, "recorded_route": item.route, "recorded_p_bad": item.p_bad,
        "old_route": one.now.route if one.now else None, "new_route": one.then.route if one.then else None,
        "old_p_bad": one.now.p_bad if one.now else None, "new_p_bad": one.then.p_bad if one.then else None,
        "reviewed": item.reviewed, **({"fault": one.fault} if one.fault else {}),
    }  # fmt: skip


def _totals(found: "Summary", versions: tuple[str, str]) -> dict[str, Any]:
    from gatepost.changes import move_data

    return {
        "summary": {
            "model": versions[0], "candidate": versions[1], "items": found.items, "changed": found.changed,
            "unreadable": found.unreadable,
            "moves": move_data(found.moves, "items"),
            "reviewed_ham_newly_kept": found.reviewed_ham_newly_kept,
            "reviewed_ham_newly_delivered": found.reviewed_ham_newly_delivered,
            "reviewed_bad_newly_delivered": found.reviewed_bad_newly_delivered,
            "reviewed_bad_newly_kept": found.reviewed_bad_newly_kept,
        }
    }  # fmt: skip


def _print(changed: "Sequence[Replayed]", found: "Summary", versions: tuple[str, str]) -> None:
    from gatepost.changes import Changed, change_lines, move_lines

    lines = [
        Changed(one.item.item.id, one.now.route, one.then.route, one.now.p_bad, one.then.p_bad,
                str(one.item.item.reviewed or ""), one.item.item.sender,
                one.item.message.subject if one.item.message else "")
        for one in changed if one.now is not None and one.then is not None
    ]  # fmt: skip
    for line in change_lines(lines):
        click.echo(line)
    if lines:
        click.echo()
    lost = f"; {found.unreadable} could not be scored anew" if found.unreadable else ""
    click.echo(f"{found.changed} of {found.items} items would go another way with {versions[1]} than with "
               f"{versions[0]}{lost}")  # fmt: skip
    for line in move_lines(found.moves):
        click.echo(line)
    click.echo(f"reviewed as ham: {found.reviewed_ham_newly_kept} would newly be kept, "
               f"{found.reviewed_ham_newly_delivered} newly delivered")  # fmt: skip
    click.echo(f"reviewed as bad: {found.reviewed_bad_newly_delivered} would newly be delivered, "
               f"{found.reviewed_bad_newly_kept} newly kept")  # fmt: skip

