"""`gatepost model drift`: is the mail still what it was when the model began to serve?"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost.commands.options import gateway_config, json_lines
from gatepost.commands.quarantine_common import opened

if TYPE_CHECKING:
    from milter.drift import Drift
    from milter.drift_report import Report
    from model.mail import Direction
    from quarantine.alarms import Alarm

    Alarms = dict[tuple[str, Direction, str], Alarm]
    """By gateway, direction and what has drifted."""

MOST = 8
"""Distributions that are listed where nothing is an alarm; the others have moved less."""


@click.command(name="drift", short_help="show whether mail is still what the model began with")
@click.option("--all", "everything", is_flag=True, help="List every fact, not only what moved most.")
@json_lines
@gateway_config
def drift(*, everything: bool, as_json: bool, config: Path | None) -> None:
    """Compare the score, and each fact of the mail, with the first days on which this model served here.

    PSI is the population stability index: 0 is no change, and what chance alone gives is told beside it. An alarm is
    raised once when it begins, in the log and in the metrics; [model.drift] says from where on. No mail is named or
    kept for it: these are counts by day.

    Exit code 1 while an alarm lasts.
    """
    from milter.drift_report import reports
    from quarantine.alarms import lasting
    from quarantine.tallies import gateways

    with opened(config) as (store, settings):
        limit = settings.model.drift.psi
        found = [report for gateway in gateways(store)
                 for report in reports(store, gateway, settings.model.drift, datetime.now(UTC))]  # fmt: skip
        alarms = {(alarm.gateway, alarm.direction, alarm.name): alarm for alarm in lasting(store)}
    for report in found:
        if as_json:
            for row in _data(report, alarms, limit):
                click.echo(json.dumps(row))
        else:
            _print(report, alarms, everything=everything, several=len({one.gateway for one in found}) > 1)
    if not found and not as_json:
        click.echo("Nothing is counted yet: the gateway counts while it serves.")
    click.get_current_context().exit(1 if alarms else 0)


def _data(report: "Report", alarms: "Alarms", limit: float) -> list[dict[str, Any]]:
    from milter.drift import band

    about = {"gateway": report.gateway, "direction": report.direction, "model": report.model}
    if report.waits:
        return [{**about, "waits": report.waits}]
    assert report.reference is not None and report.recent is not None  # noqa: S101 - for the type checker: it compared
    about |= {"reference_since": f"{report.reference[0]:%Y-%m-%d}", "recent_since": f"{report.recent[0]:%Y-%m-%d}"}
    rows = []
    for one in _sorted(report):
        alarm = alarms.get((report.gateway, report.direction, one.name))
        rows.append({**about, **asdict(one), "value": band(one.name, one.value), "limit": limit,
                     "alarm_since": alarm.at.isoformat() if alarm else None})  # fmt: skip
    return rows


def _sorted(report: "Report") -> "list[Drift]":
    return sorted(report.drifts, key=lambda one: -one.beyond)


def _print(report: "Report", alarms: "Alarms", *, everything: bool, several: bool) -> None:
    from gatepost.terminal import Column, columns, headed, table
    from milter.drift import band
    from model.safe_text import safe

    head = f"{report.direction}, model {safe(report.model)}{f', gateway {safe(report.gateway)}' if several else ''}"
    if report.waits or report.reference is None or report.recent is None:
        click.echo(f"{head}: {report.waits}")
        return
    sizes = report.drifts[0]
    click.echo(f"{head}: {sizes.recent} messages since {report.recent[0]:%Y-%m-%d} beside {sizes.reference} since "
               f"{report.reference[0]:%Y-%m-%d}")  # fmt: skip
    shown = [one for at, one in enumerate(_sorted(report))
             if everything or at < MOST or (report.gateway, report.direction, one.name) in alarms]  # fmt: skip
    heads = [Column("WHAT", 22), Column("PSI", 6, right=True), Column("CHANCE", 6, right=True),
             Column("GREW MOST", 14), Column("BEFORE", 6, right=True), Column("NOW", 6, right=True),
             Column("ALARM", 10)]  # fmt: skip
    cells = []
    for one in shown:
        alarm = alarms.get((report.gateway, report.direction, one.name))
        cells.append([one.name, f"{one.psi:.3f}", f"{one.chance:.3f}", band(one.name, one.value),
                      f"{one.share_before:.1%}", f"{one.share_now:.1%}",
                      f"{alarm.at:%b %d}" if alarm else ""])  # fmt: skip
    for line in headed(table(heads, cells, columns())):
        click.echo(line)
