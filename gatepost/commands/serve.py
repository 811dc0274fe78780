"""`gatepost serve`: run the listeners until a signal ends it."""

from pathlib import Path

import click

from gatepost.commands.options import gateway_config


@click.command(name="serve")
@gateway_config
def command(config: Path | None) -> None:
    """Run the listeners until a signal ends it.

    SIGHUP reads the settings and the model again; whatever is wrong with them, the old ones go on serving.
    SIGTERM and Ctrl-C let messages in flight finish; a second one does not wait.

    Exit code 0 after a stop, 1 if it cannot start, 2 if the configuration cannot be used.
    """
    from gatepost.config import find, load

    path = find(config)
    settings = load(path)
    from milter.prepare import StartError
    from milter.supervisor import serve

    try:
        serve(settings, lambda: load(path))
    except StartError as error:
        raise click.ClickException(str(error)) from None
