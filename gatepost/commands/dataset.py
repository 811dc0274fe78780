"""`gatepost dataset`: collect, label and freeze the mail that models learn from."""

from pathlib import Path

import click

from gatepost.commands.dataset_add import add, import_
from gatepost.commands.dataset_common import store_options
from gatepost.commands.dataset_forget import forget
from gatepost.commands.dataset_label import label
from gatepost.commands.dataset_look import duplicates, show, status
from gatepost.commands.dataset_out import export, snapshot
from gatepost.commands.dataset_review import review
from gatepost.commands.dataset_triage import agreement, suspects


class _InOrder(click.Group):
    """Lists the commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names as added."""
        return list(self.commands)


@click.group(cls=_InOrder)
@store_options
def command(config: Path | None, folder: Path | None) -> None:  # the commands look for them in their parent
    """Collect, label and freeze the mail that models learn from.

    Each message is stored once, encrypted. Its ID is the SHA-256 of its bytes, of which the first 6 digits are
    enough. A model is trained on a snapshot, which holds only what was labelled, never drafts.

    Exit code 1 if anything could not be done, 2 if the command line or the configuration cannot be used.
    """


for _sub in (add, import_, status, show, label, review, suspects, agreement, duplicates, snapshot, export, forget):
    command.add_command(_sub)
