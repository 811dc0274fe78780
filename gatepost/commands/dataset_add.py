"""`gatepost dataset add` and `import`: mail and labels into the data store."""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, tee
from pathlib import Path

import click

from gatepost.commands.dataset_common import opened, outer, plain_errors, store_options, summary, told
from gatepost.commands.quarantine_common import one_of
from gatepost.config import find, load
from gatepost.paths import Source, read_paths
from model.domains import DomainLists
from model.mail import Direction
from model.safe_text import safe
from quarantine.reviewer import reviewer
from quarantine.store import Store
from training.store.adding import add as add_messages
from training.store.entry import BAD, NAMES, About, LabelSource, Outcome
from training.store.labelling import give
from training.store.reports import reported
from training.store.rows import FIELDS, Columns, read_csv, read_lines
from training.store.store import DataStore
from training.store.verdicts import COLLECTION, judged, take_over

FORMATS = ("mail", "csv", "jsonl", "reports")
_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}

_label = click.option("--label", type=one_of(*NAMES), help=f"What all of it is; {BAD} where nobody told the kind.")
_collection = click.option("--collection", help="The set that it belongs to.  [default: local; what comes from the "
                           "quarantine: quarantine]")  # fmt: skip
_licence = click.option("--licence", default="", help="Under which licence, or why, it may be used.")
_way = click.option("--direction", type=one_of(*Direction), default="inbound", show_default=True,
                    help="Which way it went.")  # fmt: skip
_relabel = click.option("--relabel", is_flag=True, help="Where a message is known under another label, change it.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")


@dataclass(frozen=True, slots=True)
class New:
    """A message on its way in, or (`raw` None) why there is none."""

    name: str
    raw: bytes | None
    about: About
    error: str = ""


@click.command(name="add", short_help="add messages, labelled or not")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_label
@_collection
@_licence
@_way
@_relabel
@_json
@store_options
def add(
    paths: tuple[str, ...], label: str | None, collection: str | None, licence: str, direction: str, relabel: bool,
    as_json: bool, config: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Add the messages of each PATH: a file, a folder, a maildir, an mbox, or - for standard input.

    With --label they count as labelled by you (the login account). Without, they wait for a label and train
    nothing. What is known already is not added twice.

    Exit code 1 if a PATH or message could not be added, or is known under another label; the rest is.
    """
    about = _about(label, collection, licence, direction)
    with opened(config, folder, create=True) as store:
        _run(store, _mail(read_paths(paths), about), {}, relabel=relabel, as_json=as_json)


@click.command(name="import", short_help="import CSV, JSON lines, reports, or the quarantine's verdicts")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--from", "origin", type=one_of("quarantine"), help="Take over every label that people gave there.")
@click.option("--format", "kind", type=one_of(*FORMATS), help="What each PATH is.  [default: by its name, else mail]")
@click.option("--column", "columns", multiple=True, metavar="FIELD=HEADER", help="CSV: the column of a field.")
@click.option("--means", multiple=True, metavar="WORD=LABEL", help="CSV: the label that a word in it stands for.")
@_label
@_collection
@_licence
@_way
@_relabel
@_json
@store_options
def import_(
    paths: tuple[str, ...], origin: str | None, kind: str | None, columns: tuple[str, ...], means: tuple[str, ...],
    label: str | None, collection: str | None, licence: str, direction: str, relabel: bool, as_json: bool,
    config: Path | None, folder: Path | None,
) -> None:  # fmt: skip
    """Import what others have labelled. Importing again changes nothing.

    \b
    mail      as for add: eml files, folders, maildirs, mboxes
    csv       the first line names the columns. One of path, text and html is
              needed; label, subject, sender, collection, licence, provenance,
              received, lang and direction are used where they are there
    jsonl     as `dataset export` writes it. A line with raw is a message; a
              line with id and label alone is your label for a stored one
    reports   abuse reports (ARF) and mail forwarded as an attachment: what is
              added is the reported message. Who reported it is recorded; what
              they say it is stays a draft, unless you give --label

    --from quarantine takes over what people said there that a message is, with their names and times. What was
    released, rejected or deleted says nothing about what it is, and labels nothing.

    Exit code 1 if anything could not be imported, or is known under another label. A CSV or JSONL file with a
    wrong line is not imported at all.
    """
    if bool(paths) == bool(origin):
        raise click.UsageError("give a PATH, or --from quarantine")
    if origin:
        _from_quarantine(collection or COLLECTION, licence, as_json=as_json, config=config, folder=folder)
        return
    about = _about(label, collection, licence, direction)
    table = Columns(_pairs("--column", columns, names=FIELDS), _pairs("--means", means, values=NAMES))
    with opened(config, folder, create=True) as store:
        messages, labels = _all(store, paths, kind, about, table)
        _run(store, messages, labels, relabel=relabel, as_json=as_json)


def _from_quarantine(
    collection: str, licence: str, *, as_json: bool, config: Path | None, folder: Path | None
) -> None:  # fmt: skip
    settings = load(find(config or outer("config")))
    with plain_errors(), Store.open(settings.quarantine) as quarantine, opened(config, folder, create=True) as store:
        gone = sum(not one.body for one in judged(quarantine))
        done = take_over(store, quarantine, DomainLists.load(), licence=licence, collection=collection)
        counts = told((one.digest[:12], one) for one in done)
    if gone and not as_json:
        click.echo(f"{gone} were labelled, and the mail itself is gone by now", err=True)
    _end(counts, as_json=as_json, gone=gone)


def _about(label: str | None, collection: str | None, licence: str, direction: str) -> About:
    if collection is not None and not collection.strip():
        raise click.UsageError("--collection: give a name")
    return About(
        label=label or "", source=LabelSource.IMPORT, by=reviewer(), collection=(collection or "local").strip(),
        licence=licence, direction=Direction(direction),
    )  # fmt: skip


def _pairs(
    option: str, given: Iterable[str], *, names: tuple[str, ...] = (), values: tuple[str, ...] = ()
) -> dict[str, str]:
    """Read NAME=VALUE options, of which one side is out of a list."""
    pairs = {}
    for one in given:
        name, _, value = one.partition("=")
        if not name or not value or (names and name not in names) or (values and value not in values):
            wanted = f"a field ({', '.join(names)}) = HEADER" if names else f"WORD = one of {', '.join(values)}"
            raise click.UsageError(f"{option}: expected {wanted}, found {one!r}")
        pairs[name] = value
    return pairs


def _all(
    store: DataStore, paths: tuple[str, ...], kind: str | None, about: About, table: Columns
) -> tuple[Iterator[New], dict[str, str]]:
    """Check every file that has to be checked as a whole; return the messages of all, and labels for stored ones."""
    streams: list[Iterable[New]] = []
    labels: dict[str, str] = {}
    for path in paths:
        what = kind or _ENDINGS.get(Path(path).suffix.lower(), "mail")
        if what == "csv":
            streams.append(New(path, raw, given) for raw, given in read_csv(Path(path), about, table))
        elif what == "jsonl":
            own, others = tee(read_lines(Path(path), about, (entry.digest for entry in store.entries())))
            labels.update({line.digest: line.about.label for line in own if line.raw is None and line.about.label})
            streams.append(New(path, line.raw, line.about) for line in others if line.raw is not None)
        elif what == "reports":
            streams.append(_reported(read_paths([path]), about))
        else:
            streams.append(_mail(read_paths([path]), about))
    return chain.from_iterable(streams), labels


def _mail(sources: Iterable[Source], about: About) -> Iterator[New]:
    for source in sources:
        yield New(source.name, source.data, replace(about, provenance=source.name), source.error)


def _reported(sources: Iterable[Source], about: About) -> Iterator[New]:
    for source in sources:
        found = reported(source.data) if source.data is not None else []
        if not found:
            yield New(source.name, None, about, source.error or "no whole message is attached to it")
        for report in found:
            claim = about if about.label else replace(
                about, label=report.draft, source=LabelSource.DRAFT, by=report.reporter or about.by
            )  # fmt: skip
            reason = f"feedback type {report.kind}" if report.kind else "reported"
            yield New(source.name, report.raw, replace(
                claim, provenance=f"reported in {source.name}", reporter=report.reporter, received=report.received,
                reason=reason,
            ))  # fmt: skip


def _run(
    store: DataStore, messages: Iterable[New], labels: Mapping[str, str], *, relabel: bool, as_json: bool
) -> None:
    """Add messages, then give labels to stored ones; print what became of them, and exit 1 if any was not taken."""
    names: deque[str] = deque()
    unread = 0

    def readable() -> Iterator[tuple[bytes, About]]:
        nonlocal unread
        for new in messages:
            if new.raw is None:
                unread += 1
                click.echo(f"{safe(new.name)}: {safe(new.error)}", err=True)
                continue
            names.append(new.about.provenance or new.name)
            yield new.raw, new.about

    done = add_messages(store, readable(), DomainLists.load(), relabel=relabel)
    counts = told((names.popleft(), one) for one in done)
    counts[Outcome.UNREADABLE] += unread
    if labels:
        given = give(store, labels, source=LabelSource.REVIEW, by=reviewer(), reason="imported by id")
        counts[Outcome.LABELLED] += given
        counts[Outcome.KNOWN] += len(labels) - given
    _end(counts, as_json=as_json)


def _end(counts: Counter[Outcome], *, as_json: bool, gone: int = 0) -> None:
    if as_json:
        click.echo(json.dumps({outcome.name.lower(): counts[outcome] for outcome in Outcome} | {"gone": gone}))
    else:
        click.echo(summary(counts))
    if counts[Outcome.DIFFERS]:
        click.echo("A label stays until somebody changes it: the same again with --relabel changes all of these, "
                   "gatepost dataset label --label LABEL ID one.", err=True)  # fmt: skip
    if counts[Outcome.UNREADABLE] or counts[Outcome.DIFFERS]:
        raise click.exceptions.Exit(1)
