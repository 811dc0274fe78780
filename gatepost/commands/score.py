"""`gatepost score`: what the gateway would say of messages in files."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from gatepost.commands.options import json_lines, scoring_config, way
from gatepost.paths import Source, read_paths
from gatepost.screening import Bench, Screened, settings_for
from gatepost.terminal import Column, columns, table
from model.mail import Direction
from model.safe_text import safe

_HEADS = (Column("P_BAD", 6, right=True), Column("LABEL", 8), Column("ROUTE", 10), Column("WHY", 16, 1),
          Column("PATH", 20, 2, path=True))


@click.command(name="score")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@way
@json_lines
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Messages at once.")
@scoring_config
def command(paths: tuple[str, ...], *, direction: str, as_json: bool, jobs: int, config: Path | None) -> None:
    """Score messages and say where they would go.

    PATH is a file, a folder, a maildir, an mbox, or - for standard input. Nothing is sent or changed. Route is what
    policy wants of a recipient without exemption, at the thresholds of the configuration or of the model.

    Exit code 1 if a PATH could not be read or scored; the rest still are.
    """
    failed = _Failures()
    with (
        Bench(settings_for(config), Direction(direction), jobs) as bench,
        closing(bench.screen_all(failed.readable(read_paths(paths), as_json))) as rows,
    ):
        if as_json:
            for one in rows:
                failed.seen(one)
                click.echo(json.dumps(as_row(one, direction)))
        else:
            _print(rows, failed)
    sys.exit(1 if failed.any else 0)


class _Failures:
    """Remembers whether anything went wrong, and says so at once."""

    def __init__(self) -> None:
        self.any = False

    def readable(self, sources: Iterator[Source], as_json: bool) -> Iterator[tuple[str, bytes]]:
        for source in sources:
            if source.data is not None:
                yield source.name, source.data
                continue
            self.any = True
            if as_json:
                click.echo(json.dumps({"path": source.name, "error": source.error}))
            else:
                click.echo(f"{safe(source.name)}: {safe(source.error)}", err=True)

    def seen(self, one: Screened) -> None:
        self.any = self.any or bool(one.screening.fault)


def _print(rows: Iterator[Screened], failed: _Failures) -> None:
    """Print in blocks, so that a large folder shows progress and columns stay aligned."""
    block: list[list[str]] = []
    first = True

    def flush() -> None:
        nonlocal first
        lines = table(_HEADS, block, columns())
        click.echo("\n".join(lines if first else lines[1:]))
        first = False
        block.clear()

    for one in rows:
        failed.seen(one)
        verdict = one.verdict
        block.append([
            "-" if verdict.p_bad is None else f"{verdict.p_bad:.3f}",
            verdict.label or "-",
            verdict.route,
            safe(one.screening.fault or ", ".join(dict.fromkeys(reason.code for reason in verdict.reasons))),
            safe(one.name),
        ])
        if len(block) == 50:
            flush()
    if block:
        flush()


def as_row(one: Screened, direction: str) -> dict[str, Any]:
    """Return the JSON object of one message; `error` is there only where a step failed."""
    screening, verdict = one.screening, one.verdict
    score = screening.score
    row: dict[str, Any] = {
        "path": one.name,
        "direction": direction,
        "label": score.label if score else None,
        "scores": {str(label): round(p, 6) for label, p in score.probabilities.items()} if score else None,
        "p_bad": round(score.p_bad, 6) if score else None,
        "route": verdict.route,
        "reasons": [{"code": reason.code, "detail": reason.detail} for reason in verdict.reasons],
        "findings": [{"detector": f.detector, "masked": f.masked, "confidence": f.confidence}
                     for f in screening.findings],
        "model": score.model if score else None,
        "ms": round(sum(screening.ms.values()), 3),
    }
    if screening.fault:
        row["error"] = f"{screening.fault}: {screening.detail}" if screening.detail else screening.fault
    return row
