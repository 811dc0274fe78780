"""`gatepost dataset label --accept-drafts`: the one bulk rule, on agreement of the teacher and the model in place."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from gatepost.commands.dataset_common import configuration
from gatepost.screening import Bench
from model.mail import Direction
from quarantine.reviewer import reviewer
from training.store.entry import Entry, Filter
from training.store.store import DataStore
from training.teacher.accepting import Proposal, Ruled, Ruling, accept, judge, proposals, rule_text


def accept_drafts(
    store: DataStore, config: Path | None, chosen: frozenset[str], wanted: Filter, limit: int | None, at_least: float,
    *, dry_run: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make labels of the drafts on which the teacher, sure enough, and the model in place agree."""
    found = [one for one in proposals(store, wanted) if not chosen or one.entry.digest in chosen][:limit]
    if not found:
        click.echo("no draft of a teacher is waiting", err=True)
        return
    with Bench(configuration(config), Direction.INBOUND) as bench:
        rule = rule_text(bench.bundle.version, at_least)
        rulings = _judged(store, found, bench, at_least)
    counts = Counter(ruling.ruled for ruling in rulings)
    if as_json:
        for ruling in rulings:
            click.echo(json.dumps(_data(ruling, rule)))
    kinds = Counter(r.proposal.entry.name for r in rulings if r.ruled is Ruled.ACCEPTED)
    click.echo(rule, err=True)
    click.echo(", ".join(f"{counts[ruled]} {ruled}" for ruled in Ruled if counts[ruled]), err=True)
    if dry_run or not counts[Ruled.ACCEPTED]:
        return
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    if not yes:
        click.confirm(f"Label {told}, on record as your doing?", abort=True, err=True)
    done = accept(store, rulings, rule, reviewer())
    click.echo(f"{done} labelled by the rule ({told})", err=as_json)


def _judged(store: DataStore, found: Sequence[Proposal], bench: Bench, at_least: float) -> list[Ruling]:
    def label_of(entry: Entry) -> str:
        score = bench.screen(entry.digest, store.raw(entry.digest)).screening.score
        return str(score.label) if score else ""

    rulings = []
    with click.progressbar(
        judge(found, label_of, at_least), length=len(found), label="scoring", file=sys.stderr
    ) as bar:
        rulings += list(bar)
    return rulings


def _data(ruling: Ruling, rule: str) -> dict[str, object]:
    one = ruling.proposal
    return {"digest": one.entry.digest, "label": one.entry.name, "confidence": one.confidence, "model": ruling.model,
            "ruled": ruling.ruled.name.lower(), "rule": rule}  # fmt: skip
