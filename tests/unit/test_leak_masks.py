"""What leak detectors find is shown nowhere but in the message itself."""

import json
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from model.extract import extract
from model.leaks import find_leaks, mask
from model.leaks.payment_card import luhn
from model.mail import Direction, Envelope, Mail, RawMessage, Recipient
from model.screen import Screening
from quarantine.record import MessageRecord


def card(seed: int) -> str:
    digits = "4026" + "".join(random.Random(seed).choices("0123456789", k=11))
    return next(digits + check for check in "0123456789" if luhn(digits + check))


@given(st.integers(), st.sampled_from(["", " ", "-", "."]), st.text(max_size=60), st.text(max_size=60))
def test_no_more_than_four_digits_of_a_card_remain(seed, gap, before, after):
    number = card(seed)
    written = gap.join(number[at : at + 4] for at in range(0, 16, 4))

    shown = mask(f"my card {written} thanks")

    assert shown == f"my card {gap.join(['••••', '••••', '••••'])}{gap}{number[12:]} thanks"
    mask(before + written + after)  # never raises, whatever stands around it


@pytest.mark.parametrize("key", [
    generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
])
def test_nothing_of_a_key_remains(key):
    text = key.decode()

    shown = mask(f"here it is\n{text}\nbye")

    assert not any(line in shown for line in text.splitlines()[1:-1])
    assert shown.startswith("here it is") and shown.rstrip().endswith("bye")


@pytest.mark.parametrize("text", ["", "Order 4711 of 12.03.2026", "-----BEGIN PRIVATE KEY----- is how it starts",
                                  "call +49 30 23125 111", "Grüße – 1 234,56 €"])
def test_ordinary_text_stays_as_it_is(text):
    assert mask(text) == text


@given(st.text())
def test_masking_any_text_is_stable(text):
    once = mask(text)

    assert mask(once) == once


def test_what_the_quarantine_stores_beside_the_bytes_is_masked():
    number = card(7)
    raw = f"From: a@corp.example\r\nSubject: card {number}\r\n\r\nPay with Visa {number} please\r\n".encode()
    seen = extract(raw)
    mail = Mail(Envelope("a@corp.example", (Recipient("b@partner.example"),)), RawMessage.of(raw), Direction.OUTBOUND)

    record = MessageRecord.of(mail, Screening(extracted=seen, findings=find_leaks(seen)))

    assert record.findings
    assert number not in record.to_bytes().decode()
    assert number[:12] not in json.dumps([record.subject, record.text])
