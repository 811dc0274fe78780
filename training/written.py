"""The written set: mail that this project wrote itself, each honest message with a bad twin.

It ships with the project, so that a first model can be trained, the demo run and tests written without
anybody's real mail. One TOML file is one batch by one author; every domain in it is invented and ends in
`.example` (RFC 2606), so nothing in it can be mistaken for a real sender. `python -m training.written check
FILE...` tells an author what is wrong, and counts what is there.

Facts that depend on the offline lists or on verified authentication cannot be computed for invented domains;
they are declared per message (`facts`), and are never used as evidence about how often such facts occur.
"""

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import click

from model.labels import Label
from training.letter import RECIPIENTS, compose

__all__ = [
    "DECLARABLE",
    "FOLDER",
    "Attachment",
    "Written",
    "WrittenError",
    "check",
    "compose",
    "load",
    "parse",
]

FOLDER = Path(__file__).parent / "written"

LANGUAGES = tuple(RECIPIENTS)
ROLES = ("honest", "bad")
DECLARABLE = (
    "sender_known",
    "authenticated",
    "known_correspondent",
    "unknown_links",
    "unknown_images",
    "main_link_matches",
    "cheap_tld",
    "foreign_brand",
    "foreign_signer",
    "free_mail_sender",
    "sender_on_shared_host",
    "shortener_or_ip_link",
)
"""Facts that lists or authentication decide: a written message may declare only these."""

_TEXT_KEYS = ("pair", "role", "label", "theme", "lang", "sender", "subject")
_OPTIONAL_TEXT = ("sector", "variant", "reply_to", "return_path", "signer", "text", "html", "recipient", "direction")
_FLAGS = ("list_unsubscribe", "in_reply_to")
_KEYS = frozenset((*_TEXT_KEYS, *_OPTIONAL_TEXT, *_FLAGS, "date", "attachments", "facts"))
_HOST = re.compile(r"(?:https?://|(?<![\w.])www\.|@)([\w.-]+)", re.IGNORECASE)
_DOCUMENTATION = re.compile(r"^(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}$")


class WrittenError(Exception):
    """A batch of written mail is not as it has to be; the text has a line for each fault, naming file and
    key.
    """


@dataclass(frozen=True, slots=True)
class Attachment:
    """Name and declared media type of an attachment; its content is made up when the message is composed."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Written:
    """One written message. `pair` joins honest messages and their bad twins; a split never parts a pair.

    `variant` tells messages of one pair, role and label apart.
    """

    author: str
    pair: str
    role: str
    label: Label
    theme: str
    lang: str
    sender: str
    subject: str
    date: datetime
    sector: str = ""
    variant: str = ""
    direction: str = "inbound"
    recipient: str = ""
    reply_to: str = ""
    return_path: str = ""
    signer: str = ""
    list_unsubscribe: bool = False
    in_reply_to: bool = False
    text: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    facts: dict[str, bool] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """Name of the pair within the set: a split never parts it."""
        return f"{self.author}/{self.pair}"

    @property
    def key(self) -> str:
        """Name of this message within the set: author, pair, role, label, and variant if there are several."""
        return f"{self.author}/{self.pair}/{self.role}-{self.label}" + (f"-{self.variant}" if self.variant else "")


def load(folder: Path = FOLDER) -> tuple[Written, ...]:
    """Read every batch of a folder, in the order of file names. Raises `WrittenError`."""
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise WrittenError(f"{folder}: no .toml file of written mail in this folder")
    messages, faults = check(files)
    if faults:
        raise WrittenError("\n".join(faults))
    return messages


def check(files: Iterable[Path]) -> tuple[tuple[Written, ...], tuple[str, ...]]:
    """Return the good messages of the files and one line for every fault of the others or of the pairs."""
    messages: list[Written] = []
    faults: list[str] = []
    for path in files:
        try:
            batch = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            faults.append(f"{path}: {error}")
            continue
        found, wrong = parse(batch, str(path))
        messages += found
        faults += wrong
    return tuple(messages), (*faults, *_pair_faults(messages))


def parse(batch: dict[str, Any], origin: str) -> tuple[list[Written], list[str]]:
    """Turn one decoded batch into messages and fault lines; `origin` names it in them."""
    author = batch.get("author")
    rows = batch.get("message")
    if not isinstance(author, str) or not author:
        return [], [f"{origin}: author: expected a short name, found {author!r}"]
    if not isinstance(rows, list) or not rows:
        return [], [f"{origin}: message: expected at least one [[message]] table"]
    extra = sorted(set(batch) - {"author", "message"})
    faults = [f"{origin}: {key}: unknown key at the top of a batch" for key in extra]
    messages = []
    for number, row in enumerate(rows, 1):
        where = f"{origin}: message {number} ({row.get('pair', '?')}/{row.get('role', '?')})"
        wrong = [f"{where}: {fault}" for fault in _row_faults(row)]
        faults += wrong
        if not wrong:
            messages.append(_message(author, row))
    return messages, faults


def _message(author: str, row: dict[str, Any]) -> Written:
    rest = {k: row[k] for k in (*_OPTIONAL_TEXT, *_FLAGS) if k in row}
    texts = {k: row[k] for k in _TEXT_KEYS if k != "label"}
    attachments = tuple(Attachment(a["name"], a["type"]) for a in row.get("attachments", ()))
    return Written(
        author=author,
        label=Label(row["label"]),
        date=_date(row["date"]),
        attachments=attachments,
        facts=dict(row.get("facts", {})),
        **texts,
        **rest,
    )


def _date(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _row_faults(row: dict[str, Any]) -> list[str]:
    """Name every fault of one [[message]] table, key first."""
    faults = [f"{key}: unknown key" for key in sorted(set(row) - _KEYS)]
    faults += [
        f"{key}: expected a text that is not empty, found {row.get(key)!r}"
        for key in _TEXT_KEYS
        if not isinstance(row.get(key), str) or not row[key].strip()
    ]
    faults += [
        f"{key}: expected a text, found {row[key]!r}"
        for key in _OPTIONAL_TEXT
        if not isinstance(row.get(key, ""), str)
    ]
    faults += [
        f"{key}: expected true or false, found {row[key]!r}"
        for key in _FLAGS
        if not isinstance(row.get(key, False), bool)
    ]
    if faults:
        return faults
    return [
        *_value_faults(row),
        *_date_faults(row),
        *_attachment_faults(row),
        *_fact_faults(row),
        *_host_faults(row),
    ]


def _value_faults(row: dict[str, Any]) -> list[str]:
    faults = []
    labels = [str(label) for label in Label]
    if row["label"] not in labels:
        faults.append(f"label: expected one of {', '.join(labels)}, found {row['label']!r}")
    if row["role"] not in ROLES:
        faults.append(f"role: expected honest or bad, found {row['role']!r}")
    elif (row["role"] == "honest") != (row["label"] == "ham"):
        faults.append(f"label: role {row['role']} cannot be {row['label']} (honest mail is ham, bad is not)")
    if row["lang"] not in LANGUAGES:
        faults.append(f"lang: expected one of {', '.join(LANGUAGES)}, found {row['lang']!r}")
    if row.get("direction", "inbound") not in ("inbound", "outbound"):
        faults.append(f"direction: expected inbound or outbound, found {row['direction']!r}")
    faults += [
        f"{key}: expected 'Display Name <local@domain>' or 'local@domain', found {row[key]!r}"
        for key in ("sender", "reply_to", "recipient")
        if row.get(key) and "@" not in parseaddr(row[key])[1]
    ]
    if not row.get("text", "").strip() and not row.get("html", "").strip():
        faults.append("text: a message needs text, html or both")
    return faults


def _date_faults(row: dict[str, Any]) -> list[str]:
    try:
        year = _date(row.get("date")).year
    except ValueError:
        return [f"date: expected an RFC 3339 date and time, found {row.get('date')!r}"]
    return [] if 2024 <= year <= 2026 else [f"date: expected a year from 2024 to 2026, found {year}"]


def _attachment_faults(row: dict[str, Any]) -> list[str]:
    found = row.get("attachments", [])
    good = isinstance(found, list) and all(
        isinstance(a, dict)
        and set(a) == {"name", "type"}
        and all(isinstance(v, str) for v in a.values())
        and "/" in a["type"]
        for a in found
    )
    return [] if good else ['attachments: expected a list of {name = "…", type = "major/minor"}']


def _fact_faults(row: dict[str, Any]) -> list[str]:
    found = row.get("facts", {})
    if not isinstance(found, dict):
        return ["facts: expected a table of facts that are true or false"]
    known = ", ".join(DECLARABLE)
    faults = [f"facts.{k}: only these can be declared: {known}" for k in found if k not in DECLARABLE]
    if found.get("main_link_matches") is True and found.get("sender_known") is False:
        faults.append("facts.main_link_matches: never true of a sender in no list (sender_known = false)")
    return faults + [
        f"facts.{k}: expected true or false, found {v!r}" for k, v in found.items() if not isinstance(v, bool)
    ]


def _host_faults(row: dict[str, Any]) -> list[str]:
    """Every host must be invented (RFC 2606 `.example`) or a documentation address (RFC 5737)."""
    faults = []
    signer = row.get("signer", "")
    if signer and not _invented(signer):
        faults.append(f"signer: {signer!r} does not end in .example")
    for key in ("sender", "reply_to", "return_path", "recipient", "subject", "text", "html"):
        hosts = {h.strip(".-").lower() for h in _HOST.findall(row.get(key, ""))}
        faults += [
            f"{key}: {host!r} does not end in .example"
            for host in sorted(hosts)
            if "." in host and not _invented(host)
        ]
    return faults


def _invented(host: str) -> bool:
    return host.lower().endswith(".example") or _DOCUMENTATION.match(host) is not None


def _pair_faults(messages: Sequence[Written]) -> list[str]:
    """Check what only shows over several messages: both sides of every pair, one language, unique keys."""
    faults = [f"{key}: written {n} times" for key, n in Counter(m.key for m in messages).items() if n > 1]
    pairs: dict[tuple[str, str], list[Written]] = {}
    for message in messages:
        pairs.setdefault((message.author, message.pair), []).append(message)
    for (author, pair), both in pairs.items():
        faults += [f"{author}/{pair}: no {role} message" for role in ROLES if role not in {m.role for m in both}]
        if len({m.lang for m in both}) > 1:
            faults.append(
                f"{author}/{pair}: the messages of a pair are in one language, found "
                + ", ".join(sorted({m.lang for m in both}))
            )
    return faults


@click.group()
def main() -> None:
    """Look after the written set."""


@main.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check_command(files: tuple[Path, ...]) -> None:
    """Name every fault of FILES, and count labels, themes and languages."""
    paths = [p for f in files for p in (sorted(f.glob("*.toml")) if f.is_dir() else [f])]
    messages, faults = check(paths)
    for fault in faults:
        click.echo(fault, err=True)
    click.echo(f"{len(messages)} good messages in {len({(m.author, m.pair) for m in messages})} pairs")
    for name in ("label", "theme", "lang", "author", "role"):
        counts = Counter(str(getattr(m, name)) for m in messages)
        click.echo(f"{name}: " + ", ".join(f"{k} {n}" for k, n in sorted(counts.items())))
    for m in messages:  # composing is part of being usable
        compose(m, 0)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
