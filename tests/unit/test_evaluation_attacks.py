"""Attacks: a person still sees what was there, the sender is untouched, and the result is a message that parses."""

import email
import random
import re
from email.message import EmailMessage

import pytest

from model.confusables import skeleton
from model.extract import extract
from model.labels import Label
from training.evaluation.attacks import ATTACKS, IMAGE_ONLY, PADDING_WORDS, SOME_WORDS, good_words
from training.evaluation.mime_edit import rewritten, texts
from training.written import compose
from training.written import load as load_written

HEAD = (
    b"Return-Path: <bounce@shop.example>\r\n"
    b"Authentication-Results: mx.test.example;\r\n\tdkim=pass header.d=shop.example\r\n"
    b"Received: from a.example ([192.0.2.1])\r\n\tby mx.test.example; Mon, 02 Mar 2026 10:00:00 +0000\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; d=shop.example; s=s1;\r\n\tb=AAAA\r\n\t BBBB\r\n"
    b'From: "Shop  Example" <news@shop.example>\r\nTo: you@test.example\r\n'
    b"Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <1@shop.example>\r\n"
)
TEXT = "Your parcel could not be delivered today, please confirm your address at https://shop.example/track?id=7 now."


def plain() -> bytes:
    body = b"Subject: Parcel waiting\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return HEAD + body + TEXT.encode() + b"\r\n"


def both() -> bytes:
    message = EmailMessage()
    message.set_content(f"Without pictures: {TEXT}")  # else the two views would count as one text
    message.add_alternative(
        f"<html><head><style>p {{color: #111}}</style><title>shop</title></head><body><p>Your &amp; our parcel could "
        f'not be delivered <a href="https://shop.example/track?id=7">confirm the address</a></p><p>{TEXT}</p>'
        "</body></html>",
        subtype="html",
    )
    message.add_attachment(b"Name,Price\n", maintype="text", subtype="csv", filename="list.csv")
    message["Subject"] = "Paket für Sie: bitte bestätigen"
    raw = bytes(message.as_bytes(policy=email.policy.SMTP))
    return HEAD + raw


def squashed(text: str) -> str:
    return " ".join(re.sub(r"[\u200b-\u200d\u2060\ufeff\u00ad]", "", text).split())


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("make", [plain, both])
def test_an_attacked_message_parses_and_names_its_sender_as_before(name: str, make) -> None:
    raw = make()

    done = ATTACKS[name](raw, random.Random(1))

    assert done is not None
    assert done != raw
    assert done.startswith(HEAD)
    assert done == ATTACKS[name](raw, random.Random(1))
    found, before = extract(done), extract(raw)
    assert (found.from_, found.dkim, found.received) == (before.from_, before.dkim, before.received)
    assert [d for d in found.defects if d not in before.defects] == []
    assert sum(part.filename == "list.csv" for part in found.parts) == (name != IMAGE_ONLY) * (make is both)


@pytest.mark.parametrize("make", [plain, both])
def test_look_alikes_look_the_same(make) -> None:
    raw = make()
    done = extract(ATTACKS["homoglyphs"](raw, random.Random(2)))
    before = extract(raw)

    assert done.text != before.text
    assert skeleton(done.text) == skeleton(before.text)
    assert skeleton(done.subject) == skeleton(before.subject)
    assert {link.href for link in done.links} == {link.href for link in before.links}


@pytest.mark.parametrize("name", ["zero-width characters", "hidden text", "HTML salting"])
@pytest.mark.parametrize("make", [plain, both])
def test_what_a_person_sees_stays(name: str, make) -> None:
    """What is unseen is told apart as such by the extractor, which renders as a reader would."""
    raw = make()
    done, before = extract(ATTACKS[name](raw, random.Random(3))), extract(raw)

    assert squashed(done.text) == squashed(before.text)
    assert {link.href for link in done.links} == {link.href for link in before.links}


def test_hidden_text_is_honest_prose_that_nobody_sees() -> None:
    done = extract(ATTACKS["hidden text"](both(), random.Random(4)))

    assert len(done.hidden_text.split()) > 300


@pytest.mark.parametrize("make", [plain, both])
def test_padding_grows_the_text_and_keeps_what_was_there(make) -> None:
    raw = make()
    done = extract(ATTACKS["padding to 10,000 words"](raw, random.Random(5)))

    assert TEXT in " ".join(done.text.split())
    assert len(done.text.split()) >= PADDING_WORDS


@pytest.mark.parametrize("make", [plain, both])
def test_a_letter_of_honest_text_goes_below(make) -> None:
    done, before = (extract(raw) for raw in (ATTACKS["padding with 250 words"](make(), random.Random(5)), make()))

    assert TEXT in " ".join(done.text.split())
    assert SOME_WORDS <= len(done.text.split()) - len(before.text.split()) < 2 * SOME_WORDS


@pytest.mark.parametrize("make", [plain, both])
def test_every_link_goes_to_a_shortener(make) -> None:
    done = extract(ATTACKS["link shorteners"](make(), random.Random(6)))

    assert done.links
    assert not any("shop.example" in link.href for link in done.links)
    assert re.sub(r"https://\S+", "", " ".join(done.text.split())) == re.sub(
        r"https://\S+", "", " ".join(extract(make()).text.split())
    )


@pytest.mark.parametrize("make", [plain, both])
def test_an_image_leaves_nothing_to_read_and_keeps_the_link(make) -> None:
    done = extract(ATTACKS[IMAGE_ONLY](make(), random.Random(7)))

    assert done.text.strip() == ""
    assert [link.href for link in done.links] == ["https://shop.example/track?id=7"]
    assert any(part.type == "image/png" for part in done.parts)


def test_nothing_to_work_on_is_said() -> None:
    empty = HEAD + b"Subject: x\r\n\r\n\r\n"
    no_link = HEAD + b"Subject: x\r\nContent-Type: text/plain\r\n\r\nhello there\r\n"

    assert [name for name, attack in ATTACKS.items() if attack(empty, random.Random(8)) is not None] == []
    assert ATTACKS["link shorteners"](no_link, random.Random(8)) is None


def test_a_multipart_without_a_boundary_is_left_alone() -> None:
    raw = HEAD + b"Subject: x\r\nContent-Type: multipart/mixed\r\n\r\nhello there\r\n"

    assert all(attack(raw, random.Random(9)) is None for name, attack in ATTACKS.items())


def test_charset_and_transfer_encoding_are_read_before_the_text_is_changed() -> None:
    raw = (
        HEAD + b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Gr=FC=DFe\r\n"
    )

    done = rewritten(raw, plain=str.upper, subject=str.upper)

    assert texts(done)[0][1].strip() == "SCHÖNE GRÜSSE"
    assert extract(done).subject == "GRÜSSE"
    assert done.count(b"Content-Type:") == 1


def test_good_words_are_honest_messages_of_the_written_set() -> None:
    found = good_words(random.Random(10), 500)

    assert len(found.split()) >= 500
    assert found == good_words(random.Random(10), 500)
    assert "http" not in found


def test_every_written_language_can_be_attacked() -> None:
    """One bad message of each language: every attack that applies gives mail that reads without a fault."""
    bad = {m.lang: m for m in load_written() if m.label is not Label.HAM}
    for message in bad.values():
        raw = compose(message, 7)
        for name, attack in ATTACKS.items():
            done = attack(raw, random.Random(11))
            if done is None:
                own_script = name == "homoglyphs" and message.lang in {"ar", "ja", "ru", "uk", "zh"}
                assert own_script or name == "link shorteners", message.key
            else:
                assert extract(done).from_ == extract(raw).from_
