"""`gatepost dataset review`: label what teaches most, one key a mail.

A key labels and goes on. Every key is one transaction, so that it does not matter where Ctrl-C falls.
"""

import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatepost.commands.dataset_common import opened, store_options
from gatepost.commands.dataset_triage import cache_option, reading, shown, tell
from gatepost.item_view import contents, text
from gatepost.item_view import field as named
from gatepost.keyboard import Keyboard
from gatepost.terminal import columns, fit, octets, rows
from gatepost.times import ago, full
from model.labels import Label
from model.safe_text import safe
from quarantine.errors import StoreError
from quarantine.reviewer import reviewer
from training.store.entry import LabelSource
from training.store.labelling import give
from training.store.store import DataStore

if TYPE_CHECKING:
    from model.child import Extractor
    from model.score import Scorer
    from quarantine.record import MessageRecord
    from training.reading import Reader
    from training.triage.queue import Asked, Queue

LABEL_KEYS = {"h": Label.HAM, "s": Label.SPAM, "p": Label.PHISHING, "f": Label.FRAUD}
BARS = (
    "[h]am [s]pam [p]hishing [f]raud   [space] skip   [u]ndo   [?] help   [q]uit",
    "h s p f   space u ? q",
)
"""The bottom line; the first that fits."""
SHORT_SCREEN = 30
"""Rows below which details make way for the text."""

HELP = """A key says what the mail is, and the next comes. Models learn from it.

  h  ham: wanted, or at least honest
  s  spam: unwanted bulk mail
  p  phishing: after passwords and accounts
  f  fraud: after money or goods, by a false story

  space  skip it for now (Enter and n too)
  u      undo the last label, and go back to its mail
  q      quit; what is labelled is labelled (after Ctrl-C as well)

What teaches most comes first: where the model is unsure, where words and
model disagree, what is like nothing reviewed, where a draft contradicts.
Of near-duplicates one is asked about. Near: reviewed mail most like it.

Any key goes back."""


@click.command(name="review", short_help="label what teaches most, one key a mail")
@click.option("--suspects", is_flag=True, help="Go through labels that look wrong instead.")
@click.option("--second", is_flag=True, help="Judge what somebody else has judged, without seeing how.")
@cache_option
@store_options
def review(suspects: bool, second: bool, cache: Path, config: Path | None, folder: Path | None) -> None:
    """Go through mail without a label, the most valuable first. One key labels and goes on."""
    if suspects and second:
        raise click.UsageError("choose one of --suspects and --second")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("review needs a terminal; use export --unlabelled and import in scripts")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise click.UsageError("review needs a terminal that can be cleared; $TERM says that this one cannot")
    from model.child import Extractor
    from model.extracted import Limits

    with opened(config, folder) as store, reading(config, cache) as (reader, scorer):
        me = reviewer()
        queue, reasons = _queue(store, reader, scorer, me, "suspects" if suspects else "second" if second else "")
        tell("")
        code = 0
        with Extractor(Limits()) as extractor:
            desk = Desk(store, queue, extractor, me, reasons)
            try:
                with Keyboard() as keyboard:
                    ending = desk.work(keyboard)
            except KeyboardInterrupt:
                ending, code = "Stopped.", 130
        click.echo(f"{ending}  {len(desk.labels)} labelled, {queue.left} waiting.")
    click.get_current_context().exit(code)


def _queue(
    store: DataStore, reader: "Reader", scorer: "Scorer", me: str, mode: str
) -> tuple["Queue", dict[str, str]]:
    """Read what is to be asked and what it is compared with; of suspects also why, by digest."""
    from training.store.errors import DataStoreError
    from training.triage.approval import approved, said
    from training.triage.pile import one_each, part, read
    from training.triage.queue import Queue, drafts_of, second, undecided
    from training.triage.settings import TriageSettings
    from training.triage.suspects import settled, suspects

    settings = TriageSettings()
    history, entries = store.history(), store.entries()
    words, may_train = said(history), approved(said(history), store.settings.approvals)
    labelled = one_each(filter(may_train, entries), settings.most_labelled, sides=True)
    tell(f"reading {len(labelled)} labelled messages")
    known = read(store, labelled, reader, scorer, scored=mode == "suspects", tell=tell)
    if mode == "suspects":
        try:
            found = suspects(known, settings, settled(history))
        except ValueError:
            raise DataStoreError("too little is labelled to suspect anything; see: dataset suspects") from None
        where = {e.digest: n for n, e in enumerate(known.entries)}
        pile = part(known, [where[s.entry.digest] for s in found])
        return Queue(pile, known, {}, settings, by_value=False), {s.entry.digest: s.reason for s in found}
    open_ = second(entries, words, me) if mode else undecided(entries, words, may_train, me)
    waiting = one_each(open_, settings.most_waiting)
    if mode:
        order = {e.digest: n for n, e in enumerate(open_)}
        waiting.sort(key=lambda e: order[e.digest])
    tell(f"reading {len(waiting)} messages that wait")
    pile = read(store, waiting, reader, scorer, scored=True, tell=tell)
    return Queue(pile, known, {} if mode else drafts_of(history), settings, by_value=not mode), {}


@dataclass(slots=True)
class Desk:
    """One sitting of one reviewer. `reasons`: why each suspect is suspected, by digest; else empty."""

    store: DataStore
    queue: "Queue"
    extractor: "Extractor"
    by: str
    reasons: dict[str, str]
    note: str = ""
    labels: list[tuple[int, str]] = field(default_factory=list)
    """Each label of this sitting: the message's place in the queue, and what this reviewer had said of it before."""
    said: dict[str, str] = field(default_factory=dict)

    def work(self, keyboard: Keyboard) -> str:
        """Show one mail after the other until the end or until the reviewer leaves; return why it ended."""
        asked = self.queue.following()
        if asked is None:
            return "Nothing waits for a label."
        while asked is not None:
            step = self._mail(keyboard, asked)
            if step == "quit":
                return "Good."
            asked = self._undone() if step == "undo" else self.queue.following()
        return "That was the last one."

    def _mail(self, keyboard: Keyboard, asked: "Asked") -> str:
        """Work on one mail; return `next`, `undo` or `quit`."""
        found = self._message(asked)
        while True:
            keyboard.show(self._screen(asked, found))
            self.note = ""
            key = keyboard.key().lower()
            if key in ("q", "", "\x04"):
                return "quit"
            if key in ("n", " ", "\n", "\r"):
                self.queue.skip(asked.at)
                return "next"
            if key == "u" and self.labels:
                return "undo"
            if key in LABEL_KEYS:
                if self._label(asked, LABEL_KEYS[key]):
                    return "next"
            elif key == "?":
                keyboard.show(HELP.split("\n"))
                keyboard.key()
            else:
                self.note = "there is no label of this sitting to undo" if key == "u" else "no such key; ? for help"

    def _label(self, asked: "Asked", label: Label) -> bool:
        from training.triage.suspects import SETTLED

        digest = asked.entry.digest
        suspected = digest in self.reasons
        try:
            give(self.store, {digest: str(label)}, source=LabelSource.REVIEW, by=self.by,
                 reason=SETTLED if suspected else "", again=suspected)  # fmt: skip
        except StoreError as error:
            self.note = safe(str(error))
            return False
        self.labels.append((asked.at, self.said.get(digest, "")))
        self.said[digest] = str(label)
        self.queue.label(asked.at, str(label))
        self.note = f"{digest[:12]} labelled {label}"
        return True

    def _undone(self) -> "Asked":
        """Take the last label of this sitting back, and return its mail."""
        at, before = self.labels.pop()
        entry = self.queue.pile.entries[at]
        give(self.store, {entry.digest: before}, source=LabelSource.REVIEW, by=self.by, reason="undone in review")
        self.said[entry.digest] = before
        self.queue.label(at, before)
        self.note = f"{entry.digest[:12]}: label taken back" + (f"; it is {before} again" if before else "")
        return self.queue.asked(at)

    def _message(self, asked: "Asked") -> "MessageRecord | str":
        """Take the mail apart anew, in the killable child; or say why that cannot be."""
        from model.child import ExtractionFailed
        from model.mail import Mail, RawMessage
        from model.screen import Screening
        from quarantine.record import MessageRecord
        from training.reading import TIMEOUT, envelope_of

        try:
            raw = RawMessage.of(self.store.raw(asked.entry.digest))
            seen = self.extractor.extract(raw, timeout=TIMEOUT)
        except (StoreError, ExtractionFailed) as error:
            return safe(str(error))
        return MessageRecord.of(Mail(envelope_of(seen), raw, asked.entry.direction), Screening(extracted=seen))

    def _screen(self, asked: "Asked", found: "MessageRecord | str") -> list[str]:
        room, height = min(columns(), 120), rows()
        short = height < SHORT_SCREEN
        lines = [*self._head(asked, found, room, short=short), *self._why(asked, room, short=short)]
        if not isinstance(found, str):
            if parts := contents(found, room, links=2 if short else 4, files=2 if short else 3):
                lines += ["", *parts]
            space = height - len(lines) - 4
            body = text(found, room, most=space - 1) if space > 2 else []
            lines += ["", *body]
        lines = [fit(line, room) for line in lines[: height - 3]]
        bar = next((bar for bar in BARS if len(bar) <= room), BARS[-1])
        counts = f"{len(self.labels)} labelled, {self.queue.left} waiting"
        status = f"{self.note}; {counts}" if self.note else counts
        return [*lines, *[""] * (height - 2 - len(lines)), fit(status, room), bar]

    def _head(self, asked: "Asked", found: "MessageRecord | str", room: int, *, short: bool) -> list[str]:
        entry, now = asked.entry, datetime.now(UTC)
        came = entry.received or entry.added
        lines = named("Message", f"{entry.digest[:12]}  {full(came)} ({ago(came, now)}), {octets(entry.size)}", room)
        if not short:
            lines += named("From where", f"{entry.collection}, {entry.origin} {entry.provenance}", room, most=1)
        if isinstance(found, str):
            return [*lines, *named("Fault", found, room)]
        lines += named("From", found.from_ or "(none)", room, most=1 if short else 2)
        if found.reply_to and found.reply_to != found.from_:
            lines += named("Reply-To", found.reply_to, room, most=1)
        if not short:
            lines += named("To", found.to or "(none)", room, most=1)
        return [*lines, *named("Subject", found.subject or "(none)", room, most=2)]

    def _why(self, asked: "Asked", room: int, *, short: bool) -> list[str]:
        """Return why it is asked about, what a draft says, and what reviewed mail is like it."""
        suspected = self.reasons.get(asked.entry.digest)
        words = "" if asked.p_words is None or suspected else f", this site's words {asked.p_words:.0%}"
        lines = named("Scores", f"the model says {asked.p_model:.0%} bad{words}", room, most=1)
        if suspected:
            lines += named("Suspected", suspected, room, most=3)
        elif self.queue.by_value:
            lines += named("Asked as", asked.worth.why, room, most=1 if short else 2)
        if asked.draft is not None:
            sure = "" if asked.draft.confidence is None else f", {asked.draft.confidence:.0%} sure"
            why = f": {asked.draft.reason}" if asked.draft.reason else ""
            lines += named("Draft", f"{asked.draft.after} ({asked.draft.by}{sure}){why}", room, most=2)
        for number, near in enumerate(asked.near):
            like = f"{near.similarity:4.0%}  {near.label:<8}  {shown(near.subject)}"
            lines += named("" if number else "Near", like, room, most=1)
        return lines
