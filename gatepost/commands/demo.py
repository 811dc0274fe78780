"""`gatepost demo`: the life of a message on bundled mail."""

import errno
import hashlib
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click

from gatepost.commands.demo_learning import tell_learning, tell_missing
from gatepost.demo import HOLD_AT, QUARANTINE_AT, Demo, Outcome, outcome_table, without_ours
from gatepost.demo_gateway import DemoError
from gatepost.extras import LEARN
from gatepost.terminal import columns, headed, wrapped

SITE = "hollerbach"
"""The folder, below the demo's, of the site that learns."""


@click.command(name="demo")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False),
              help="Work in this new folder and leave everything there to look at.")
@click.option("--short", is_flag=True, help="Leave out the last step, learning from verdicts: a minute or so.")
def command(keep: Path | None, short: bool) -> None:
    """Run the life of a message on bundled mail, on loopback, with the embedded store.

    Starts a gateway and a Maildir as its next hop, sends mail both ways over SMTP, shows what was delivered,
    quarantined and held and why, releases one message and compares its bytes with the original's. Then a small
    firm's verdicts make a model of its own: trained, tried by the gate, loaded by the running gateway, and compared
    on mail that taught it nothing. Nothing leaves this machine and nothing stays on it, unless --keep says where.

    Exit code 1 if anything did not go as it should; that the gate refuses a model is not such a thing.
    """
    if keep is not None and keep.exists():
        raise click.ClickException(f"{keep}: already there; name a folder that does not exist yet")
    root = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="gatepost-demo-"))
    root.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # the gateway goes as well
    try:
        _tell(Demo(root))
        if not short:
            _last_step(root)
    except DemoError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        if error.errno == errno.EPIPE or error.filename:
            raise
        raise click.ClickException(f"{root}: {error.strerror or error}") from None
    finally:
        if keep is None:
            shutil.rmtree(root, ignore_errors=True)
    _next(keep)


def _tell(demo: Demo) -> None:
    _say("1", "Starting a gateway on loopback, a Maildir behind it in Postfix's place ...")
    with demo.running():
        ports = demo.ports
        _say("", f"inbound on 127.0.0.1:{ports['inbound']}, outbound on 127.0.0.1:{ports['outbound']}; stage keep")
        _say("2", "Sending the bundled mail through it over SMTP ...")
        outcomes = demo.send_all()
        click.echo("")
        for line in headed(outcome_table(outcomes)):
            click.echo(line)
        click.echo("")
        counts = Counter(outcome.route for outcome in outcomes)
        _say("", f"{len(outcomes)} messages: " + ", ".join(f"{n} {route}" for route, n in sorted(counts.items())))
        _say("", "MEANT AS is what the message's author says it is; the gateway is not told. Where the route does "
             "not fit it, the model erred, and a reviewer's verdict is what teaches the next one.")
        _say("", "All senders are invented, so no list of known domains helps the model as it would with your mail. "
             f"The demo therefore holds from p_bad {HOLD_AT} on and quarantines from {QUARANTINE_AT} on, below the "
             "model's own thresholds.")
        _say("3", "What an operator sees: gatepost quarantine list")
        click.echo("")
        click.echo(demo.command("quarantine", "list", "--limit", "5"))
        _release(demo, outcomes)


def _last_step(root: Path) -> None:
    if lacking := LEARN.missing():
        tell_missing(lacking, _say)
    else:
        tell_learning(root / SITE, _say)


def _release(demo: Demo, outcomes: list[Outcome]) -> None:
    kept = [outcome for outcome in outcomes if outcome.item]
    if not kept:
        raise DemoError(f"nothing was kept; the gateway's log is {demo.log}")
    chosen = next((outcome for outcome in kept if outcome.route == "quarantine"), kept[0])
    _say("4", f"Releasing one: gatepost quarantine release {chosen.item}")
    _say("", demo.command("quarantine", "release", chosen.item).strip())
    released = demo.release.messages()[-1]
    same = without_ours(released) == chosen.mail.raw
    _say("", f"SHA-256 of the {len(chosen.mail.raw)} bytes sent, and of those released, below our one header:")
    for data in (chosen.mail.raw, without_ours(released)):
        _say("", hashlib.sha256(data).hexdigest())
    if not same:
        raise DemoError("the released bytes differ from those sent: please report this")
    _say("", "The same, byte for byte.")


def _say(step: str, text: str) -> None:
    for number, line in enumerate(wrapped(text, columns(100) - 3)):
        click.echo(f"{step + '.' if step and not number else '':<3}{line}")


def _next(keep: Path | None) -> None:
    click.echo("")
    _say("", "What to type next:")
    config = f" --config {keep}/config.toml" if keep else ""
    lines = [
        "gatepost score ~/Maildir       what the model says of your own mail",
        "gatepost explain FILE          why",
    ]
    if keep:
        lines.append(f"gatepost quarantine review{config}")
        if (keep / SITE / "models").exists():
            lines.append(f"gatepost model show --config {keep}/{SITE}/config.toml")
    else:
        lines.append("gatepost demo --keep ./demo    the same, leaving a quarantine to review")
    lines.append("'Install beside Postfix' in README.md puts it beside your mail server")
    for line in lines:
        click.echo("   " + line)
