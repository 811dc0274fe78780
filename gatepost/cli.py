"""The `gatepost` command: finds a command by name, imports only that one, and ends it in plain words."""

import codecs
import errno
import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

COMMANDS: dict[str, str] = {
    "serve": "run the listeners",
    "check": "test settings, model, next hops and database, one line each",
    "score": "score messages and say where they would go",
    "explain": "say why a message scores as it does",
    "extract": "show what the extractor saw",
    "quarantine": "look at, label and release what was kept",
    "model": "list, show, verify, promote and roll back models",
    "lists": "show and refresh the offline domain lists",
    "dataset": "collect, label and freeze the mail that models learn from",
    "train": "train a model from labelled mail",
    "evaluate": "measure a model on labelled mail",
    "replay": "say what another model would do with kept mail",
    "demo": "run the whole way of a message on bundled mail, on loopback",
}


class Interrupted(click.ClickException):
    """Ctrl-C. The exit code is the shell's for SIGINT."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("Interrupted.")

    def show(self, file: Any = None) -> None:
        """Write one line, below the ^C that a terminal shows."""
        click.echo(("\n" if sys.stderr.isatty() else "") + self.message, file=file, err=file is None)


class LazyGroup(click.Group):
    """A group whose commands live in `gatepost.commands.NAME` as `command`, so that help stays fast."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run as a program whose output can be written whatever the terminal's character set is."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                plain = codecs.lookup(stream.encoding).name == "ascii"  # C locales on terminals that speak UTF-8
                stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")
        return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line."""
        with _plain_endings():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _plain_endings():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the command names in the order of a mail's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import and return one command; None lets click report an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"gatepost.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@contextmanager
def _plain_endings() -> Iterator[None]:
    """Turn Ctrl-C and what the machine refuses into one line; a reader that went away stays click's (silence)."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None
    except click.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):  # at a question
            raise Interrupted from None
        raise
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        place = str(error.filename) if error.filename else "standard output" if _output_lost(error) else ""
        text = error.strerror or str(error)
        raise click.ClickException(f"{place}: {text}" if place else text) from None


def _output_lost(error: OSError) -> bool:
    """Say whether it was standard output that failed; if so, drop what is left, or Python tries it again at exit."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    lost = trace is not None and trace.tb_frame.f_globals.get("__name__") == "click.utils"
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        lost = True
    return lost


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gatepost", message="%(prog)s %(version)s")
def main() -> None:
    """Screen mail beside Postfix with a small model of your own."""
