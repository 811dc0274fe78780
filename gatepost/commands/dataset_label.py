"""`gatepost dataset label`: by hand, by drafts of a teacher, and by one recorded rule on what both say."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from gatepost.commands.dataset_accept import accept_drafts
from gatepost.commands.dataset_common import opened, store_options
from gatepost.commands.dataset_teach import show_log, teach
from gatepost.commands.options import json_lines
from gatepost.commands.quarantine_common import When
from quarantine.reviewer import reviewer
from training.store.entry import NAMES, Filter, LabelSource
from training.store.labelling import give
from training.store.store import DataStore

_NONE = "none"


@dataclass(frozen=True, slots=True)
class _Mode:
    """What the command line asks for: one of the four."""

    label: str | None
    teacher: bool
    accept: bool
    log: bool

    def check(self, ids: tuple[str, ...], at_least: float | None, agreement: bool) -> None:
        """Raise UsageError where options contradict each other or one is missing."""
        if sum((self.label is not None, self.teacher, self.accept, self.log)) != 1:
            raise click.UsageError("give one of --label, --teacher, --accept-drafts and --show-log")
        if self.label is not None and not ids:
            raise click.UsageError("--label needs the ID of at least one message")
        if self.accept and (at_least is None or not agreement):
            raise click.UsageError(
                "--accept-drafts needs --min-confidence and --agreement-with-model: what a teacher alone says "
                "becomes a label only when a person accepts it"
            )
        if not self.accept and (at_least is not None or agreement):
            raise click.UsageError("--min-confidence and --agreement-with-model belong to --accept-drafts")


@click.command(name="label", short_help="label by hand, or have a teacher draft labels")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--label", "name", type=click.Choice([*NAMES, _NONE]),
              help="Label these messages, having looked at them; none takes a label back.")  # fmt: skip
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@click.option("--teacher", is_flag=True, help="Have the model of the [teacher] table draft labels.")
@click.option("--accept-drafts", "accept", is_flag=True, help="Make drafts labels by the next two options.")
@click.option("--min-confidence", "at_least", type=click.FloatRange(0, 1), metavar="X",
              help="The teacher was at least that sure, from 0 to 1.")  # fmt: skip
@click.option("--agreement-with-model", "agreement", is_flag=True, help="The model in place gives the same label.")
@click.option("--show-log", "log", is_flag=True, help="Show everything that was ever sent to a teacher.")
@click.option("--collection", "collections", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--since", type=When(), help="Only what was added at or after this: 3d, 2026-11-23.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most that many messages.")
@click.option("--retry", is_flag=True, help="Ask again where a teacher had no usable answer.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent for one message, or what the rule would do.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_lines
@store_options
def label(
    *, ids: tuple[str, ...], name: str | None, reason: str, teacher: bool, accept: bool, at_least: float | None,
    agreement: bool, log: bool, collections: tuple[str, ...], since: datetime | None, limit: int | None, retry: bool,
    dry_run: bool, yes: bool, as_json: bool, config: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Label messages of the data store.

    With --label L ID... you say what messages are. With --teacher a language model that you run drafts labels for
    what has none, each with a line that says why; mail is redacted before it is sent, cost and time are told first,
    and a run that was stopped goes on where it was. A draft trains nothing: a person accepts it with --label, or
    --accept-drafts takes over those on which the teacher and the model in place agree, and records that rule.

    Exit code 1 if anything could not be done.
    """
    mode = _Mode(name, teacher, accept, log)
    mode.check(ids, at_least, agreement)
    wanted = Filter(collections=collections, since=since)
    with opened(config, folder) as store:
        if name is not None:
            _by_hand(store, ids, "" if name == _NONE else name, reason)
        elif log:
            show_log(store, ids, as_json=as_json)
        elif teacher:
            teach(store, config, _chosen(store, ids), wanted, limit, retry=retry, dry_run=dry_run, yes=yes,
                  as_json=as_json)  # fmt: skip
        else:
            accept_drafts(store, config, _chosen(store, ids), wanted, limit, at_least or 0.0, dry_run=dry_run,
                          yes=yes, as_json=as_json)  # fmt: skip


def _by_hand(store: DataStore, ids: tuple[str, ...], name: str, reason: str) -> None:
    given = {store.get(digest).digest: name for digest in ids}
    changed = give(store, given, source=LabelSource.REVIEW, by=reviewer(), reason=reason)
    click.echo(f"{changed} labelled {name}" if name else f"{changed} without your label now")


def _chosen(store: DataStore, ids: tuple[str, ...]) -> frozenset[str]:
    return frozenset(store.get(digest).digest for digest in ids)
