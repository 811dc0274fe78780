"""Releasing what one version of the model kept in error: chosen by version and time, to be looked at first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import click

from model import reasons
from model.labels import Label
from model.mail import Direction
from model.safe_text import safe
from quarantine.errors import StoreError
from quarantine.item import UNDECIDED, State
from quarantine.release import Outcome, Send, release
from quarantine.search import Filter, Opened, find
from quarantine.store import Store

BY_SCORE = frozenset({reasons.SCORE_REJECT, reasons.SCORE_QUARANTINE, reasons.SCORE_HOLD})
GIVE_UP = 3
"""Failures in a row after which the release port, and not the mail, is what is wrong."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """Which items: kept by this version's score at or after a time."""

    model: str
    since: datetime


def chosen(store: Store, bulk: Bulk) -> Iterator[Opened]:
    """Yield what can be released, newest first.

    Only undecided inbound mail that was kept for its score; what a rule, a defect or a leak kept is not the model's
    doing, and what a person has called bad stays.
    """
    wanted = Filter(states=UNDECIDED, direction=Direction.INBOUND, model=bulk.model, since=bulk.since)
    for one in find(store, wanted):
        if one.item.reason in BY_SCORE and one.item.reviewed in (None, Label.HAM):
            yield one


def show(found: list[Opened]) -> None:
    """Print one line an item, and how many."""
    for one in found:
        subject = safe(one.message.subject) if one.message else "(cannot be opened)"
        click.echo(f"{one.item.id}  {one.item.p_bad or 0:.4f}  {safe(one.item.recipient)}  {subject}")
    click.echo(f"{len(found)} to release", err=True)


def send_all(store: Store, found: list[Opened], send: Send, *, by: str, reason: str) -> bool:
    """Release one after the other, with a line for each; False if any was not. Stops after `GIVE_UP` in a row.

    Nobody looked at each, so that no sender becomes known by it.
    """
    failures = in_a_row = 0
    for number, one in enumerate(found, start=1):
        try:
            outcome = release(store, one.item.id, send, by=by, reason=reason, by_person=False)
        except StoreError as error:  # somebody else decided, or its bytes are damaged: the others go on
            click.echo(safe(str(error)), err=True)
            failures += 1
            continue
        good = outcome.state is State.RELEASED
        click.echo(_line(outcome), err=not good)
        failures += not good
        in_a_row = 0 if good else in_a_row + 1
        if in_a_row >= GIVE_UP and number < len(found):
            click.echo(f"{GIVE_UP} failures in a row: stopped, {len(found) - number} not tried", err=True)
            break
    return not failures


def _line(outcome: Outcome) -> str:
    good = outcome.state is State.RELEASED
    return f"{outcome.item}: {'released' if good else f'not released, it is {outcome.state}'} ({safe(outcome.reply)})"
