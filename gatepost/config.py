"""Reads the configuration file and says plainly what is wrong with it.

Every complaint names the file, the key (dotted, with its place in a list), what was expected and what was
found.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from gatepost.settings import Settings
from milter.contradictions import contradictions

DEFAULT_PATH = Path("/etc/gatepost/config.toml")
VARIABLE = "GATEPOST_CONFIG"
SHOWN = 80
"""Longest value, in characters, that a complaint repeats."""

_EXPECTED = {
    "missing": "a value (the key is required)",
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "path_type": "a path as a string",
    "ip_any_network": 'an IP address or network such as "192.0.2.0/24"',
    "date_type": "a date such as 2026-12-31",
    "date_parsing": "a date such as 2026-12-31",
    "date_from_datetime_parsing": "a date such as 2026-12-31",
    "date_from_datetime_inexact": "a date without a time such as 2026-12-31",
}


class ConfigError(click.ClickException):
    """The configuration cannot be used. `problems` has one complaint a line; the command exits with 2."""

    exit_code = 2

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{path}: {problem}" for problem in self.problems))

    def show(self, file: Any = None) -> None:
        """Write the complaints to standard error, one a line."""
        click.echo(self.message, file=file, err=file is None)


def find(option: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file to read: the option, else $GATEPOST_CONFIG, else /etc/gatepost/config.toml."""
    if option is not None:
        return option
    return Path(environ[VARIABLE]) if environ.get(VARIABLE) else DEFAULT_PATH


def load(path: Path) -> Settings:
    """Read and check the whole file. Raises ConfigError."""
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        elsewhere = isinstance(error, (FileNotFoundError, PermissionError))
        hint = f" (choose another with --config or ${VARIABLE})" if elsewhere else ""
        raise ConfigError(path, [f"expected a readable file: {error.strerror}{hint}"]) from None
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at offset {error.start}"
        raise ConfigError(path, [f"expected UTF-8 text, found {found}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [f"expected TOML: {error}"]) from None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise ConfigError(path, list(_complaints(error))) from None
    problems = [_complaint(key, expected, found) for key, expected, found in contradictions(settings)]
    if problems:
        raise ConfigError(path, problems)
    return settings


def _complaints(error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        key = dotted(detail["loc"])
        kind = detail["type"]
        if kind == "extra_forbidden":
            yield f"{key}: expected a known key, found an unknown one{_suggestion(detail['loc'])}"
        elif kind == "missing":
            yield f"{key}: expected {_EXPECTED[kind]}, found nothing"
        else:
            yield _complaint(key, _expected(kind, detail), detail["input"])


def _complaint(key: str, expected: str, found: object) -> str:
    return f"{key}: expected {expected}, found {_shown(found)}"


def _expected(kind: str, detail: Any) -> str:
    context = detail.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]).removeprefix("expected ")
    if kind in ("literal_error", "enum"):
        return str(context["expected"]).replace("'", '"')
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    return str(detail["msg"]).removeprefix("Input should be ").removeprefix("String should ")


def _shown(found: object) -> str:
    if found is None:
        return "nothing"
    if isinstance(found, bool):
        text = str(found).lower()
    elif isinstance(found, str):
        text = '"' + found.encode("unicode_escape").decode() + '"'
    elif isinstance(found, Mapping):
        return "a table"
    elif isinstance(found, (list, tuple)):
        return "a list"
    else:
        text = str(found)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def dotted(location: Sequence[int | str]) -> str:
    """Write a place in the file as a person would: `listener[0].next_hop`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "(the file)"


def _suggestion(location: Sequence[int | str]) -> str:
    table = _table_at(Settings, location[:-1])
    near = difflib.get_close_matches(str(location[-1]), list(table.model_fields), n=1) if table else []
    return f" (did you mean {near[0]}?)" if near else ""


def _table_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    """Follow a location down the classes; names of policies and places in lists are steps without a field."""
    here: type[BaseModel] | None = model
    for step in location:
        if here is None:
            return None
        if isinstance(step, int) or step not in here.model_fields:
            continue
        here = table_of(here.model_fields[step].annotation)
    return here


def table_of(annotation: Any) -> type[BaseModel] | None:
    """Return the table class that an annotation is or holds (in a list, mapping or option), else None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := table_of(inner):
            return found
    return None
