"""`gatepost quarantine`: look at, label and release what was kept."""

from pathlib import Path

import click

from gatepost.commands.options import gateway_config
from gatepost.commands.quarantine_act import delete, forget_correspondent, label, reject, release
from gatepost.commands.quarantine_look import list_items, show, show_stats
from gatepost.commands.quarantine_review import review


class _InOrder(click.Group):
    """Lists the commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names as added."""
        return list(self.commands)


@click.group(cls=_InOrder)
@gateway_config
def command(config: Path | None) -> None:  # the commands look for it in their parent
    """Look at, label and release what was kept.

    Every action is recorded with who did it (the login account), when and why. An ITEM is an id, or enough of
    its beginning (4 letters at least) to be the only one.

    Exit code 1 if anything could not be done, 2 if the command line or the configuration cannot be used.
    """


for _sub in (list_items, show, review, release, reject, delete, label, show_stats, forget_correspondent):
    command.add_command(_sub)
