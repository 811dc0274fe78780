"""The data card of the written set: what is in it, counted from the files. `python -m training.written_card`."""

from collections import Counter
from collections.abc import Callable, Sequence
from email.utils import parseaddr

import click

from model.labels import LABELS
from training.holdout import reasons
from training.settings import HeldOut
from training.written import FOLDER, Written, WrittenError, load

CARD = FOLDER / "README.md"
BEGIN, END = "<!-- counted -->", "<!-- /counted -->"
"""What stands between these lines of the card is counted; the rest is written by people."""
PARAPHRASE = "paraphrase"
"""How the `variant` of a message begins that says again what another one says; such messages are counted apart."""
LONG, SHORT = 300, 40
"""Words from which a message is called long, and up to which it is called short."""


def counted(messages: Sequence[Written], held_out: HeldOut) -> str:
    """Return the counted part of the card, in Markdown."""
    told = [m for m in messages if not m.variant.startswith(PARAPHRASE)]
    again = len(messages) - len(told)
    held = reasons(messages, held_out)
    senders = {parseaddr(m.sender)[1].lower() for m in told}
    total = (
        f"{len(told):,} messages and {again} paraphrases, in {len({m.group for m in messages}):,} pairs, from "
        f"{len(senders):,} sender addresses in {len({m.sector for m in told if m.sector})} sectors and "
        f"{len({m.lang for m in told})} languages; paraphrases are in no count below."
    )
    lines = [
        total,
        "",
        _table("label", told, held, lambda m: str(m.label), [str(label) for label in LABELS]),
        "",
        _table("language", told, held, lambda m: m.lang),
        "",
        _table("author", told, held, lambda m: m.author),
        "",
        _table("form", told, held, _form),
        "",
        _table("length", told, held, _length),
    ]
    return "\n".join(lines)


def with_counts(card: str, block: str) -> str:
    """Put the counted part into a card. Raises ValueError where the card has no place for it."""
    before, found, rest = card.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"no place between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def _table(
    title: str,
    messages: Sequence[Written],
    held: dict[str, str],
    of: Callable[[Written], str],
    order: Sequence[str] = (),
) -> str:
    """Count by one property, by label, and how many of them are only ever measured; the most frequent first."""
    totals = Counter(of(m) for m in messages)
    by_label = Counter((of(m), str(m.label)) for m in messages)
    apart = Counter(of(m) for m in messages if m.group in held)
    names = [str(label) for label in LABELS]
    lines = [
        f"| {title} | messages | " + " | ".join(names) + " | held out |",
        "| --- " * (len(names) + 3) + "|",
    ]
    for key in order or [k for k, _ in sorted(totals.items(), key=lambda one: (-one[1], one[0]))]:
        cells = [str(totals[key]), *(str(by_label[key, name]) for name in names), str(apart[key])]
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _form(message: Written) -> str:
    if message.html and message.text:
        return "text and HTML"
    return "HTML" if message.html else "text"


def _length(message: Written) -> str:
    words = len((message.text or message.html).split())
    return f"{LONG} words and more" if words >= LONG else f"up to {SHORT} words" if words <= SHORT else "between"


@click.command()
@click.option("--check", is_flag=True, help="Only say whether the card is up to date; exit code 1 if it is not.")
def main(check: bool) -> None:
    """Count the written set and put the counts into its data card."""
    try:
        before = CARD.read_text(encoding="utf-8")
        after = with_counts(before, counted(load(), HeldOut()))
    except (OSError, ValueError, WrittenError) as error:
        raise click.ClickException(f"{CARD}: {error}") from None
    if check and after != before:
        raise click.ClickException(f"{CARD}: the counts are old; run `python -m training.written_card`")
    if not check:
        CARD.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
