"""The one table of replies: what happened × the listener's mode → what the client hears, or that mail is held.

The text is fixed and tells nothing of score, reason or fault; what we know goes to the log. Codes are of
RFC 5321, enhanced codes of RFC 3463. No fault of ours is ever a 5xx, and in after-queue mode, where a refusal
makes the upstream bounce to people who may be innocent, nothing about a message's content is one either.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

TEXT_LIMIT = 400
LINES_LIMIT = 8
_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})(?:[ \t]+|$)")
_QUEUED = re.compile(r"queued as ([A-Za-z0-9.-]{1,64})")


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply: code, enhanced code (may be empty), lines of text. `close`: the connection ends after it."""

    code: int
    enhanced: str
    lines: tuple[str, ...]
    close: bool = False

    @property
    def positive(self) -> bool:
        """Whether it says yes (2xx)."""
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        """The first line as it reads on the wire."""
        return " ".join(filter(None, (str(self.code), self.enhanced, self.lines[0])))

    @property
    def queued_as(self) -> str:
        """The queue id in a next hop's reply to the dot, if it names one."""
        found = _QUEUED.search(" ".join(self.lines))
        return found[1] if found else ""

    def wire(self) -> bytes:
        """Return the octets, CRLF included."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        last = len(self.lines) - 1
        return b"".join(
            f"{self.code}{' ' if at == last else '-'}{prefix}{line}".rstrip().encode("ascii", "replace") + b"\r\n"
            for at, line in enumerate(self.lines)
        )


class Event(StrEnum):
    """Everything that we answer in our own words."""

    OK = "ok"
    SENDER_OK = "sender-ok"
    RECIPIENT_OK = "recipient-ok"
    START_DATA = "start-data"
    BYE = "bye"
    XFORWARD_OK = "xforward-ok"
    VERIFY = "verify"
    UNKNOWN_COMMAND = "unknown-command"
    NOT_IMPLEMENTED = "not-implemented"
    CHUNKING = "chunking"
    LINE_TOO_LONG = "line-too-long"
    SYNTAX = "syntax"
    BAD_ADDRESS = "bad-address"
    UNKNOWN_PARAMETER = "unknown-parameter"
    NO_8BITMIME = "no-8bitmime"
    NO_SMTPUTF8 = "no-smtputf8"
    BAD_SEQUENCE = "bad-sequence"
    NOT_TRUSTED = "not-trusted"
    TOO_MANY_ERRORS = "too-many-errors"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    EARLY_TALKER = "early-talker"
    WEB_CLIENT = "web-client"
    COMMAND_TIMEOUT = "command-timeout"
    SHUTTING_DOWN = "shutting-down"
    HOP_DOWN = "hop-down"
    HOP_LOST = "hop-lost"
    HOP_SILENT = "hop-silent"
    HOP_NONSENSE = "hop-nonsense"
    TOO_BIG = "too-big"
    BAD_LINE_ENDING = "bad-line-ending"
    LOOP = "loop"
    UNSCORED = "unscored"
    DEADLINE = "deadline"
    REJECTED = "rejected"
    KEPT = "kept"
    KEPT_SILENTLY = "kept-silently"
    STORE_FULL = "store-full"
    STORE_FAILED = "store-failed"
    SPOOL_FULL = "spool-full"
    INTERNAL = "internal-error"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `hold_after_queue`: in after-queue mode the message is held instead of refused."""

    code: int
    enhanced: str
    text: str
    close: bool = False
    hold_after_queue: bool = False


TABLE: dict[Event, Row] = {
    Event.OK: Row(250, "2.0.0", "Ok"),
    Event.SENDER_OK: Row(250, "2.1.0", "Ok"),
    Event.RECIPIENT_OK: Row(250, "2.1.5", "Ok"),
    Event.START_DATA: Row(354, "", "End data with <CR><LF>.<CR><LF>"),
    Event.BYE: Row(221, "2.0.0", "Bye", close=True),
    Event.XFORWARD_OK: Row(250, "2.0.0", "Ok"),
    Event.VERIFY: Row(252, "2.1.5", "Send some mail, it will be tried"),
    Event.UNKNOWN_COMMAND: Row(500, "5.5.2", "Command not recognised"),
    Event.NOT_IMPLEMENTED: Row(502, "5.5.1", "Command not implemented"),
    Event.CHUNKING: Row(502, "5.5.1", "Command not implemented", close=True),
    Event.LINE_TOO_LONG: Row(500, "5.5.2", "Line too long"),
    Event.SYNTAX: Row(501, "5.5.4", "Syntax error in parameters"),
    Event.BAD_ADDRESS: Row(501, "5.1.3", "Malformed address"),
    Event.UNKNOWN_PARAMETER: Row(555, "5.5.4", "Parameter not supported"),
    Event.NO_8BITMIME: Row(554, "5.6.3", "Next hop does not offer 8BITMIME"),
    Event.NO_SMTPUTF8: Row(553, "5.6.7", "Next hop does not offer SMTPUTF8"),
    Event.BAD_SEQUENCE: Row(503, "5.5.1", "Bad sequence of commands"),
    Event.NOT_TRUSTED: Row(550, "5.7.1", "Not authorised to use XFORWARD"),
    Event.TOO_MANY_ERRORS: Row(421, "4.7.0", "Too many errors", close=True),
    Event.TOO_MANY_RECIPIENTS: Row(452, "4.5.3", "Too many recipients"),
    Event.EARLY_TALKER: Row(421, "4.7.0", "Improper use of pipelining", close=True),
    Event.WEB_CLIENT: Row(421, "4.7.0", "This is not a web server", close=True),
    Event.COMMAND_TIMEOUT: Row(421, "4.4.2", "Timeout exceeded", close=True),
    Event.SHUTTING_DOWN: Row(421, "4.3.2", "Service is stopping, try again later", close=True),
    Event.HOP_DOWN: Row(451, "4.4.1", "Next hop is not reachable, try again later"),
    Event.HOP_LOST: Row(451, "4.4.1", "Next hop was lost, try again later"),
    Event.HOP_SILENT: Row(451, "4.4.2", "Next hop did not confirm, try again later"),
    Event.HOP_NONSENSE: Row(451, "4.5.0", "Next hop gave no valid answer, try again later"),
    Event.TOO_BIG: Row(552, "5.3.4", "Message is too big", hold_after_queue=True),
    Event.BAD_LINE_ENDING: Row(550, "5.5.2", "bad line ending", hold_after_queue=True),
    Event.LOOP: Row(554, "5.4.6", "Too many hops", hold_after_queue=True),
    Event.UNSCORED: Row(451, "4.3.2", "Cannot be checked now, try again later"),
    Event.DEADLINE: Row(451, "4.3.2", "Took too long, try again later"),
    Event.REJECTED: Row(550, "5.7.1", "Message refused by local policy"),
    Event.KEPT: Row(250, "2.0.0", "Ok: kept as"),
    Event.KEPT_SILENTLY: Row(250, "2.0.0", "Ok: queued as"),  # a stranger may hear it: like mail that went through
    Event.STORE_FULL: Row(452, "4.3.1", "Insufficient storage, try again later"),
    Event.STORE_FAILED: Row(451, "4.3.0", "Temporary error"),
    Event.SPOOL_FULL: Row(452, "4.3.1", "Insufficient storage, try again later"),
    Event.INTERNAL: Row(451, "4.3.0", "Temporary error"),
}

BEFORE_QUEUE = "before-queue"
AFTER_QUEUE = "after-queue"


def holds(event: Event, mode: str) -> bool:
    """Whether a message to which `event` happened is held rather than refused in this mode."""
    return mode == AFTER_QUEUE and TABLE[event].hold_after_queue


def kept(mode: str, name: str) -> Reply:
    """Return the reply to mail that was kept as `name`: before the queue it is the remote sender who hears it."""
    return reply(Event.KEPT if mode == AFTER_QUEUE else Event.KEPT_SILENTLY, name)


def not_now(theirs: Reply) -> Reply:
    """Return a next hop's refusal as a temporary one: it had said yes to the same before, and so had we."""
    return Reply(451, "4.3.0", theirs.lines) if theirs.code >= 500 else theirs


def reply(event: Event, detail: str = "") -> Reply:
    """Return the reply for `event`; `detail` is appended to its text (an id of ours, nothing of the mail)."""
    row = TABLE[event]
    return Reply(row.code, row.enhanced, (f"{row.text} {detail}".rstrip(),), row.close)


def passed_on(theirs: Reply) -> Reply:
    """Return the next hop's reply as the client may hear it: same class and code, text cleaned and cut.

    421 and codes that answer nothing we asked become 451: the next hop leaving is no reason for the client to.
    """
    if theirs.code == 421:
        return Reply(451, "4.3.2", theirs.lines)
    if not 200 <= theirs.code < 600 or 300 <= theirs.code < 400:
        return reply(Event.HOP_NONSENSE)
    return theirs


def from_wire(code: int, lines: tuple[str, ...]) -> Reply:
    """Build a `Reply` from a next hop's lines (code cut off): its enhanced code is kept if its class fits."""
    found = _ENHANCED.match(lines[0])
    fits = found is not None and found[1] == str(code)[0]
    enhanced = found[0].strip() if found and fits else ""
    if not enhanced and str(code)[0] in "245":
        enhanced = f"{str(code)[0]}.0.0"
    return Reply(code, enhanced, tuple(_cleaned(line) for line in lines[:LINES_LIMIT]))


def _cleaned(line: str) -> str:
    text = _ENHANCED.sub("", line)
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:TEXT_LIMIT]
