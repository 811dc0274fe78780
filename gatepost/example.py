"""The example configuration: every key, its default and the sentence that explains it, made from the settings.

`config.example.toml` is what `render` returns; `gatepost check --example` prints it.
"""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from gatepost.config import table_of
from gatepost.settings import Settings
from milter.settings import ListenerSettings, PolicySettings, RuleSettings

WIDTH = 100

HEAD = """\
# Gatepost's configuration. Every key is here with its default and what it does; a file that names only its
# listeners is enough. A key that is not known is an error. Read it again with: systemctl reload gatepost
# (SIGHUP); test it first with: gatepost check --config FILE
"""

LISTENERS: tuple[dict[str, str], ...] = (
    {
        "name": "inbound",
        "listen": "127.0.0.1:10025",
        "mode": "before-queue",
        "direction": "inbound",
        "next_hop": "127.0.0.1:10026",
    },
    {
        "name": "outbound",
        "listen": "127.0.0.1:10035",
        "mode": "before-queue",
        "direction": "outbound",
        "next_hop": "127.0.0.1:10026",
    },
)
SAMPLES: dict[str, object] = {
    "quarantine_at": 0.9,
    "hold_at": 0.7,
    "reject_at": 0.999,
    "address": "prizes@shop.example",
    "domain": "partner.example",
    "network": "192.0.2.0/24",
    "expires": "2027-12-31",
    "note": "agreed with the postmaster of partner.example",
}
"""What stands in a comment for keys that have no default."""


def render() -> str:
    """Return the whole example file."""
    pieces = [HEAD]
    for name, field in Settings.model_fields.items():
        if name == "listener":
            pieces += _listeners()
        elif name == "policy":
            pieces += _policies()
        elif (table := table_of(field.annotation)) is not None:
            pieces += _table(name, table)
    return "\n".join(pieces)


def _table(name: str, table: type[BaseModel]) -> Iterator[str]:
    yield _comment(table.__doc__ or "") + f"[{name}]\n" + "\n".join(_keys(table, table()))
    for key, field in table.model_fields.items():
        if (inner := table_of(field.annotation)) is not None:
            yield from _table(f"{name}.{key}", inner)


def _listeners() -> Iterator[str]:
    for at, values in enumerate(LISTENERS):
        listener = ListenerSettings.model_validate(values)
        if at == 0:
            about = _comment(ListenerSettings.__doc__ or "")
            yield about + "[[listener]]\n" + "\n".join(_keys(ListenerSettings, listener))
        else:
            yield "[[listener]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _policies() -> Iterator[str]:
    about = _comment(PolicySettings.__doc__ or "")
    yield about + "[policy.default]\n" + "\n".join(_keys(PolicySettings, PolicySettings()))
    note = _comment(RuleSettings.__doc__ or "")
    shown = (("allow", ("domain", "expires", "note")), ("block", ("address",)), ("block", ("network",)))
    for key, fields in shown:
        lines = [f"# [[policy.default.{key}]]"]
        for name in fields:
            lines += [f"# # {line}" for line in _wrapped(RuleSettings.model_fields[name].description or "")]
            lines.append(f"# {name} = {_date(name)}")
        yield note + "\n".join(lines) + "\n"
        note = ""


def _date(name: str) -> str:
    sample = SAMPLES[name]
    return str(sample) if name == "expires" else _toml(sample)


def _keys(table: type[BaseModel], values: BaseModel) -> Iterator[str]:
    dumped = values.model_dump(mode="json")
    for key, field in table.model_fields.items():
        if table_of(field.annotation) is not None:
            continue  # a table of its own
        line = f"# {key} = {_toml(SAMPLES[key])}" if dumped[key] is None else f"{key} = {_toml(dumped[key])}"
        yield f"{_comment(field.description or '')}{line}\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in _wrapped(text))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value.removesuffix("/32").removesuffix("/128"), ensure_ascii=False)
    return json.dumps(value)
