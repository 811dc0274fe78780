"""A site of its own for the demo: eight weeks of an invented workshop's mail, verdicts on it, and a model from them.

What is taught and what is held out is parted by date: an operator's verdicts are about what has come, and what counts
is what comes next. Everything is done by the commands that an operator would type.
"""

import json
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from gatepost.config import load
from gatepost.demo_changes import Fate
from gatepost.demo_gateway import DemoError, DemoGateway, Ran, Sent, header, item_of
from gatepost.demo_mail import DOMAIN, SEED, DemoMail
from gatepost.gateways import ask
from model.labels import Label
from model.mail import Direction
from training.letter import GATE
from training.written import Written, WrittenError, compose, parse

LETTERS = Path(__file__).parent / "demo_post" / "hollerbach.toml"
SNAPSHOT = "first-weeks"
COPIES_SECONDS = 20.0
"""How long the last copies of delivered mail may take to be written: that happens beside the mail's way."""
RELAXED: tuple[tuple[str, float, str], ...] = (
    ("false_positive_budget", 0.35, "a dozen senders prove no more"),
    ("caught_margin", 0.1, "as wide as 200 messages leave it"),
    ("false_positive_margin", 0.1, "the same"),
    ("attack_margin", 0.2, "of 40 messages one is 2.5 points"),
    ("written_messages", 200, "your time"),
    ("attack_messages", 40, "your time"),
    ("slower", 3.0, "this machine may do other things"),
    ("slowest_ms", 5000.0, "the same"),
)
"""Keys of [gate] that a demo's few messages need otherwise than the defaults, and why."""

CONFIG = """\
[gateway]
hostname = "{gate}"
workers = 1
state_dir = "{root}/state"
spool_dir = "{root}/spool"

[[listener]]
name = "inbound"
listen = "127.0.0.1:{inbound}"
mode = "before-queue"
direction = "inbound"
next_hop = "127.0.0.1:{back}"
stage = "keep"

[site]
own_domains = ["{domain}"]
trusted_authserv_ids = ["{gate}"]

# A copy of everything delivered, so that there can be a verdict on every message. At home a small share will do. The
# same mail comes twice, and nobody may be known better the second time: what changes is the model's doing.
[quarantine]
url = "sqlite:///{root}/quarantine.db"
key_file = "{root}/quarantine.key"
release_to = "127.0.0.1:{release}"
sample = 1.0
correspondents_days = 0

[dataset]
path = "{root}/dataset"

[model]
store = "{root}/models"

# Sized for a demo's few messages. The defaults, which are for real mail, are stricter in each of these.
[gate]
{relaxed}

[metrics]
listen = "127.0.0.1:{metrics}"
"""
RECIPE = """\
# What training keeps stays in this folder. For the sake of your time fewer written messages are replayed (default
# 2,000), and fewer watched for what the verdicts do to them (600), of which chance may move more than .05.
cache = "{root}/cache"

[site]
replay_most = 400
guard_most = 200

[triage]
guard_ham = 0.1
guard_bad = 0.1
"""


@dataclass(frozen=True, slots=True)
class Post:
    """The site's mail in the order of its dates: what verdicts teach, and what is held out of everything."""

    taught: tuple[DemoMail, ...]
    held_out: tuple[DemoMail, ...]


def post(path: Path = LETTERS) -> Post:
    """Read the mail; its last third by date is held out. Raises WrittenError."""
    try:
        written, faults = parse(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrittenError(f"{path}: {error}") from None
    if faults:
        raise WrittenError("\n".join(faults))
    mails = [_mail(one) for one in sorted(written, key=lambda one: (one.date, one.key))]
    cut = len(mails) - len(mails) // 3
    return Post(tuple(mails[:cut]), tuple(mails[cut:]))


def _mail(written: Written) -> DemoMail:
    recipient = parseaddr(written.recipient)[1]
    return DemoMail(
        Direction.INBOUND,
        parseaddr(written.return_path or written.sender)[1],
        recipient if recipient.endswith(f"@{DOMAIN}") else f"workshop@{DOMAIN}",  # a list writes to itself
        written.subject,
        written.label,
        compose(written, SEED),
    )


class DemoSite(DemoGateway):
    """The workshop's gateway, with a quarantine, a data store and a model store of its own."""

    def __init__(self, root: Path) -> None:
        relaxed = "\n".join(f"{key} = {value}" for key, value, _ in RELAXED)
        super().__init__(root, CONFIG, gate=GATE, domain=DOMAIN, relaxed=relaxed)
        self.recipe = root / "recipe.toml"
        self.recipe.write_text(RECIPE.format(root=root), encoding="utf-8")
        self.out = root / "runs" / "mine"

    def pass_through(self, mails: Sequence[DemoMail]) -> list[Fate]:
        """Send messages, and return what became of each."""
        sent = [self.send(mail) for mail in mails]
        kept = {str(item["message"]): item for item in self.items()}
        return [_fate(one, kept) for one in sent]

    def items(self, *words: str) -> list[dict[str, Any]]:
        """Return what the quarantine lists, copies of delivered mail as well."""
        lines = self.command("quarantine", "list", "--all", "--limit", "0", *words, "--json")
        return [json.loads(line) for line in lines.splitlines()]

    def copies(self, mails: Sequence[DemoMail]) -> list[dict[str, Any]]:
        """Wait until the quarantine has each of these messages, kept or copied, and return its items."""
        end = time.monotonic() + COPIES_SECONDS
        while len(items := self.items()) < len(mails) and time.monotonic() < end:
            time.sleep(0.2)
        return items

    def judge(self, mails: Sequence[DemoMail]) -> tuple[Counter[str], str]:
        """Give every message the verdict that its author means; return how many of each, and an item as an example.

        The items must be those of these messages. What was not copied (the sampler has little patience) has none.
        """
        meant = {_face(mail.sender, mail.subject): mail.what for mail in mails}
        by_label: dict[str, list[str]] = {label: [] for label in Label}
        for item in self.copies(mails):
            by_label[meant[_face(str(item["sender"]), str(item["subject"]))]].append(str(item["id"]))
        for label, ids in by_label.items():
            if ids:
                self.command("quarantine", "label", label, *ids)
        given = Counter({str(label): len(ids) for label, ids in by_label.items() if ids})
        if not given:
            raise DemoError(f"no message could be labelled; the gateway's log is {self.log}")
        return given, next(ids[0] for ids in by_label.values() if ids)

    def train(self, tell: Callable[[str], None]) -> str:
        """Train from the snapshot; return what was printed, and nothing where training refuses the verdicts.

        Raises DemoError where it failed.
        """
        self.out.parent.mkdir(exist_ok=True)
        report = self.root / "training.json"
        done = self.run("train", "--dataset", SNAPSHOT, "--recipe", str(self.recipe), "--out", str(self.out),
                        "--report", str(report), tell=tell)  # fmt: skip
        if done.code and report.exists() and json.loads(report.read_text(encoding="utf-8"))["guard"]["refused"]:
            return ""
        if done.code:
            raise DemoError(done.err.strip().splitlines()[-1] if done.err.strip() else done.out.strip())
        return done.out.strip()

    def promote(self, tell: Callable[[str], None]) -> dict[str, Any]:
        """Run the gate; return its answer, yes or no. Raises DemoError if there is none."""
        return answer(self.run("model", "promote", str(self.out), "--json", tell=tell))

    def serving(self) -> str:
        """Return the version that the running gateway says it serves with; empty where it does not answer."""
        return str((ask(load(self.config)) or {}).get("model", ""))


def answer(ran: Ran) -> dict[str, Any]:
    """Read what `model promote --json` said; a refusal is an answer. Raises DemoError where it said nothing."""
    try:
        found = json.loads(ran.out)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "action" not in found:
        raise DemoError(f"gatepost model promote: {ran.err.strip() or ran.out.strip()}")
    return found


def _face(sender: str, subject: str) -> tuple[str, str]:
    return sender.lower(), subject


def _fate(one: Sent, kept: dict[str, dict[str, Any]]) -> Fate:
    bad = one.mail.what != Label.HAM
    if one.delivered is not None:
        score = header(one.delivered, "X-Gatepost-Score")
        return Fate(one.mail.subject, one.mail.what, bad, "deliver", float(score) if score else None,
                    header(one.delivered, "X-Gatepost-Model") or "")  # fmt: skip
    item = item_of(one, kept)
    return Fate(one.mail.subject, one.mail.what, bad, str(item["route"]), item["p_bad"], str(item["model"]))
