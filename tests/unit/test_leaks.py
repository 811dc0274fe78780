"""Leak detectors: what they find, what they leave alone, and that no finding shows a secret."""

import base64
import random

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from effort import bounded
from hypothesis import given
from hypothesis import strategies as st

from model.extracted import Extracted
from model.leaks import CERTAIN, find_leaks
from model.leaks.payment_card import luhn
from model.verdict import Finding

NO_PASSWORD = serialization.NoEncryption()
PASSWORD = serialization.BestAvailableEncryption(b"correct horse")


def found(text: str) -> tuple[Finding, ...]:
    return find_leaks(Extracted(text=text))


def certain(text: str) -> list[str]:
    return [finding.detector for finding in found(text) if finding.confidence >= CERTAIN]


def pem(key: object, shape: str, encryption: serialization.KeySerializationEncryption = NO_PASSWORD) -> str:
    private_format = getattr(serialization.PrivateFormat, shape)
    return key.private_bytes(serialization.Encoding.PEM, private_format, encryption).decode()  # type: ignore[attr-defined]


RSA = rsa.generate_private_key(65537, 2048)
KEYS = {
    "rsa pkcs8": pem(RSA, "PKCS8"),
    "rsa pkcs8 encrypted": pem(RSA, "PKCS8", PASSWORD),
    "rsa pkcs1": pem(RSA, "TraditionalOpenSSL"),
    "rsa pkcs1 encrypted": pem(RSA, "TraditionalOpenSSL", PASSWORD),
    "ec sec1": pem(ec.generate_private_key(ec.SECP256R1()), "TraditionalOpenSSL"),
    "ed25519 pkcs8": pem(ed25519.Ed25519PrivateKey.generate(), "PKCS8"),
    "ed25519 openssh": pem(ed25519.Ed25519PrivateKey.generate(), "OpenSSH"),
}


def body(octets: int, width: int = 64, seed: int = 1) -> str:
    text = base64.b64encode(random.Random(seed).randbytes(octets)).decode()
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


OTHER_KEYS = {
    "pgp": f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: X 1.0\n\n{body(900)}\n=ab12\n"
           "-----END PGP PRIVATE KEY BLOCK-----",
    "ssh2": f'---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "me"\n{body(600, 70)}\n'
            "---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    "putty": f"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: me\nPublic-Lines: 6\n{body(270)}\n"
             f"Private-Lines: 14\n{body(600, seed=2)}\nPrivate-MAC: {'ab' * 32}",
    "age": "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQPZRY9X8GF2TVDW0S3JN54KHCE",
}  # fmt: skip


@pytest.mark.parametrize("kind", [*KEYS, *OTHER_KEYS])
def test_every_kind_of_private_key_is_found_once_and_not_shown(kind: str) -> None:
    key = (KEYS | OTHER_KEYS)[kind]

    findings = found(f"Here it is:\n\n{key}\n\nRegards")

    assert [(f.detector, f.count, f.location) for f in findings] == [("private-key", 1, "text")]
    assert findings[0].confidence >= CERTAIN
    lines = [line for line in key.splitlines() if len(line) > 30 and " " not in line]
    assert not any(piece in findings[0].masked for line in lines for piece in (line, line[:12], line[-12:]))


@pytest.mark.parametrize(
    "mangled",
    [
        lambda key: key.replace("\n", "\r\n"),
        lambda key: key.replace("\n", "\\n"),
        lambda key: key.replace("\n", " "),
        lambda key: "".join(f"> {line}\n" for line in key.splitlines()),
        lambda key: key.replace("-----", "\u2014\u2014"),
        lambda key: key[: len(key) // 2],
    ],
    ids=["crlf", "json", "one line", "quoted", "typographic dashes", "cut off"],
)
def test_a_key_is_found_however_mail_has_mangled_it(mangled: object) -> None:
    assert certain(mangled(KEYS["rsa pkcs8"])) == ["private-key"]  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        """The file must begin with -----BEGIN PRIVATE KEY----- and end with -----END PRIVATE KEY-----, otherwise
        the server will refuse to start and write a line to its log, as the administrators' handbook explains.""",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE...your key here...\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n" + "x" * 64 + "\n" + "x" * 64 + "\n-----END PRIVATE KEY-----",
        f"-----BEGIN CERTIFICATE-----\n{body(900)}\n-----END CERTIFICATE-----",
        f"-----BEGIN PUBLIC KEY-----\n{body(270)}\n-----END PUBLIC KEY-----",
        f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{body(900)}\n-----END PGP PUBLIC KEY BLOCK-----",
        f"-----BEGIN PGP SIGNATURE-----\n\n{body(400)}\n-----END PGP SIGNATURE-----",
        f"PuTTY-User-Key-File-3: ssh-rsa\nPublic-Lines: 6\n{body(270)}\n",
        "AGE-SECRET-KEY-1 is how such keys begin",
    ],
    ids=["prose", "placeholder", "xxx", "certificate", "public", "pgp public", "signature", "putty public", "age"],
)
def test_words_about_keys_and_public_keys_are_no_leak(text: str) -> None:
    assert found(text) == ()


def test_two_keys_are_two_findings_and_each_is_found_where_it_is() -> None:
    extracted = Extracted(subject="Visa 4556 7375 8689 9855", text=KEYS["rsa pkcs8"], hidden_text=KEYS["ec sec1"])

    assert {(f.detector, f.location) for f in find_leaks(extracted)} == {
        ("payment-card", "subject"), ("private-key", "text"), ("private-key", "hidden"),
    }  # fmt: skip


def test_a_real_key_behind_many_false_beginnings_is_found() -> None:
    decoys = "-----BEGIN PRIVATE KEY-----\n" * 5000

    assert certain(decoys + KEYS["rsa pkcs8"]) == ["private-key"]


CARDS = {
    "4556737586899855": "Visa", "5425233430109903": "Mastercard", "2720994326581252": "Mastercard",
    "374245455400126": "American Express", "6011556448578945": "Discover", "3528000700000000": "JCB",
    "36000000000008": "Diners Club", "6221558812340000": "UnionPay",
}  # fmt: skip


def with_check_digit(start: str, length: int) -> str:
    start = start[: length - 1].ljust(length - 1, "7")
    return next(start + digit for digit in "0123456789" if luhn(start + digit))


def printed(number: str) -> str:
    groups = {15: (4, 6, 5), 14: (4, 6, 4)}.get(len(number), (4, 4, 4, 4))
    starts = [sum(groups[:at]) for at in range(len(groups))]
    return " ".join(number[start : start + size] for start, size in zip(starts, groups, strict=True))


@pytest.mark.parametrize(("number", "issuer"), CARDS.items())
def test_cards_of_every_issuer_are_found_as_they_are_printed(number: str, issuer: str) -> None:
    number = with_check_digit(number[:-1], len(number))

    (finding,) = found(f"please charge {printed(number)} thanks")

    assert finding.masked == f"{issuer} ending in {number[-4:]}"
    assert finding.confidence >= 0.9


@pytest.mark.parametrize(
    ("text", "at_least", "below"),
    [
        ("4556737586899855", 0.3, 0.5),
        ("my card is 4556737586899855", 0.9, 1),
        ("Kreditkarte: 4556737586899855 gültig bis 05/27", 0.9, 1),
        ("Visa 4556-7375-8689-9855, CVC 123", 0.95, 1),
        ("４５５６ ７３７５ ８６８９ ９８５５", 0.9, 1),
        ("4556\u00a07375\u00a08689\u00a09855", 0.9, 1),
        ("card 4556 7375 8689 9855 0527 123", 0.9, 1),
        ("our order 4556 7375 8689 9855", 0.3, 0.5),
        ("4111 1111 1111 1111 on the card", 0.1, 0.3),
        ("Maestro card 6761 0000 0000 0001", 0, 0),
    ],
)
def test_confidence_follows_form_and_context(text: str, at_least: float, below: float) -> None:
    confidence = max((finding.confidence for finding in found(text)), default=0.0)

    assert at_least <= confidence <= below


@pytest.mark.parametrize(
    "text",
    [
        "4556 7375 8689 9856",
        "order number 4556737586899855",
        "https://shop.example/track?id=4556737586899855",
        "/4556737586899855/",
        "ID_4556737586899855",
        "4556737586899855@shop.example",
        "99994556737586899855000",
        "DE89 3704 0044 0532 0130 00",
        "1234 4556 7375 8689 9855 1234",
        "550e8400-e29b-41d4-a716-446655440000",
        "+49 30 23125 4567 8901",
        "9999 9999 9999 9995",
        "6761 0000 0000 0000 0006",
    ],
)
def test_other_numbers_are_no_cards(text: str) -> None:
    assert found(text) == ()


@given(st.text(alphabet="0123456789 -.abcV/=", max_size=120), st.integers(0, 10**15 - 1))
def test_a_finding_never_shows_more_than_the_last_four_digits(noise: str, start: int) -> None:
    number = with_check_digit("4" + str(start).zfill(15), 16)

    for text in (f"card {number}", f"{noise} {printed(number)} {noise}", f"visa {printed(number)}"):
        for finding in found(text):
            assert sum(map(str.isdigit, finding.masked)) == 4
            assert number[:12] not in finding.masked.replace(" ", "")


@given(st.text(max_size=200))
def test_no_text_makes_a_detector_raise(text: str) -> None:
    for finding in find_leaks(Extracted(subject=text, text=text + "-----BEGIN PRIVATE KEY-----" + text)):
        assert 0 < finding.confidence <= 1


@pytest.mark.parametrize(
    "unit",
    ["a", "<", '"', "@", "(", "1", " 1", "1 ", "4111 ", "1-", "A1 ", "-", "\u0661 ", "BEGIN PRIVATE KEY-----",
     "BEGIN A ", "PuTTY-User-Key-File-2:", "A: b\n"],
)  # fmt: skip
def test_a_megabyte_of_anything_costs_linear_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))

    with bounded():
        found(text + " PRIVATE KEY")
