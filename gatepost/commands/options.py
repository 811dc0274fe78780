"""Options that several commands share: one name, one meaning, one explanation."""

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)
_PLACES = "$GATEPOST_CONFIG, else /etc/gatepost/config.toml"

gateway_config = click.option(
    "--config", metavar="FILE", type=_FILE, help=f"Configuration file.  [default: {_PLACES}]"
)  # fmt: skip
scoring_config = click.option(
    "--config", metavar="FILE", type=_FILE,
    help=f"Configuration file.  [default: {_PLACES}, else the defaults and the shipped model]",
)  # fmt: skip
way = click.option(
    "--direction", type=click.Choice(["inbound", "outbound"]), default="inbound", show_default=True,
    help="Which way the mail travels; outbound also looks for leaks.",
)  # fmt: skip
json_lines = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
json_object = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
