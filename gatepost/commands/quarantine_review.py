"""`gatepost quarantine review`: go through what is undecided, one key at a time.

A label and an action are two keys: a label decides nothing about the mail, and an action labels nothing. Every
key is one transaction, so that it does not matter where Ctrl-C falls.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from gatepost.commands.options import gateway_config
from gatepost.commands.quarantine_common import one_of, opened
from gatepost.item_view import contents, head, text, why
from gatepost.keyboard import Keyboard
from gatepost.terminal import columns, fit, rows
from milter.release_port import sender
from model.labels import Label
from model.mail import Direction
from model.safe_text import safe
from quarantine import moves
from quarantine.errors import StoreError
from quarantine.item import REVIEWABLE, UNDECIDED, State
from quarantine.queue import following, waiting
from quarantine.release import Send, release
from quarantine.reviewer import reviewer
from quarantine.search import Filter, Opened, get
from quarantine.stats import forget, position, remember
from quarantine.store import Store

LABEL_KEYS = {"h": Label.HAM, "s": Label.SPAM, "p": Label.PHISHING, "f": Label.FRAUD}
BARS = (
    "label: [h]am [s]pam [p]hishing [f]raud   action: [r]elease re[x]ject [d]elete [k]eep   [n]ext [u]ndo [?] [q]uit",
    "label: h s p f   action: r x d k   n next   u undo   ? help   q quit",
    "h s p f   r x d k   n u ? q",
)
"""The bottom line; the first that fits."""

SHORT_SCREEN = 30
"""Rows below which details make way for the text."""

HELP = """Labels say what the message is. Models learn from them; they move nothing.

  h  ham: wanted, or at least honest
  s  spam: unwanted bulk mail
  p  phishing: after passwords and accounts
  f  fraud: after money or goods, by a false story

Actions say what becomes of it. They label nothing. Then comes the next item.

  r  release: send it to its recipient, exactly as it came (asks first)
  x  reject: judged bad; nothing is sent, and it can be released for a while
  d  delete: its bytes go at the next housekeeping (asks first)
  k  keep: held mail moves to the quarantine, where no deadline decides

  n  next, without deciding (space and Enter too)
  u  undo the last label
  q  quit; the next review goes on where you stopped (after Ctrl-C as well)

Any key goes back."""


@click.command(short_help="go through what waits, one key at a time")
@click.option("--state", type=one_of(*UNDECIDED), help="Only held, or only quarantined.")
@click.option("--sampled", is_flag=True, help="Instead, the samples of delivered mail: only labels count there.")
@click.option("--direction", type=one_of(*Direction), help="Only this way.")
@click.option("--unreviewed", is_flag=True, help="Only what no person has labelled.")
@click.option("--restart", is_flag=True, help="Begin with the oldest, not where you stopped.")
@gateway_config
def review(
    state: str | None, sampled: bool, direction: str | None, unreviewed: bool, restart: bool, config: Path | None,
) -> None:  # fmt: skip
    """Go through what is undecided, oldest first, on from where you stopped. One key a label, one an action."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("review needs a terminal; use list, label, release, reject and delete in scripts")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise click.UsageError("review needs a terminal that can be cleared; $TERM says that this one cannot")
    if sampled and state:
        raise click.UsageError("choose one of --state and --sampled")
    chosen = State.SAMPLED if sampled else State(state) if state else None
    states = (chosen,) if chosen else UNDECIDED
    wanted = Filter(states=states, direction=Direction(direction) if direction else None, unreviewed=unreviewed)
    with opened(config) as (store, settings):
        by = reviewer()
        desk = Desk(store, sender(settings), wanted, by, f"{by} {direction or 'both'} {chosen or 'all'}")
        if restart:
            forget(store, desk.place)
        code = 0
        try:
            with Keyboard() as keyboard:
                ending = desk.work(keyboard)
        except KeyboardInterrupt:
            ending, code = "Stopped.", 130
        click.echo(f"{ending}  {desk.summary()}")
    click.get_current_context().exit(code)


@dataclass(slots=True)
class Desk:
    """One sitting of one reviewer. `place` is the name under which the position is stored."""

    store: Store
    send: Send
    wanted: Filter
    by: str
    place: str
    note: str = ""
    labels: list[tuple[str, Label | None]] = field(default_factory=list)
    acted: int = 0
    returned: Opened | None = None

    def work(self, keyboard: Keyboard) -> str:
        """Show one item after the other until the end or until the reviewer leaves; return why it ended."""
        at = position(self.store, self.place)
        while True:
            found = self.returned or following(self.store, self.wanted, at)
            self.returned = None
            if found is None:
                left = waiting(self.store, self.wanted)
                if not left:
                    drawn = State.SAMPLED in self.wanted.states
                    return "There is no sample to label." if drawn else "Nothing waits for a decision."
                if at is None:
                    return "That is all for now."
                forget(self.store, self.place)
                rest = "samples" if State.SAMPLED in self.wanted.states else "looked at and undecided"
                return f"That was the last one; {left} {rest}. The next review begins again."
            if not self._item(keyboard, found):
                return "Good."
            if self.returned is None:
                at = (found.item.kept_at, found.item.id)
                remember(self.store, self.place, *at)

    def summary(self) -> str:
        """Return what was done in this sitting."""
        return f"{len(self.labels)} labelled, {self.acted} decided, {waiting(self.store, self.wanted)} waiting."

    def _item(self, keyboard: Keyboard, found: Opened) -> bool:
        """Work on one item until it is done with; False to leave."""
        while True:
            keyboard.show(self._screen(found))
            self.note = ""
            key = keyboard.key().lower()
            if key in ("q", "", "\x04"):
                return False
            if key in ("n", " ", "\n", "\r"):
                return True
            try:
                if self._command(keyboard, key, found):
                    return True
            except StoreError as error:
                self.note = safe(str(error))
            found = self._again(found)

    def _command(self, keyboard: Keyboard, key: str, found: Opened) -> bool:
        """Carry out one key; True to go on to another item."""
        item = found.item.id
        if key in LABEL_KEYS:
            moves.label(self.store, item, LABEL_KEYS[key], by=self.by)
            self.labels.append((item, found.item.reviewed))
            open_still = found.item.state in UNDECIDED
            self.note = f"labelled {LABEL_KEYS[key]}" + (f"; it stays {found.item.state} until you act" * open_still)
            return False
        if key == "u":
            return self._undo(item)
        if key == "?":
            keyboard.show(HELP.split("\n"))
            keyboard.key()
            return False
        actions: dict[str, Callable[[Keyboard, Opened], bool]] = {
            "r": self._release, "x": self._reject, "d": self._delete, "k": self._keep,
        }  # fmt: skip
        if key not in actions:
            self.note = "no such key; ? for help"
            return False
        if found.item.state is State.SAMPLED and key != "d":
            self.note = "a sample: it was delivered. Label it, or [d]elete our copy"
            return False
        return actions[key](keyboard, found)

    def _release(self, keyboard: Keyboard, found: Opened) -> bool:
        if not self._sure(keyboard, found, f"Release to {safe(found.item.recipient)}?"):
            return False
        self.note = "sending ..."
        keyboard.show(self._screen(found))
        outcome = release(self.store, found.item.id, self.send, by=self.by, reason="in review")
        sent = outcome.state is State.RELEASED
        self.acted += sent
        self.note = (
            f"{outcome.item}: {'released' if sent else f'not released, {outcome.state}'} ({safe(outcome.reply)})"
        )
        return sent

    def _reject(self, _keyboard: Keyboard, found: Opened) -> bool:
        moves.reject(self.store, found.item.id, by=self.by, reason="in review")
        self.acted += 1
        self.note = f"{found.item.id}: rejected"
        return True

    def _delete(self, keyboard: Keyboard, found: Opened) -> bool:
        if not self._sure(keyboard, found, "Delete for good?"):
            return False
        moves.remove(self.store, found.item.id, by=self.by, reason="in review")
        self.acted += 1
        self.note = f"{found.item.id}: deleted"
        return True

    def _keep(self, _keyboard: Keyboard, found: Opened) -> bool:
        if found.item.state is State.HELD:
            moves.keep_on(self.store, found.item.id, by=self.by, reason="in review")
            self.acted += 1
        self.note = f"{found.item.id}: kept in the quarantine"
        return True

    def _sure(self, keyboard: Keyboard, found: Opened, question: str) -> bool:
        self.note = f"{question}  y: yes, any other key: no"
        keyboard.show(self._screen(found))
        sure = keyboard.key().lower() == "y"
        self.note = "" if sure else "nothing was done"
        return sure

    def _undo(self, current: str) -> bool:
        if not self.labels:
            self.note = "there is no label of this sitting to undo"
            return False
        item, before = self.labels.pop()
        moves.unlabel(self.store, item, by=self.by, back_to=before)
        self.note = f"{item}: label taken back" + (f"; it is {before} again" if before else "")
        if item == current:
            return False
        found = get(self.store, item)
        self.returned = found if found.item.state in REVIEWABLE else None
        return self.returned is not None

    def _again(self, found: Opened) -> Opened:
        """Read the item anew: somebody else may have changed it."""
        try:
            return get(self.store, found.item.id)
        except StoreError:
            return found

    def _screen(self, found: Opened) -> list[str]:
        room, height = min(columns(), 120), rows()
        short = height < SHORT_SCREEN
        lines = [*head(found, datetime.now(UTC), room, short=short), "", *why(found, room, short=short)]
        if found.message and (parts := contents(found.message, room, links=4, files=3)):
            lines += ["", *parts]
        space = height - len(lines) - 4
        if found.message and space > 1:
            body = text(found.message, room, most=None)
            notes = body[-1:] if body[-1].startswith("[") else []
            body = body[: len(body) - len(notes)]
            if len(body) + len(notes) > space:
                notes = [f"[{len(body) - space + 1} more lines: gatepost quarantine show {found.item.id} --full]"]
                body = body[: space - 1]
            lines += ["", *body, *notes]
        lines = [fit(line, room) for line in lines[: height - 3]]
        bar = next((bar for bar in BARS if len(bar) <= room), BARS[-1])
        status = self.note or f"{waiting(self.store, self.wanted)} waiting"
        return [*lines, *[""] * (height - 2 - len(lines)), fit(status, room), bar]
