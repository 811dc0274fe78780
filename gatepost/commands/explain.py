"""`gatepost explain`: why a message scores as it does."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from gatepost.commands.options import json_object, scoring_config, way
from gatepost.paths import read_paths
from gatepost.screening import Bench, Screened, settings_for
from gatepost.terminal import columns, wrapped
from model.leaks import mask
from model.mail import Direction
from model.reasons import FACT, FACTS, TEXTS
from model.safe_text import safe
from model.verdict import Score


@click.command(name="explain")
@click.argument("path")
@way
@json_object
@scoring_config
def command(path: str, *, direction: str, as_json: bool, config: Path | None) -> None:
    """Say why a message scores as it does.

    Shows the route with its threshold, what each fact and the text added (in logits of bad mail; they add up to the
    score), which facts are unknown, what was found, and the text that the encoder read. PATH is a file with one
    message, or - for standard input.

    Exit code 1 if PATH could not be read or is not one message.
    """
    with Bench(settings_for(config), Direction(direction)) as bench:
        sources = read_paths([path])
        source = next(sources, None)
        if source is None or source.data is None:
            raise click.ClickException(f"{safe(path)}: {safe(source.error) if source else 'no message in it'}")
        if next(sources, None) is not None:
            raise click.ClickException(f"{safe(path)}: more than one message; `gatepost score` names them")
        one = bench.screen(source.name, source.data)
        detail = _detail(one, bench)
    if as_json:
        click.echo(json.dumps(detail))
    else:
        click.echo("\n".join(_page(detail)))


def _detail(one: Screened, bench: Bench) -> dict[str, Any]:
    screening, verdict = one.screening, one.verdict
    score, facts = screening.score, screening.facts
    known = {f.name: getattr(facts, f.name) for f in fields(facts)} if facts else {}
    return {
        "path": one.name,
        "route": verdict.route,
        "reasons": [{"code": r.code, "detail": r.detail} for r in verdict.reasons],
        "thresholds": {"quarantine_at": bench.policy.quarantine_at, "hold_at": bench.policy.hold_at,
                       "reject_at": bench.policy.reject_at},
        "p_bad": score.p_bad if score else None,
        "scores": {str(k): v for k, v in score.probabilities.items()} if score else None,
        "model": score.model if score else None,
        "logits": _logits(score) if score else None,
        "facts": known,
        "findings": [{"detector": f.detector, "masked": f.masked, "confidence": f.confidence, "location": f.location}
                     for f in screening.findings],
        "defects": [{"code": d.code, "detail": d.detail} for d in screening.extracted.defects]
        if screening.extracted else [],
        "fault": screening.fault,
        "windows": score.windows if score else 0,
        "text": _read_text(one, bench),
    }


def _logits(score: Score) -> dict[str, float]:
    site = {"site verdicts": score.site_logit} if score.site_logit else {}
    return {"bias": score.bias, "text": score.text_logit, **site, **score.fact_logits}


def _read_text(one: Screened, bench: Bench) -> str:
    if one.screening.extracted is None or one.screening.facts is None:
        return ""
    text = bench.document(one.screening).text
    return mask(text) if bench.direction is Direction.OUTBOUND else text


def _page(detail: dict[str, Any]) -> list[str]:
    room = columns()
    lines = [f"{safe(detail['path'])}", ""]
    lines.append(f"route     {detail['route']}")
    for reason in detail["reasons"]:
        meaning = _meaning(reason["code"], safe(reason["detail"]))
        lines += [("  because " if first else " " * 10) + text
                  for first, text in _marked(wrapped(meaning, room - 10))]
    if detail["fault"]:
        lines.append(f"fault     {detail['fault']}")
    if detail["logits"] is not None:
        lines += _score_lines(detail)
    lines += ["", "facts"]
    for value, word in ((True, "true"), (False, "false"), (None, "unknown")):
        names = [name for name, found in detail["facts"].items() if found is value]
        if names:
            lines += [("  " + word.ljust(8) if first else " " * 10) + text
                      for first, text in _marked(wrapped(", ".join(names), room - 10))]
    lines += [f"found     {f['detector']}: {safe(f['masked'])} (confidence {f['confidence']:.2f})"
              for f in detail["findings"]]
    lines += [f"defect    {d['code']}: {safe(d['detail'])}" for d in detail["defects"]]
    lines += ["", f"text as the encoder reads it (at most {detail['windows']} window(s))", ""]
    return lines + wrapped(safe(detail["text"], lines=True), room, most=40)


def _meaning(code: str, detail: str) -> str:
    """Say what a reason, or the fact that it names, means."""
    text = FACTS.get(detail.partition(" ")[0], "") if code == FACT else TEXTS.get(code, "")
    told = f"{text} ({detail})" if text and detail else text or detail
    return f"{code}: {told}" if told else code


def _score_lines(detail: dict[str, Any]) -> list[str]:
    thresholds = ", ".join(f"{name} {at:.4f}" for name, at in detail["thresholds"].items() if at is not None)
    scores = ", ".join(f"{label} {p:.3f}" for label, p in detail["scores"].items())
    lines = [f"p_bad     {detail['p_bad']:.4f}   ({thresholds or 'no thresholds'})", f"classes   {scores}",
             f"model     {detail['model']}", "", "logits of bad mail"]
    total = sum(detail["logits"].values())
    ordered = sorted(detail["logits"].items(), key=lambda item: -abs(item[1]))
    lines += [f"  {name:<24}{value:+7.2f}" for name, value in ordered]
    return [*lines, f"  {'sum':<24}{total:+7.2f}"]


def _marked(lines: list[str]) -> list[tuple[bool, str]]:
    return [(number == 0, line) for number, line in enumerate(lines)]
