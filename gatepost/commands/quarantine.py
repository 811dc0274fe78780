"""`gatepost quarantine`: look at, label and release what was kept."""

from pathlib import Path

import click

from gatepost.commands.quarantine_act import delete, label, reject, release
from gatepost.commands.quarantine_common import CONFIG_HELP
from gatepost.commands.quarantine_look import list_items, show, show_stats
from gatepost.commands.quarantine_review import review


class _InOrder(click.Group):
    """Lists the commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names as added."""
        return list(self.commands)


@click.group(cls=_InOrder)
@click.option("--config", type=click.Path(path_type=Path), help=CONFIG_HELP)
def command(config: Path | None) -> None:  # the commands look for it in their parent
    """Look at, label and release what was kept.

    Every action is recorded with who did it (the login account), when and why. An ITEM is an id, or enough of
    its beginning to be the only one.
    """


for _sub in (list_items, show, review, release, reject, delete, label, show_stats):
    command.add_command(_sub)
