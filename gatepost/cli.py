"""The `gatepost` command: finds a command by name and imports only that one."""

import importlib

import click

COMMANDS: dict[str, str] = {
    "serve": "run the listeners",
    "check": "test settings, model, next hops and database, one line each",
    "score": "score messages and say where they would go",
    "explain": "say why a message scores as it does",
    "extract": "show what the extractor saw",
    "quarantine": "look at, label and release what was kept",
    "model": "list, show and verify models",
    "lists": "show and refresh the offline domain lists",
    "train": "train a model from labelled mail",
    "evaluate": "measure a model on labelled mail",
    "demo": "run the whole way of a message on bundled mail, on loopback",
}


class LazyGroup(click.Group):
    """A group whose commands live in `gatepost.commands.NAME` as `command`, so that help stays fast."""

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


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gatepost", message="%(prog)s %(version)s")
def main() -> None:
    """Screen mail beside Postfix with a small model of your own."""
