"""The last step of `gatepost demo`: verdicts, a model from them, the gate, a live switch, and what changed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from gatepost.demo_changes import (
    Fate,
    Totals,
    change_table,
    check_lines,
    relaxed_table,
    summary,
    totals_table,
    weeks_table,
)
from gatepost.demo_gateway import DemoError
from gatepost.demo_site import RELAXED, SNAPSHOT, DemoSite, post
from gatepost.extras import LEARN
from gatepost.terminal import columns, headed, wrapped
from training.gate.settings import GateSettings
from training.written import WrittenError

Say = Callable[[str, str], None]
"""Prints a paragraph, behind the number of a step or nothing."""


def tell_missing(packages: Sequence[str], say: Say) -> None:
    """Say what the last step would show, and what it needs."""
    click.echo("")
    say("5", "Left out: making the model your own. A small firm's verdicts train a model, a gate tries it, and the "
        f"running gateway switches to it. That needs {' and '.join(packages)} (45 MB to fetch, 200 MB on disk; no "
        "torch), and then this demo again:")  # fmt: skip
    _typed(LEARN.remedy)


def tell_learning(root: Path, say: Say) -> None:
    """Run the last step in a new folder. Raises DemoError."""
    try:
        mail = post()
    except WrittenError as error:
        raise DemoError(str(error)) from None
    site = DemoSite(root)
    total = len(mail.taught) + len(mail.held_out)
    click.echo("")
    say("5", f"Making the model your own. Hollerbach, a workshop of seven, builds pipe organs. Eight weeks of its "
        f"mail, {total} messages that no model has seen, go to a gateway of its own: the shipped model, its own "
        f"thresholds. First come {len(mail.taught)} ...")  # fmt: skip
    with site.running():
        taught = site.pass_through(mail.taught)
        given, example = site.judge(mail.taught)
        counts = ", ".join(f"{n} {label}" for label, n in given.items())
        click.echo("")
        say("6", f"An operator says what they are, kept or delivered: {counts}. Only verdicts teach; what was "
            "released or deleted does not.")  # fmt: skip
        _typed(f"gatepost quarantine label ham {example} ...", "gatepost dataset import --from quarantine")
        say("", site.command("dataset", "import", "--from", "quarantine").strip())
        say("", f"Then {len(mail.held_out)} more come, about which nobody is asked. So far, the shipped model:")
        before = site.pass_through(mail.held_out)
        _show(weeks_table((("taught", Totals.of(taught)), ("held out", Totals.of(before))), columns(100)))
        if _learn(site, say):
            _what_changed(before, site.pass_through(mail.held_out), say)


def _learn(site: DemoSite, say: Say) -> bool:
    """Train and promote; return whether another model serves now."""
    say("7", "A model from the verdicts, beside the one that serves; three in ten messages are the gate's, and train "
        "nothing. The encoder stays, so this takes seconds. A recipe saves more of your time: it replays 400 written "
        "messages, not 2,000, watches 200, not 600, and lets verdicts change 10 % of these, not 5 %.")  # fmt: skip
    _typed(f"gatepost dataset snapshot {SNAPSHOT}",
           f"gatepost train --dataset {SNAPSHOT} --recipe recipe.toml --out runs/mine")  # fmt: skip
    site.command("dataset", "snapshot", SNAPSHOT)
    made = site.train(_progress)
    if not made:
        say("", "Training refused these verdicts, since they would change too much mail that has nothing to do with "
            "them. That is its work: nothing was written, and the model in place goes on serving.")  # fmt: skip
        return False
    say("", made.splitlines()[0].partition(": ")[2])
    click.echo("")
    say("8", "It has to prove itself: the gate compares it with the model that serves, on mail that neither has "
        "seen, attacks both, times both, and asks what the verdicts prove about honest mail. A demo's few messages "
        "need a weaker [gate] than the default, which you should keep:")  # fmt: skip
    _show(relaxed_table(RELAXED, GateSettings(), columns(100)))
    _typed("gatepost model promote runs/mine")
    told = site.promote(_progress)
    click.echo("")
    for line in check_lines(told["checks"], columns(100)):
        click.echo(line)
    click.echo("")
    return _switched(site, told, say)


def _switched(site: DemoSite, told: dict[str, Any], say: Say) -> bool:
    """Say what came of the gate's decision; return whether the running gateway serves the new model."""
    if told["action"] == "refuse":
        failed = ", ".join(str(check["name"]) for check in told["checks"] if not check["passed"])
        say("", f"Refused: {failed}. That is the gate's work: {told['serving']} goes on serving, no mail was "
            "touched, and the refusal is on record. With more verdicts the next one may pass.")  # fmt: skip
        return False
    gateway = told["gateway"] or {}
    if not told["switched"] or gateway.get("state") != "followed":
        raise DemoError(f"the running gateway did not follow: {gateway.get('detail', '')}; its log is {site.log}")
    say("", "Passed, and on record. The running gateway loaded it after a self-test, with no connection closed; "
        f"asked, it serves with {site.serving()}.")  # fmt: skip
    click.echo("")
    return True


def _what_changed(before: Sequence[Fate], after: Sequence[Fate], say: Say) -> None:
    say("9", f"The same {len(after)} messages again, byte for byte; no verdict was about any of them. p_bad and "
        "route before and after, where either model erred:")  # fmt: skip
    lines, alike = change_table(before, after, columns(100))
    _show(lines)
    say("", f"{alike} more went the right way both times.")
    old, new = Totals.of(before), Totals.of(after)
    _show(totals_table(old, new, columns(100)))
    say("", summary(old, new))
    say("", "Every decision is signed into the model store's lineage, and the model before is one command away:")
    _typed("gatepost model show", "gatepost model rollback")


def _show(lines: Sequence[str]) -> None:
    click.echo("")
    for line in headed(lines):
        click.echo(line)
    click.echo("")


def _typed(*commands: str) -> None:
    for command in commands:
        click.echo(f"     $ {command}")


def _progress(line: str) -> None:
    for part in wrapped(line.strip(), columns(100) - 7):
        click.echo(f"       {part}")
