"""`gatepost model breaker`: when the model kept too much to be believed, and whether that is over."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost.commands.options import gateway_config, json_lines
from gatepost.commands.quarantine_common import opened

if TYPE_CHECKING:
    from quarantine.store import Store
    from quarantine.trips import Trip

SHOWN = 20


@click.command(name="breaker", short_help="show or clear the breaker on a model that keeps too much")
@click.option("--clear", is_flag=True, help="Believe the model again: what it keeps now is right.")
@click.option("--reason", default="", help="Why; required with --clear, and stays on record.")
@click.option("--gateway", default="", metavar="NAME", help="Only this one of several gateways on one database.")
@json_lines
@gateway_config
def breaker(*, clear: bool, reason: str, gateway: str, as_json: bool, config: Path | None) -> None:
    """Show when the breaker tripped, on which figures, and who cleared it.

    While it is open, mail that only the model would keep is delivered with headers; gatepost quarantine list
    --state tagged lists it. gatepost model rollback, or promoting another version, clears it as well: that is the
    way where the model is wrong. --clear is for where it is right; this model under this policy is then watched no
    further. Gateways that share a database have each a breaker of its own, and each is cleared by itself.

    Exit code 1 while it is open.
    """
    from quarantine import trips
    from quarantine.reviewer import reviewer
    from quarantine.tallies import gateways

    if clear and not reason.strip():
        raise click.UsageError("--clear needs --reason TEXT: it stays on record")
    with opened(config) as (store, _):
        names = gateways(store)
        if gateway and gateway not in names:
            known = ", ".join(names) or "none"
            raise click.UsageError(f"--gateway {gateway}: there is none of that name; known: {known}")
        if clear:
            at = _the_open_one(store, gateway)
            done = at is not None and trips.clear(
                store, at, by=reviewer(), reason=reason.strip(), at=datetime.now(UTC))
            click.echo("cleared" if done else "it is not open; nothing to clear", err=as_json)
        found = trips.tripped(store, gateway=gateway or None, limit=SHOWN)
    for one in reversed(found):
        click.echo(json.dumps(_data(one)) if as_json else "\n".join(_lines(one, several=len(names) > 1)))
    if not found and not (as_json or clear):
        click.echo("It never tripped.")
    click.get_current_context().exit(1 if any(one.cleared_at is None for one in found) else 0)


def _the_open_one(store: "Store", gateway: str) -> str | None:
    """Return at which gateway to clear: the one that is named, or the only one where it is open; None for none."""
    from quarantine.trips import tripped

    names = {gateway} if gateway else {one.gateway for one in tripped(store, only_open=True)}
    if len(names) > 1:
        where = " and ".join(sorted(names))
        raise click.UsageError(f"it is open at {where}: say with --gateway NAME where the model is right")
    return next(iter(names), None)


def _data(one: "Trip") -> dict[str, Any]:
    data = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(one).items()}
    return {**data, "open": one.cleared_at is None}


def _lines(one: "Trip", *, several: bool) -> list[str]:
    from gatepost.times import full
    from model.safe_text import safe

    head = "OPEN   " if one.cleared_at is None else "cleared"
    where = f"{safe(one.gateway)}: " if several else ""
    lines = [f"{head}  {full(one.at)}  {where}{safe(one.told)}"]
    if one.cleared_at is not None:
        why = f": {safe(one.reason)}" if one.reason else ""
        lines.append(f"         {full(one.cleared_at)}  cleared by {safe(one.cleared_by)}{why}")
    return lines
