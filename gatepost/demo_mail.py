"""The mail of the demo: written messages that ship with the project, and outbound ones made on the spot.

Keys and card numbers are made fresh, so that the repository holds nothing that looks like a secret.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parseaddr

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from model.mail import Direction
from training.letter import GATE
from training.written import compose, load

SEED = 20
PAIRS = 8
"""How many pairs of written mail, honest and bad, are sent."""
DOMAIN = GATE.partition(".")[2]
_ORDINARY = """Hello Vera,

on the wiki page you will find Tuesday's minutes. Two points are yours: the hall for June and the caterer.

Best regards
Jana
"""


@dataclass(frozen=True, slots=True)
class DemoMail:
    """A message to send. `what` says in a word what its author meant it to be."""

    direction: Direction
    sender: str
    recipient: str
    subject: str
    what: str
    raw: bytes


def inbound() -> Iterator[DemoMail]:
    """Yield written messages, pair by pair: drawn by a fixed seed, not picked by how they score."""
    written = [message for message in load() if message.direction == Direction.INBOUND]
    pairs = sorted({(message.author, message.pair) for message in written})
    drawn = set(random.Random(SEED).sample(pairs, PAIRS))  # noqa: S311 - variety, not secrecy
    for message in written:
        if (message.author, message.pair) in drawn:
            raw = compose(message, SEED)
            yield DemoMail(Direction.INBOUND, parseaddr(message.return_path or message.sender)[1],
                           f"someone@{DOMAIN}", message.subject, message.label, raw)


def outbound() -> Iterator[DemoMail]:
    """Yield three letters from a desk of ours: an ordinary one, one with a private key, one with a card number."""
    key = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    letters = (
        ("Minutes of Tuesday", "ordinary", _ORDINARY),
        ("the key you asked for", "secret", f"Hi Tom,\n\nhere it is, please keep it safe:\n\n{key}\nJana\n"),
        ("Re: booking", "secret", f"Please charge the room to my card {_card()}, valid until 09/29.\n\nJana\n"),
    )
    for number, (subject, what, text) in enumerate(letters):
        sender, recipient = f"jana.reuter@{DOMAIN}", "vera@partner.example"
        head = (f"From: Jana Reuter <{sender}>\nTo: {recipient}\nSubject: {subject}\n"
                f"Date: Mon, 09 Mar 2026 10:12:44 +0100\nMessage-ID: <demo-{number}@{DOMAIN}>\nMIME-Version: 1.0\n"
                "Content-Type: text/plain; charset=utf-8\n\n")
        yield DemoMail(Direction.OUTBOUND, sender, recipient, subject, what,
                       (head + text).replace("\n", "\r\n").encode())


def _card() -> str:
    """Return a number of a card that nobody has: an issuer's range, random digits, the right check digit."""
    digits = [4, 0, 2, 6, *(random.SystemRandom().randrange(10) for _ in range(11))]
    doubled = [d if at % 2 else (2 * d - 9 if d > 4 else 2 * d) for at, d in enumerate(digits)]
    digits.append(-sum(doubled) % 10)
    text = "".join(map(str, digits))
    return " ".join(text[at : at + 4] for at in range(0, 16, 4))
