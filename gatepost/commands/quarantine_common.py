"""What the quarantine's commands share: the store, the ids, times as people type them, errors as they read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from gatepost.config import find, load
from gatepost.settings import Settings
from model.safe_text import safe
from quarantine.errors import StoreError
from quarantine.settings import parse_span
from quarantine.store import Store


@contextmanager
def opened(config: Path | None) -> Iterator[tuple[Store, Settings]]:
    """Read the configuration and open the store; what goes wrong is said in one line, exit code 1 (2: settings)."""
    parent = click.get_current_context().parent
    given = config or (parent.params.get("config") if parent else None)
    settings = load(find(given))
    with plain_errors(), Store.open(settings.quarantine) as store:
        yield store, settings


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn a StoreError into a message without a traceback."""
    try:
        yield
    except StoreError as error:
        raise click.ClickException(safe(str(error))) from None


def stated(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    """Refuse a required reason of blanks only."""
    if not reason.strip():
        raise click.BadParameter("say why; it stays on record")
    return reason


def one_of(*values: StrEnum | str) -> Any:
    """Return a choice among values as they are written; click would offer an enum's names."""
    return click.Choice([str(value) for value in values])


class When(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """A time: `3d` (that long ago), `2026-11-23`, or `2026-11-23T14:30`, local unless it has a zone."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return an aware time."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.now(UTC) - parse_span(value)
        except ValueError:
            pass
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time: give 3d, 2026-11-23 or 2026-11-23T14:30", param, ctx)
        try:
            return found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is too far away", param, ctx)
