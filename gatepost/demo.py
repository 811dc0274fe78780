"""The life of a message on loopback: a gateway with the embedded store, mail both ways, one release."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatepost.demo_gateway import DemoGateway, Sent, header, item_of
from gatepost.demo_mail import DOMAIN, DemoMail, inbound, outbound
from gatepost.terminal import Column, columns, table
from model.mail import Direction
from model.safe_text import safe
from training.letter import GATE

QUARANTINE_AT, HOLD_AT = 0.75, 0.65
_OURS = (b"x-gatepost-",)
_HEADS = (Column("WAY", 4), Column("MEANT AS", 8), Column("ROUTE", 10), Column("SUBJECT", 12, 3),
          Column("WHY", 12, 2))

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

[[listener]]
name = "outbound"
listen = "127.0.0.1:{outbound}"
mode = "before-queue"
direction = "outbound"
next_hop = "127.0.0.1:{back}"
stage = "keep"

# The senders of this mail are invented, so no list knows them and the model is less sure than it would be of
# yours. The demo keeps from lower on than the model's own thresholds.
[policy.default]
quarantine_at = {quarantine_at}
hold_at = {hold_at}

[site]
own_domains = ["{domain}"]
trusted_authserv_ids = ["{gate}"]

[quarantine]
url = "sqlite:///{root}/quarantine.db"
key_file = "{root}/quarantine.key"
release_to = "127.0.0.1:{release}"

[metrics]
listen = "127.0.0.1:{metrics}"
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message. `item` is its id in the quarantine, if it was kept."""

    mail: DemoMail
    route: str
    why: str
    item: str = ""


class Demo(DemoGateway):
    """One run in a folder of its own."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, CONFIG, gate=GATE, domain=DOMAIN, quarantine_at=QUARANTINE_AT, hold_at=HOLD_AT)

    def send_all(self) -> list[Outcome]:
        """Send the bundled mail over SMTP and return what became of it."""
        sent = [self.send(mail) for mail in (*inbound(), *outbound())]
        kept = {str(item["message"]): item for item in self._kept()}
        return [_outcome(one, kept) for one in sent]

    def _kept(self) -> list[dict[str, Any]]:
        lines = self.command("quarantine", "list", "--all", "--limit", "0", "--json")
        return [json.loads(line) for line in lines.splitlines()]


def _outcome(one: Sent, kept: Mapping[str, Mapping[str, Any]]) -> Outcome:
    if one.delivered is not None:
        score = header(one.delivered, "X-Gatepost-Score")
        return Outcome(one.mail, "deliver", f"p_bad {score}" if score else "nothing found")
    item = item_of(one, kept)
    why = item["reasons"][0]
    return Outcome(one.mail, str(item["route"]), why["detail"] or why["code"], str(item["id"]))


def outcome_table(outcomes: list[Outcome]) -> list[str]:
    """Return the outcomes as lines for the terminal."""
    rows = [["in" if o.mail.direction is Direction.INBOUND else "out", o.mail.what, o.route, safe(o.mail.subject),
             safe(o.why)] for o in outcomes]
    return table(_HEADS, rows, columns(100))


def without_ours(raw: bytes) -> bytes:
    """Return a message without the header fields that Gatepost put in front."""
    while raw.lower().startswith(_OURS):
        end = raw.index(b"\r\n") + 2
        while raw[end : end + 1] in (b" ", b"\t"):
            end = raw.index(b"\r\n", end) + 2
        raw = raw[end:]
    return raw
