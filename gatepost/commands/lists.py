"""`gatepost lists`: what the offline domain lists hold, and deriving them afresh."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from gatepost.commands.options import json_lines
from gatepost.lists_build import SourceMissing
from gatepost.lists_build import refresh as build
from model.domains import DATA, FILE, DomainLists, ListsError
from model.safe_text import safe

_STALE_DAYS = 730


@click.group()
def command() -> None:
    """Show and refresh the offline domain lists."""


@command.command(short_help="say what the lists hold, or what they say of a domain")
@click.option("--file", "path", metavar="FILE", type=click.Path(path_type=Path),
              help="Derived file; the shipped one by default.")
@json_lines
@click.argument("domains", nargs=-1, metavar="[DOMAIN]...")
def show(path: Path | None, as_json: bool, domains: tuple[str, ...]) -> None:
    """Say where the lists come from and how old they are, or what they say of each DOMAIN.

    Exit code 1 if they cannot be read.
    """
    try:
        lists = DomainLists.load(path)
    except ListsError as error:
        raise click.ClickException(str(error)) from error
    if domains:
        for domain in domains:
            _say(_of(lists, domain), as_json)
        return
    age = lists.age_days(datetime.now(UTC))
    if as_json:
        click.echo(json.dumps({**lists.header, "age_days": age}))
        return
    click.echo(f"built {lists.header['built']}, newest list {age} days old")
    for source in lists.header["sources"]:
        told = f"{source['entries']} entries, version {source['version']}, {source['upstream']}"
        click.echo(f"  {source['name']}: {told}")
    if age > _STALE_DAYS:
        click.echo("the lists are old: run `gatepost lists refresh` with a newer pymispwarninglists", err=True)


def _of(lists: DomainLists, domain: str) -> dict[str, object]:
    return {
        "domain": domain,
        "registrable": lists.registrable(domain),
        "known": lists.known(domain),
        "shared": lists.shared(domain),
        "free_mail": lists.free_mail(domain),
        "disposable": lists.disposable(domain),
        "shortener": lists.shortener(domain),
        "tracking": lists.tracking(domain),
        "cheap_tld": lists.cheap_tld(domain),
    }


def _say(found: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    told = [name for name, value in found.items() if value is True]
    registrable = found["registrable"] or "none"
    click.echo(f"{safe(str(found['domain']))}: {', '.join(told) or 'in no list'} (registrable: {registrable})")


@command.command(short_help="derive the lists from the installed packages")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DATA / FILE,
    help="Where to write the derived file; over the shipped one by default.",
)
def refresh(output: Path) -> None:
    """Derive the lists from the installed packages pymispwarninglists and publicsuffixlist. No network is used.

    Exit code 1 if a package is missing or the file cannot be written; the old file then stays.
    """
    try:
        facts = build(output, datetime.now(UTC).date(), DATA)
    except SourceMissing as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written: {error.strerror or error}") from error
    except ValueError as error:
        raise click.ClickException(f"{output}: the lists could not be derived: {error}") from error
    click.echo(f"{output}: {output.stat().st_size} bytes from {len(facts['sources'])} lists")
