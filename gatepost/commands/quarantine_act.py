"""`gatepost quarantine release`, `reject`, `delete` and `label`: what a person decides."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click

from gatepost.commands.options import gateway_config
from gatepost.commands.quarantine_bulk import Bulk, chosen, send_all, show
from gatepost.commands.quarantine_common import When, one_of, opened, stated
from milter.release_port import sender
from model.labels import Label
from model.safe_text import safe
from quarantine import correspondents, moves
from quarantine.errors import StoreError
from quarantine.item import Action, State
from quarantine.release import Outcome, settle, stuck_help
from quarantine.release import release as release_item
from quarantine.reviewer import reviewer
from quarantine.search import get
from quarantine.store import Store

_ids = click.argument("items", nargs=-1, required=True, metavar="ITEM...")


@click.command(short_help="send items on, byte for byte")
@click.argument("items", nargs=-1, metavar="ITEM...")
@click.option("--to", default="", help="Send it to this address instead; needs --reason.")
@click.option("--reason", default="", help="Why; it stays on record.")
@click.option("--resume", is_flag=True, help="Send again what was left in the middle of a release.")
@click.option("--mark-released", is_flag=True, help="What was left in the middle was sent, its port's log says.")
@click.option("--mark-unsent", is_flag=True, help="What was left in the middle was not sent: put it back.")
@click.option("--model", default="", help="Instead of items: what this version of the model kept by its score.")
@click.option("--since", type=When(), help="With --model: kept at or after this: 3d, 2026-11-23 or 2026-11-23T14:30.")
@click.option("--dry-run", is_flag=True, help="With --model: list what would be released, and send nothing.")
@click.option("--yes", is_flag=True, help="With --model: do not ask.")
@gateway_config
def release(
    *, items: tuple[str, ...], to: str, reason: str, resume: bool, mark_released: bool, mark_unsent: bool,
    model: str, since: datetime | None, dry_run: bool, yes: bool, config: Path | None,
) -> None:  # fmt: skip
    """Send each ITEM on to its recipient: the exact bytes, with one header in front, screened by nobody.

    With --model and --since, every inbound item that this version kept by its score alone and nobody has decided on
    or called bad. Exit code 1 if any of them was not released.
    """
    if model or since or dry_run or yes:
        if items or to or resume or mark_released or mark_unsent:
            raise click.UsageError("--model chooses the items itself: give only --since, --reason, --dry-run, --yes")
        if not model or since is None:
            raise click.UsageError("a release by version needs both --model and --since")
        _release_bulk(Bulk(model, since), reason, dry_run=dry_run, yes=yes, config=config)
        return
    if not items:
        raise click.UsageError("name the items, or give --model and --since")
    if to and not reason.strip():
        raise click.UsageError("--to needs --reason: it stays on record why somebody else got the mail")
    if to and ("@" not in to or any(c.isspace() or c in "<>\0" for c in to)):
        raise click.UsageError(f"--to: {to!r} is not an address")
    if resume + mark_released + mark_unsent > 1:
        raise click.UsageError("choose one of --resume, --mark-released and --mark-unsent")
    by = reviewer()
    with opened(config) as (store, settings):
        send = sender(settings)

        def one(item: str) -> Outcome:
            if mark_released or mark_unsent:
                why = reason or ("sent, says " if mark_released else "not sent, says ") + by
                return settle(store, item, by=by, sent=mark_released, reason=why)
            return release_item(store, item, send, by=by, to=to, reason=reason, resume=resume)

        wanted = (State.RELEASED,) if not mark_unsent else tuple(State)
        _each(items, lambda item: _told(one(item), wanted))


def _release_bulk(bulk: Bulk, reason: str, *, dry_run: bool, yes: bool, config: Path | None) -> None:
    if not (dry_run or reason.strip()):
        raise click.UsageError("--model needs --reason: it stays on record with every item")
    by = reviewer()
    with opened(config) as (store, settings):
        found = list(chosen(store, bulk))
        if dry_run:
            show(found)
            return
        if not found:
            click.echo("Nothing fits.")
            return
        if not yes:
            many = f"{len(found)} {'item' if len(found) == 1 else 'items'}"
            click.confirm(f"Release {many} kept by model {safe(bulk.model)}?", abort=True)
        if not send_all(store, found, sender(settings), by=by, reason=reason):
            raise click.exceptions.Exit(1)


def _told(outcome: Outcome, wanted: tuple[State, ...]) -> tuple[bool, str]:
    if outcome.state is State.RELEASING:
        return False, f"{outcome.item}: {safe(outcome.reply)}; {stuck_help(outcome.item)}"
    good = outcome.state in wanted
    verb = f"{outcome.state}" if good else f"not released, it stays {outcome.state}"
    return good, f"{outcome.item}: {verb} ({safe(outcome.reply)})"


@click.command(short_help="judge items bad; nothing is sent")
@_ids
@click.option("--reason", required=True, callback=stated, help="Why; it stays on record.")
@gateway_config
def reject(items: tuple[str, ...], reason: str, config: Path | None) -> None:
    """Judge each ITEM bad. Nothing is sent: a bounce would reach whoever's address was forged."""
    by = reviewer()
    with opened(config) as (store, _):

        def rejected(item: str) -> str:
            moves.reject(store, item, by=by, reason=reason)
            return "rejected"

        _each_found(store, items, rejected)


@click.command(short_help="delete items for good")
@_ids
@click.option("--reason", default="", help="Why; it stays on record.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@gateway_config
def delete(items: tuple[str, ...], reason: str, yes: bool, config: Path | None) -> None:
    """Delete each ITEM. Its bytes go at the next housekeeping; the record of what was done stays."""
    by = reviewer()
    with opened(config) as (store, _):
        if not yes:
            click.confirm(f"Delete {len(items)} {'item' if len(items) == 1 else 'items'} for good?", abort=True)

        def deleted(item: str) -> str:
            moves.remove(store, item, by=by, reason=reason)
            return "deleted"

        _each_found(store, items, deleted)


@click.command(short_help="say what items are; moves nothing")
@click.argument("verdict", type=one_of(*Label, "none"), metavar="LABEL")
@_ids
@click.option("--reason", default="", help="Why; it stays on record.")
@gateway_config
def label(verdict: str, items: tuple[str, ...], reason: str, config: Path | None) -> None:
    """Say what each ITEM is: LABEL is ham, spam, phishing or fraud, or none to take it back.

    A label decides nothing about the mail, and what is decided says nothing about the label.
    """
    by = reviewer()
    with opened(config) as (store, _):

        def labelled(item: str) -> str:
            if verdict == "none":
                moves.unlabel(store, item, by=by)
                return f"{Action.UNLABEL}led"
            moves.label(store, item, Label(verdict), by=by, reason=reason)
            return verdict

        _each_found(store, items, labelled)


@click.command(name="forget-correspondent", short_help="forget that somebody is known here")
@click.argument("names", nargs=-1, required=True, metavar="ADDRESS|DOMAIN...")
@gateway_config
def forget_correspondent(names: tuple[str, ...], config: Path | None) -> None:
    """Forget each ADDRESS, of here or of outside, or every address of an outside DOMAIN.

    Running gateways follow within a minute or so. Later mail makes them known again.
    """
    with opened(config) as (store, _):

        def forgotten(name: str) -> tuple[bool, str]:
            pairs = correspondents.forget(store, name)
            return True, f"{safe(name)}: {pairs} {'pair' if pairs == 1 else 'pairs'} forgotten"

        _each(names, forgotten)


def _each_found(store: Store, items: tuple[str, ...], act: Callable[[str], str]) -> None:
    """Do it for every item that an id or its beginning names; `act` gets the whole id and says what it did."""

    def one(item: str) -> tuple[bool, str]:
        found = get(store, item).item.id
        return True, f"{found}: {act(found)}"

    _each(items, one)


def _each(items: tuple[str, ...], act: Callable[[str], tuple[bool, str]]) -> None:
    """Do it for every id, also after one failed; one line each, exit code 1 if any failed."""
    failed = False
    for item in dict.fromkeys(items):
        try:
            good, line = act(item)
        except StoreError as error:
            good, line = False, safe(str(error))
        failed |= not good
        click.echo(line, err=not good)
    if failed:
        raise click.exceptions.Exit(1)
