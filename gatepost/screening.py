"""Screening for the command line: the same steps as in the gateway, for files."""

import os
import re
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import local
from typing import Any, Self

import click

from gatepost.config import DEFAULT_PATH, find, load
from milter.policies import own_thresholds, policy_of
from milter.settings import PolicySettings, Settings
from model.bundle import DEFAULT
from model.domains import DomainLists
from model.mail import Direction, Envelope, Mail, RawMessage, Recipient
from model.normalise import Document, normalise
from model.policy import decide
from model.screen import Screener, Screening
from model.shelf import ShelfError, resolve
from model.verdict import Verdict

TIMEOUT = 60.0
_AHEAD = 4
_RETURN_PATH = re.compile(rb"^return-path:[ \t]*<?([^<>\s]*)>?", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Screened:
    """A file's outcome: what was seen and what policy makes of it for a recipient without exemption."""

    name: str
    screening: Screening
    verdict: Verdict


def settings_for(config: Path | None) -> Settings:
    """Read the configuration that is named or stands in its usual place; where none does, return the defaults.

    A person may score mail on a gateway whose configuration is none of their business: that is said, and no fault.
    """
    path = find(config)
    if config is not None or path != DEFAULT_PATH or os.access(path, os.R_OK):
        return load(path)
    try:
        path.lstat()
    except FileNotFoundError:
        return _defaults()
    except PermissionError:
        pass
    click.echo(f"{path}: this account may not read it; the defaults are used", err=True)
    return _defaults()


def _defaults() -> Settings:
    """Return the defaults; where this account may not look into the default model store, with the shipped model."""
    settings = Settings()
    try:
        resolve(settings.model)
    except ShelfError as error:
        click.echo(f"{error}; the shipped model is used", err=True)
        return settings.model_copy(update={"model": settings.model.model_copy(update={"path": str(DEFAULT)})})
    return settings


def policy_settings(settings: Settings, direction: Direction) -> PolicySettings:
    """Return the policy of the first listener of that direction."""
    found = (settings.policy_of(listener) for listener in settings.listener if listener.direction is direction)
    return next(found, None) or settings.policy.get("default") or PolicySettings()


def mail_of(data: bytes, direction: Direction) -> Mail:
    """Wrap the bytes of a file. The envelope sender is the stored Return-Path, if there is one."""
    head = data[: 256 * 1024].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    match = _RETURN_PATH.search(head)
    sender = match[1].decode("utf-8", "replace") if match and match[1] else "unknown@invalid"
    return Mail(Envelope(sender, (Recipient("recipient@invalid"),)), RawMessage.of(data), direction)


class Bench:
    """Screens files with `jobs` screeners side by side. Use as a context manager."""

    def __init__(self, settings: Settings, direction: Direction, jobs: int = 1) -> None:
        """Load and prove the model. Raises ClickException if it is refused."""
        from milter.worker import Refused, tools

        self._settings = settings
        self.direction = direction
        self._tools = tools
        self._lists = DomainLists.load()
        self._own = local()
        self._made: list[Any] = []
        self._jobs = jobs
        try:
            first = tools(settings)
        except Refused as error:
            raise click.ClickException(str(error)) from None
        self._spare = [first]
        self._made.append(first)
        self.bundle = first.bundle
        own = own_thresholds(first.bundle.thresholds, direction)
        self.policy = policy_of(policy_settings(settings, direction), own)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for made in self._made:
            made.extractor.close()

    def screen(self, name: str, data: bytes) -> Screened:
        """Screen one message on this thread."""
        mail = mail_of(data, self.direction)
        screening = self._screener().screen(mail, timeout=TIMEOUT)
        return Screened(name, screening, decide(screening, mail, "recipient@invalid", self.policy, datetime.now(UTC)))

    def document(self, screening: Screening) -> Document:
        """Return the text that the encoder read, for people."""
        assert screening.extracted is not None and screening.facts is not None  # noqa: S101 - for the type checker
        return normalise(screening.extracted, screening.facts, self._lists)

    def screen_all(self, files: Iterable[tuple[str, bytes]]) -> Generator[Screened, None, None]:
        """Screen many, in their order, holding only a few in memory. Close it if you leave early."""
        if self._jobs == 1:
            yield from (self.screen(name, data) for name, data in files)
            return
        source = iter(files)
        pool = ThreadPoolExecutor(self._jobs)
        try:
            waiting = [pool.submit(self.screen, *item) for item in islice(source, self._jobs * _AHEAD)]
            while waiting:
                yield waiting.pop(0).result()
                waiting.extend(pool.submit(self.screen, *item) for item in islice(source, 1))
        finally:
            pool.shutdown(cancel_futures=True)

    def _screener(self) -> Screener:
        if not hasattr(self._own, "screener"):
            made = self._spare.pop() if self._spare else self._tools(self._settings)
            if made not in self._made:
                self._made.append(made)
            self._own.screener = made.screener
        screener: Screener = self._own.screener
        return screener
