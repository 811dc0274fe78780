"""`gatepost dataset label --teacher` and `--show-log`: ask first, then draft, and show what left the house."""

import json
import secrets
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from gatepost.commands.dataset_common import MOST_TOLD, configuration
from gatepost.settings import Settings
from model.child import Extractor
from model.domains import DomainLists
from model.extracted import Limits
from model.safe_text import safe
from quarantine.errors import StoreError
from training.store.entry import Entry, Filter
from training.store.store import DataStore
from training.teacher import prompt
from training.teacher.answer import Format
from training.teacher.asking import Asker, Became, Drafted, Surroundings
from training.teacher.drafting import Estimate, author, draft, estimate, waiting
from training.teacher.endpoint import Endpoint, endpoint
from training.teacher.errors import TeacherError
from training.teacher.ledger import Damaged, Ledger, lines
from training.teacher.view import Viewer

_INTERRUPTED = 130
_TROUBLE = (Became.DROPPED, Became.DECLINED, Became.FAILED, Became.UNREADABLE, Became.WARY)


def teach(
    store: DataStore, config: Path | None, chosen: frozenset[str], wanted: Filter, limit: int | None, *, retry: bool,
    dry_run: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Draft labels for what has neither label nor draft."""
    settings = configuration(config)
    with _plain_errors(), Extractor(Limits()) as extractor:
        to = endpoint(settings.teacher)
        entries = [e for e in waiting(store, wanted) if not chosen or e.digest in chosen][:limit]
        if not entries:
            click.echo("nothing to draft: everything has a label or a draft", err=True)
            return
        viewer = Viewer(DomainLists.load(), extractor, settings.site.own_domains, settings.teacher.max_characters)
        if dry_run:
            _show_one(store, entries[0], viewer, settings, to)
            return
        with Ledger(store.settings.path) as ledger:
            expected = estimate(store, entries, viewer.view, settings.teacher, ledger.pace(settings.teacher.model))
            _tell_estimate(expected, settings, to)
            if not yes:
                click.confirm("Send them?", abort=True, err=True)
            around = Surroundings(store.clock, time.monotonic, time.sleep, lambda: secrets.token_hex(16))
            teacher = settings.teacher
            asker = Asker(to, teacher.model, teacher.requests_per_minute, ledger, around, retry=retry)
            _run(entries, draft(store, entries, viewer, asker, author(teacher.model)), as_json=as_json)


def _run(entries: Sequence[Entry], drafts: Iterator[Drafted], *, as_json: bool) -> None:
    counts: Counter[Became] = Counter()
    trouble: list[str] = []
    fault: TeacherError | None = None
    stopped = False
    with click.progressbar(length=len(entries), label="drafting", file=sys.stderr) as bar:
        try:
            for entry, done in zip(entries, drafts, strict=False):
                counts[done.became] += 1
                if as_json:
                    click.echo(json.dumps(_data(entry, done)))
                if done.became in _TROUBLE or done.answer is None:
                    trouble.append(f"{entry.digest[:12]}: {done.became}: {done.why}")
                bar.update(1)
        except KeyboardInterrupt:
            stopped = True
        except TeacherError as error:
            fault = error
    for line in trouble[:MOST_TOLD]:
        click.echo(safe(line), err=True)
    if len(trouble) > MOST_TOLD:
        click.echo(f"and {len(trouble) - MOST_TOLD} more", err=True)
    click.echo(_summary(counts, len(entries)), err=as_json)
    if stopped:
        click.echo("stopped; what was drafted stays, and the same command goes on from here", err=True)
        raise click.exceptions.Exit(_INTERRUPTED)
    if fault is not None:
        click.echo(f"Error: {safe(str(fault))}", err=True)
        click.echo("what was drafted stays, and the same command goes on from here", err=True)
        raise click.exceptions.Exit(1)
    if counts[Became.FAILED] + counts[Became.UNREADABLE] + counts[Became.DECLINED]:
        raise click.exceptions.Exit(1)


def _summary(counts: Counter[Became], total: int) -> str:
    said = ", ".join(f"{counts[became]} {became}" for became in Became if counts[became])
    return f"{sum(counts.values())} of {total} mails: {said}" if said else f"0 of {total} mails"


def _data(entry: Entry, done: Drafted) -> dict[str, object]:
    answer = done.answer
    said = answer.model_dump(mode="json") if answer else dict.fromkeys(("label", "confidence", "reason"))
    return {"digest": entry.digest, "became": done.became.name.lower(), **said, "why": done.why}


def _tell_estimate(expected: Estimate, settings: Settings, to: Endpoint) -> None:
    teacher = settings.teacher
    place = f"{to.host} ({to.address}){', which is not in your network' if to.remote else ''}"
    priced = teacher.price_in or teacher.price_out
    cost = f"about {expected.cost:.2f}" if priced else "not known: no price is set"
    pace = "at this model's pace so far" if expected.measured else "at the limit of requests"
    kinds = sorted(expected.removed.items())
    removed = ", ".join(f"{count} {kind.lower()}" for kind, count in kinds) or "nothing"
    click.echo(
        f"{expected.mails} mails would be sent to {teacher.model} at {place}\n"
        f"  about {expected.tokens_in:,} tokens in and {expected.tokens_out:,} out; cost {cost}\n"
        f"  {_span(expected.seconds)} or more, {pace}\n"
        f"  taken out of a sample of them: {removed}\n"
        "  every byte is written to the log before it is sent: gatepost dataset label --show-log",
        err=True,
    )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _show_one(store: DataStore, entry: Entry, viewer: Viewer, settings: Settings, to: Endpoint) -> None:
    view = viewer.view(store.raw(entry.digest))
    if view.fault:
        raise click.ClickException(safe(f"{entry.digest}: {view.fault}"))
    messages = prompt.ask(view.data, lambda: secrets.token_hex(16))
    body = prompt.body(settings.teacher.model, messages, Format.SCHEMA)
    click.echo(f"for message {entry.digest}, to {to.url}; nothing was sent:", err=True)
    click.echo(safe(json.dumps(json.loads(body), indent=2, ensure_ascii=False), lines=True))
    click.echo("its mail, as it stands in the last message:", err=True)
    click.echo(safe(prompt.written(view.data), lines=True), err=True)


def show_log(store: DataStore, ids: Sequence[str], *, as_json: bool) -> None:
    """Show every request that was sent, or those about some messages, oldest first."""
    count = 0
    with _plain_errors():
        for line in lines(store.settings.path):
            if ids and not any(str(line["digest"]).startswith(one.lower()) for one in ids):
                continue
            count += 1
            if as_json:
                click.echo(json.dumps(line))
                continue
            click.echo(safe(f"{line['at']} {line['digest']} to {line['url']}"))
            click.echo(safe("  " + "; ".join(f"{name}: {value}" for name, value in line["headers"].items())))
            click.echo(safe(line["request"]))
    if not as_json:
        click.echo(f"{count} {'request' if count == 1 else 'requests'} in {store.settings.path}", err=True)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what goes wrong into a message without a traceback."""
    try:
        yield
    except TeacherError as error:
        raise click.ClickException(safe(str(error))) from None
    except StoreError:
        raise  # the data store's own errors are told by who opened it
    except (OSError, sqlite3.Error, Damaged) as error:
        raise click.ClickException(safe(f"the teacher's log or answers: {error}")) from None
