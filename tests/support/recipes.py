"""The Postfix recipes of the README, read from it, so that what is tested is what a postmaster copies."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def recipe(name: str) -> str:
    """Return the text of the fenced block that follows `<!-- recipe: NAME -->`."""
    match = re.search(rf"<!-- recipe: {re.escape(name)} -->\n```\w*\n(.*?)```", README.read_text(encoding="utf-8"),
                      re.DOTALL)
    if not match:
        raise LookupError(f"README.md has no recipe named {name!r}")
    return match[1]


def rewritten(text: str, replacements: dict[str, str]) -> str:
    """Replace each key by its value; a key that does not occur is an error, or a test would test something else."""
    for old, new in replacements.items():
        if old not in text:
            raise LookupError(f"{old!r} does not occur in the recipe")
        text = text.replace(old, new)
    return text
