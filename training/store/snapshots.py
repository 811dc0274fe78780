"""Frozen snapshots: which messages a model learns from, under which labels and in which groups, by a fingerprint.

A snapshot holds only labels that a person, an import or a recorded bulk rule gave. Near-duplicates whose labels
exclude each other are refused, or resolved by a rule that is recorded with the snapshot.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from sqlalchemy import func, insert, select

from quarantine.record import column
from training.store.entry import EVERYTHING, Entry, Filter, LabelSource, Snapshot, compatible, read_label
from training.store.errors import Contradictions, DataStoreError
from training.store.schema import entries, frozen, snapshots
from training.store.store import COLUMNS, DataStore, as_entry, conditions

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NAMED = 10  # contradictory groups that an error names


class Resolve(StrEnum):
    """What to do with near-duplicates whose labels exclude each other."""

    NEWEST = "newest"  # the label that was given last
    MAJORITY = "majority"  # the label of most messages; a tie drops the group
    DROP = "drop"  # leave the whole group out


def fingerprint(members: Iterable[Entry]) -> str:
    """Hash of the sorted lines "digest label group": the same data give the same fingerprint in every store."""
    lines = sorted(f"{e.digest} {e.name} {e.group}" for e in members)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def contradictions(members: Iterable[Entry]) -> list[tuple[str, dict[str, list[str]]]]:
    """Return each group whose labels exclude each other, with the digests under each label."""
    groups: dict[str, dict[str, list[str]]] = {}
    for entry in members:
        if entry.trains:
            groups.setdefault(entry.group, {}).setdefault(entry.name, []).append(entry.digest)
    return [(group, labels) for group, labels in sorted(groups.items()) if not compatible(list(labels))]


def resolved(members: Sequence[Entry], rule: Resolve) -> list[Entry]:
    """Apply a rule to every contradictory group. Pure."""
    bad = dict(contradictions(members))
    winners = {group: _winner(group, members, labels, rule) for group, labels in bad.items()}
    kept = []
    for entry in members:
        if entry.group not in bad:
            kept.append(entry)
        elif winner := winners[entry.group]:
            label, is_bad = read_label(winner)
            kept.append(replace(entry, label=label, bad=is_bad))
    return kept


def _winner(group: str, members: Sequence[Entry], labels: Mapping[str, Sequence[str]], rule: Resolve) -> str:
    if rule is Resolve.DROP:
        return ""
    if rule is Resolve.NEWEST:
        dated = [e for e in members if e.group == group and e.labelled is not None]
        return max(dated, key=lambda e: (str(e.labelled), e.digest)).name
    (first, most), *others = Counter({name: len(digests) for name, digests in labels.items()}).most_common()
    return "" if others[0][1] == most else first


def freeze(
    store: DataStore,
    name: str,
    *,
    by: str,
    wanted: Filter = EVERYTHING,
    resolve: Resolve | None = None,
    only: Callable[[Entry], bool] = lambda _: True,
) -> Snapshot:
    """Freeze what is labelled now, and passes `only`, under a name that is new.

    Raises Contradictions, or DataStoreError where the name is taken or nothing is labelled; nothing is frozen then.
    """
    if not _NAME.fullmatch(name):
        raise DataStoreError(f"{name!r} is no name for a snapshot: give a-z, 0-9, dots, hyphens and underscores")
    now = store.clock()
    # What is decided on and what is written is the same transaction's: nobody labels in between.
    with store.writing() as connection:
        if connection.execute(select(snapshots.c.id).where(snapshots.c.name == name)).scalar() is not None:
            raise DataStoreError(f"there is a snapshot {name} already; snapshots never change, give another name")
        query = select(*COLUMNS).where(*conditions(replace(wanted, labelled=True))).order_by(entries.c.id)
        rows = connection.execute(query).all()
        members = _consistent([entry for entry in map(as_entry, rows) if only(entry)], resolve)
        if not members:
            raise DataStoreError("nothing that fits is labelled, so there is nothing to freeze")
        mark = fingerprint(members)
        number = connection.execute(
            insert(snapshots), {"name": name, "fingerprint": mark, "created": now, "by": column(by),
                                "resolved": resolve or "", "superseded": None}
        ).inserted_primary_key  # fmt: skip
        assert number is not None  # noqa: S101 - an insert of one row always has it; for the type checker
        ids = {row.digest: row.id for row in rows}
        connection.execute(insert(frozen), [_frozen_row(number[0], ids[e.digest], e) for e in members])
    return Snapshot(name, mark, now, by, resolve or "", None, tuple(members), len(members))


def _frozen_row(snapshot: int, entry: int, member: Entry) -> dict[str, Any]:
    return {
        "snapshot": snapshot,
        "entry": entry,
        "label": member.name,
        "label_source": member.label_source,
        "reviewer": member.reviewer,
        "labelled": member.labelled,
        "grouped": member.group,
    }


def _consistent(members: list[Entry], resolve: Resolve | None) -> list[Entry]:
    found = contradictions(members)
    if not found or resolve is not None:
        return resolved(members, resolve) if resolve is not None else members
    lines = [describe(group, labels) for group, labels in found[:_NAMED]]
    more = [f"  and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    which = "group of near-duplicates has" if len(found) == 1 else "groups of near-duplicates have"
    raise Contradictions(
        "\n".join(
            [
                f"{len(found)} {which} labels that exclude each other:",
                *lines,
                *more,
                "correct the labels, or choose with --resolve newest, majority or drop",
            ]
        ),
        found,
    )


def describe(group: str, labels: Mapping[str, Sequence[str]]) -> str:
    """Say in one line which labels a group has, with one message of each."""
    each = [f"{name} {len(digests)} times (such as {digests[0][:12]})" for name, digests in sorted(labels.items())]
    return f"  group {group}: {', '.join(each)}"


def snapshot(store: DataStore, name: str, *, superseded: bool = False) -> Snapshot:
    """Return a snapshot with its entries. Raises DataStoreError if there is none, or a part of it was forgotten.

    `superseded` returns what is left of such a one.
    """
    with store.reading() as connection:
        row = connection.execute(select(snapshots).where(snapshots.c.name == name)).first()
        if row is None:
            raise DataStoreError(f"there is no snapshot {name}; see: gatepost dataset snapshot")
        query = (
            select(*COLUMNS, frozen.c.label.label("f_label"), frozen.c.label_source.label("f_source"),
                   frozen.c.reviewer.label("f_reviewer"), frozen.c.labelled.label("f_labelled"),
                   frozen.c.grouped.label("f_group"))
            .join(frozen, frozen.c.entry == entries.c.id)
            .where(frozen.c.snapshot == row.id)
            .order_by(entries.c.digest)
        )  # fmt: skip
        members = tuple(map(_thawed, connection.execute(query).all()))
    if row.superseded is not None and not superseded:
        raise DataStoreError(
            f"a part of snapshot {name} was forgotten on {row.superseded:%Y-%m-%d}: freeze a new one under another "
            "name, and train on that"
        )
    if row.superseded is None and fingerprint(members) != row.fingerprint:
        raise DataStoreError(f"snapshot {name} is not what was frozen: restore the data store from its backup")
    return Snapshot(name, row.fingerprint, row.created, row.by, row.resolved, row.superseded, members, len(members))


def _thawed(row: Any) -> Entry:
    label, bad = read_label(row.f_label)
    return replace(
        as_entry(row),
        label=label,
        bad=bad,
        label_source=LabelSource(row.f_source),
        reviewer=row.f_reviewer,
        labelled=row.f_labelled,
        group=row.f_group,
    )


def listed(store: DataStore) -> list[Snapshot]:
    """Return all snapshots, oldest first, without their entries."""
    query = (
        select(snapshots, func.count(frozen.c.entry).label("n"))
        .outerjoin(frozen, frozen.c.snapshot == snapshots.c.id)
        .group_by(snapshots.c.id)
        .order_by(snapshots.c.id)
    )
    with store.reading() as connection:
        return [
            Snapshot(row.name, row.fingerprint, row.created, row.by, row.resolved, row.superseded, (), row.n)
            for row in connection.execute(query)
        ]
