"""`python -m gatepost` is the command itself."""

from gatepost.cli import main

main(prog_name="gatepost")
