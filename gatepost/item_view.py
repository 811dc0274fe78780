"""One kept item as lines of text: who, what, why it was kept, what was done. Nothing in it can harm a terminal."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from gatepost.terminal import fit, octets, wrapped
from gatepost.times import ago, full
from model.safe_text import safe
from model.verdict import Score
from quarantine.item import Review, State
from quarantine.record import MessageRecord
from quarantine.search import Opened

LABEL_WIDTH = 11
VOTES = 6
"""Facts that are named with what they weighed; the others are added up, so that the sum is right."""


def field(name: str, value: str, room: int, *, most: int = 4) -> list[str]:
    """Return `name  value`, wrapped under itself, with an ellipsis where it was cut; the value is made safe here."""
    inner = room - LABEL_WIDTH
    lines = wrapped(safe(value), inner, most=most + 1) or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], fit(lines[most - 1] + "…", inner)]
    heads = [name.ljust(LABEL_WIDTH), *[" " * LABEL_WIDTH] * (len(lines) - 1)]
    return [(head + line).rstrip() for head, line in zip(heads, lines, strict=True)]


def head(found: Opened, now: datetime, room: int, *, short: bool = False) -> list[str]:
    """Return the lines that say what it is: state, times, sender, recipient, subject (`short`: only these)."""
    item, message = found.item, found.message
    state = f"{item.state}, {item.direction}" + (f", listener {item.listener}" if item.listener else "")
    lines = field("Item", f"{item.id}  ({state})", room)
    lines += field("Kept", f"{full(item.kept_at)} ({ago(item.kept_at, now)}), {octets(item.size)}", room)
    if item.drawn is not None and not short:
        lines += field("Sample", f"delivered, and drawn for review with a probability of {item.drawn:g}", room)
    if item.state is State.HELD and item.deadline:
        lines += field("Deadline", f"{full(item.deadline)} ({ago(item.deadline, now)})", room)
    if message is None:
        lines += field("Sender", item.sender or "<> (null sender)", room)
        lines += field("Recipient", item.recipient, room)
        return [*lines, "", "Its sealed parts cannot be opened: they were altered, or sealed with another key."]
    lines += field("From", message.from_ or "(none)", room, most=2)
    if message.reply_to and message.reply_to != message.from_:
        lines += field("Reply-To", message.reply_to, room, most=2)
    if message.to and not short:
        lines += field("To", message.to, room, most=2)
    lines += field("Subject", message.subject or "(none)", room, most=3)
    lines += field("Envelope", f"{item.sender or '<>'} -> {item.recipient}", room, most=2)
    if not short and (client := _client(message)):
        lines += field("Client", client, room, most=2)
    return lines


def _client(message: MessageRecord) -> str:
    c = message.client
    place = f"{c.name or 'unknown'} [{c.address}]" if c.address else c.name
    extras = [f"HELO {c.helo}" if c.helo else "", f"login {c.login}" if c.login else ""]
    extras.append(f"queue id {c.queue_id}" if c.queue_id else "")
    return ", ".join(part for part in (place, *extras) if part)


def why(found: Opened, room: int, *, short: bool = False) -> list[str]:
    """Return why it was kept: label and score, every reason, findings; unless `short`, what each thing weighed."""
    item, message, record = found.item, found.message, found.record
    if message is None or record is None:
        return field("Why", item.reason, room)
    lines: list[str] = []
    ours = "not scored" if item.p_bad is None else f"{item.label or 'unknown'}, {item.p_bad:.1%} bad"
    if message.fault:
        ours += f" ({message.fault})"
    said = f"; a person says {item.reviewed}" if item.reviewed else ""
    lines += field("Verdict", f"{item.route}: {ours}{said}", room)
    for number, reason in enumerate(record.reasons):
        detail = f"{reason.code}: {reason.detail}" if reason.detail else reason.code
        lines += field("" if number else "Because", detail, room)
    if message.score is not None and not short:
        lines += _scores(message.score, room)
    for number, finding in enumerate(message.findings):
        where = f" in {finding.location}" if finding.location else ""
        times = f", {finding.count} times" if finding.count > 1 else ""
        text = f"{finding.detector}: {finding.masked}{where}{times} ({finding.confidence:.0%} sure)"
        lines += field("" if number else "Found", text, room)
    if message.defects:
        names = dict.fromkeys(defect.code for defect in message.defects)
        lines += field("Defects", ", ".join(names), room)
    return lines


def _scores(score: Score, room: int) -> list[str]:
    shares = ", ".join(f"{label} {p:.1%}" for label, p in score.probabilities.items())
    lines = field("Scores", f"{shares} (model {score.model})", room)
    votes = sorted(score.fact_logits.items(), key=lambda vote: -abs(vote[1]))
    if votes or score.text_logit:
        parts = [f"text {score.text_logit:+.2f}"]
        parts += [f"site verdicts {score.site_logit:+.2f}"] if score.site_logit else []
        parts += [*(f"{name} {logit:+.2f}" for name, logit in votes[:VOTES])]
        parts += [f"{len(votes) - VOTES} more facts {sum(v for _, v in votes[VOTES:]):+.2f}"] if votes[VOTES:] else []
        total = score.bias + score.text_logit + score.site_logit + sum(score.fact_logits.values())
        lines += field("Weighed", f"{', '.join(parts)}, base {score.bias:+.2f} = {total:+.2f}", room, most=8)
    return lines


def contents(message: MessageRecord, room: int, *, links: int = 10, files: int = 20) -> list[str]:
    """Return attachments and links, one a line, cut to the width."""
    lines: list[str] = []
    for number, file in enumerate(message.files[:files]):
        kind = file.type if file.true_type in ("", file.type) else f"{file.type}, really {file.true_type}"
        name = "Files" if not number else ""
        lines.append(
            fit(f"{name:<{LABEL_WIDTH}}{safe(file.name) or '(no name)'}  ({safe(kind)}, {octets(file.size)})", room)
        )
    for number, (href, shown) in enumerate(message.links[:links]):
        name = "Links" if not number else ""
        label = f"  [{safe(' '.join(shown.split()))}]" if shown.strip() else ""
        lines.append(fit(f"{name:<{LABEL_WIDTH}}{safe(href)}{label}", room))
    if message.link_count > links:
        lines.append(f"{'':<{LABEL_WIDTH}}and {message.link_count - min(links, len(message.links))} more")
    return lines


def text(message: MessageRecord, room: int, *, most: int | None) -> list[str]:
    """Return the visible text, wrapped; says so where it is cut."""
    lines = wrapped(safe(message.text, lines=True).strip("\n"), room)
    if not lines:
        return ["(no text to show)"]
    cut = most is not None and len(lines) > most
    shown = lines[:most] if cut else lines
    notes = []
    if cut:
        notes.append(f"{len(lines) - len(shown)} more lines")
    if message.text_chars > len(message.text):
        notes.append(f"{message.text_chars - len(message.text)} further characters are in the message only")
    if message.hidden_chars:
        notes.append(f"{message.hidden_chars} characters that a reader would not see")
    return [*shown, f"[{'; '.join(notes)}]"] if notes else shown


def done(reviews: Sequence[Review], room: int) -> Iterator[str]:
    """Yield one line for each thing that was done."""
    for number, review in enumerate(reviews):
        name = "History" if not number else ""
        what = f"{review.action} {review.label}" if review.label else str(review.action)
        why_text = f": {safe(review.reason)}" if review.reason else ""
        yield fit(f"{name:<{LABEL_WIDTH}}{full(review.at)}  {safe(review.by)}  {what}{why_text}", room)
