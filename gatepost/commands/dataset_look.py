"""`gatepost dataset status`, `show` and `duplicates`: looking changes nothing."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gatepost.commands.dataset_common import opened, store_options
from gatepost.commands.options import json_lines, json_object
from gatepost.terminal import Column, columns, octets, table
from gatepost.times import ago, full
from model.safe_text import safe
from training.store.counts import DRAFTED, UNLABELLED, Copy, Status, copies
from training.store.counts import status as count
from training.store.entry import NAMES, Entry, Filter, LabelChange
from training.store.errors import DataStoreError
from training.store.snapshots import describe
from training.store.snapshots import snapshot as snapshot_of
from training.store.store import DataStore

_TITLES = {"collection": "COLLECTION", "language": "LANGUAGE", "origin": "ORIGIN", "source": "LABELLED BY",
           "licence": "LICENCE"}  # fmt: skip
_MANY_PARTS = 12
_MOST = 10


@click.command(name="status", short_help="count what is there, and what is wrong with it")
@json_object
@store_options
def status(as_json: bool, config: Path | None, folder: Path | None) -> None:
    """Count messages by collection, language, origin and label; name what would keep them from being frozen."""
    with opened(config, folder) as store:
        found = count(store)
        size = sum(p.stat().st_size for p in store.settings.path.glob("dataset.db*"))
    if as_json:
        click.echo(json.dumps(_data(found, size)))
        return
    if not found.messages:
        click.echo("The data store is empty.")
        return
    for title, rows in found.by.items():
        for line in _counts(_TITLES[title], rows):
            click.echo(line)
        click.echo()
    for line in _summary(found, size, datetime.now(UTC)):
        click.echo(line)


def _counts(title: str, rows: Mapping[str, Mapping[str, int]]) -> list[str]:
    heads = [name for name in (*NAMES, DRAFTED, UNLABELLED) if any(name in row for row in rows.values())]
    first = list(rows.items())[:_MANY_PARTS]
    cells = [[safe(name), *(str(row.get(head, 0)) for head in heads)] for name, row in first]
    if len(rows) > _MANY_PARTS:
        rest = list(rows.values())[_MANY_PARTS:]
        cells.append([f"{len(rest)} more", *(str(sum(row.get(head, 0) for row in rest)) for head in heads)])
    titles = [Column(title, 12, 1), *(Column(head.upper(), len(head), right=True) for head in heads)]
    return table(titles, cells, columns())


def _summary(found: Status, size: int, now: datetime) -> list[str]:
    lines = [
        f"messages        {found.messages}, {octets(found.octets)} in {octets(size)}; {found.trainable} labelled",
        f"groups          {found.groups} (near-duplicates are one), from {found.senders} senders' domains",
    ]
    if found.oldest and found.newest:
        lines.append(f"received        {full(found.oldest)} to {full(found.newest)} ({ago(found.newest, now)})")
    if found.last_added:
        lines.append(f"last added      {full(found.last_added)} ({ago(found.last_added, now)})")
    if found.reviewers:
        named = ", ".join(f"{safe(name)} {n}" for name, n in list(found.reviewers.items())[:_MOST])
        lines.append(f"labelled by     {named}")
    for (one, other), groups in list(found.shared.items())[:_MOST]:
        lines.append(f"in both         {groups} groups: {safe(one)} and {safe(other)}")
    if found.forgotten:
        lines.append(f"forgotten       {found.forgotten} messages, senders and reviewers, never added again")
    if found.contradictions:
        lines.append(f"contradictory   {len(found.contradictions)} groups with labels that exclude each other:")
        lines += [describe(group, labels) for group, labels in found.contradictions[:_MOST]]
    return lines


def _data(found: Status, size: int) -> dict[str, Any]:
    return {
        "messages": found.messages, "octets": found.octets, "database": size, "labelled": found.trainable,
        "groups": found.groups, "sender_domains": found.senders, **found.by, "reviewers": found.reviewers,
        "shared": [{"collections": list(pair), "groups": n} for pair, n in found.shared.items()],
        "contradictions": [{"group": group, "labels": labels} for group, labels in found.contradictions],
        "oldest": _iso(found.oldest), "newest": _iso(found.newest), "last_added": _iso(found.last_added),
        "forgotten": found.forgotten,
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


@click.command(name="show", short_help="show a message's record, and who labelled it")
@click.argument("digest", metavar="ID")
@click.option("--raw", is_flag=True, help="The exact bytes, to a file or a pipe; never to a terminal.")
@json_object
@store_options
def show(digest: str, raw: bool, as_json: bool, config: Path | None, folder: Path | None) -> None:
    """Show where a message came from, every label that it was given, and its near-duplicates."""
    if raw and as_json:
        raise click.UsageError("choose one of --raw and --json")
    if raw and sys.stdout.isatty():
        raise click.UsageError("--raw writes hostile bytes: send them to a file or a pipe")
    with opened(config, folder) as store:
        entry = store.get(digest)
        if raw:
            sys.stdout.buffer.write(store.raw(entry.digest))
            sys.stdout.buffer.flush()
            return
        history = store.history(entry.digest)
        mates = [e.digest for e in store.entries(Filter(group=entry.group)) if e.digest != entry.digest]
    if as_json:
        click.echo(json.dumps({**as_data(entry), "history": list(map(_change, history)), "near": mates}))
        return
    for name, value in as_data(entry).items():
        if value not in (None, ""):
            click.echo(f"{name.replace('_', ' '):<15} {safe(str(value))}")
    for one in history:
        why = f": {one.reason}" if one.reason else ""
        step = f"{one.before or 'no label'} to {one.after or 'no label'}"
        click.echo(safe(f"{'label':<15} {full(one.at)} {one.by} ({one.source}): {step}{why}"))
    more = f" and {len(mates) - _MOST} more" if len(mates) > _MOST else ""
    if mates:
        click.echo(f"{'near-duplicates':<15} {', '.join(mate[:12] for mate in mates[:_MOST])}{more}")


def as_data(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain JSON data."""
    return {
        "id": entry.digest, "label": entry.name or None, "label_source": entry.label_source,
        "reviewer": entry.reviewer or None, "labelled": _iso(entry.labelled), "sender": entry.sender,
        "group": entry.group, "collection": entry.collection, "provenance": entry.provenance,
        "licence": entry.licence, "reporter": entry.reporter, "direction": entry.direction, "origin": entry.origin,
        "sample_weight": entry.sample_weight, "received": _iso(entry.received), "added": _iso(entry.added),
        "lang": entry.lang, "size": entry.size,
    }  # fmt: skip


def _change(one: LabelChange) -> dict[str, Any]:
    return {"at": one.at.isoformat(), "by": one.by, "before": one.before or None, "after": one.after or None,
            "source": one.source, "reason": one.reason}  # fmt: skip


@click.command(name="duplicates", short_help="list what two sets have in common")
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@json_lines
@store_options
def duplicates(one: str, other: str, as_json: bool, config: Path | None, folder: Path | None) -> None:
    """List the messages of A that B holds too, exactly or nearly. A and B are snapshots or collections.

    What a model is measured on must hold nothing of what it was trained on: with the training set as A, these are
    the messages to leave out. Exit code 1 if there are any.
    """
    with opened(config, folder) as store:
        first, second = _set(store, one), _set(store, other)
        found = copies(store, first, second)
    if as_json:
        for copy in found:
            click.echo(json.dumps({"id": copy.digest, "other": copy.other, "jaccard": round(copy.jaccard, 4),
                                   "same_label": copy.same_label}))  # fmt: skip
    else:
        _print_copies(found, len(first), one, other)
    if found:
        raise click.exceptions.Exit(1)


def _set(store: DataStore, name: str) -> Sequence[Entry]:
    """Return a snapshot's entries, else a collection's. Raises DataStoreError."""
    try:
        return snapshot_of(store, name).entries
    except DataStoreError as error:
        if found := store.entries(Filter(collections=(name,))):
            return found
        if "there is no snapshot" in str(error):
            raise DataStoreError(f"there is no snapshot or collection {name}") from None
        raise


def _print_copies(found: list[Copy], total: int, one: str, other: str) -> None:
    exact = sum(copy.digest == copy.other for copy in found)
    differ = sum(not copy.same_label for copy in found)
    for copy in found[:50]:
        label = "" if copy.same_label else "  (labels differ)"
        click.echo(f"{copy.digest[:16]}  {copy.other[:16]}  {copy.jaccard:.2f}{label}")
    if len(found) > 50:
        click.echo(f"and {len(found) - 50} more; --json lists all")
    click.echo(
        f"{len(found)} of {total} messages of {safe(one)} are in {safe(other)} too: {exact} exactly, "
        f"{len(found) - exact} nearly; {differ} under another label"
    )
