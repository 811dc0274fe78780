"""`gatepost check`: settings, model, next hops, database: one line each."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from gatepost.commands.options import gateway_config, json_lines


@click.command(name="check")
@gateway_config
@json_lines
@click.option("--example", is_flag=True, help="Print a configuration with every key and its default, and exit.")
@click.pass_context
def command(context: click.Context, config: Path | None, as_json: bool, example: bool) -> None:
    """Look at everything that `gatepost serve` needs, one line each, and change nothing.

    Exit code 0 if all is right, 1 if anything is wrong, 2 if the configuration cannot be used.
    """
    if example:
        from gatepost.example import render

        click.echo(render(), nl=False)
        return
    from gatepost.checks import run
    from gatepost.config import find, load
    from model.safe_text import safe

    path = find(config)
    wrong = 0
    for check in run(load(path), path):
        wrong += not check.ok
        if as_json:
            click.echo(json.dumps(asdict(check)))
        else:
            click.echo(f"{'ok   ' if check.ok else 'wrong'}  {check.name}: {safe(check.detail)}")
    context.exit(1 if wrong else 0)
