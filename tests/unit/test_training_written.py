"""The written set: every fault of a batch is named, and what is composed is a plain, equal wrapping."""

import email
import email.policy
from collections import Counter
from pathlib import Path

import pytest

from model.labels import Label
from training.written import DECLARABLE, FOLDER, WrittenError, check, compose, load

HONEST: dict[str, object] = {
    "pair": "de-bank-01",
    "role": "honest",
    "label": "ham",
    "theme": "bank",
    "lang": "de",
    "date": "2025-11-02T08:00:00Z",
    "sender": "Nordhafen Bank <service@nordhafen-bank.example>",
    "subject": "Ihr Kontoauszug für März",
    "text": "Schöne Grüße\nhttps://nordhafen-bank.example/a\n",
}
BAD = {**HONEST, "role": "bad", "label": "phishing", "sender": "Nordhafen Bank <x@verify.example>"}


def toml(rows: list[dict[str, object]], top: str = 'author = "t"') -> str:
    """Write rows as TOML; a text that opens a table or a list is taken as it is."""
    lines = [top]
    for row in rows:
        lines.append("[[message]]")
        lines += [f"{k} = {v if str(v).startswith(('{', '[')) else repr(v)}" for k, v in row.items()]
    return "\n".join(lines) + "\n"


def faults(tmp_path: Path, rows: list[dict[str, object]], top: str = 'author = "t"') -> list[str]:
    path = tmp_path / "batch.toml"
    path.write_text(toml(rows, top), encoding="utf-8")
    return list(check([path])[1])


def test_a_good_pair_has_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, [HONEST, BAD]) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"label": "scam"}, "label: expected one of ham, spam, phishing, fraud, found 'scam'"),
        ({"label": "spam"}, "label: role honest cannot be spam"),
        ({"role": "good"}, "role: expected honest or bad"),
        ({"lang": "xx"}, "lang: expected one of en, de, fr, es, it, nl"),
        ({"sender": "Nordhafen Bank"}, "sender: expected 'Display Name <local@domain>'"),
        ({"sender": "B <b@nordhafen.com>"}, "sender: 'nordhafen.com' does not end in .example"),
        ({"text": "see https://real.com/x"}, "text: 'real.com' does not end in .example"),
        ({"text": " "}, "text: a message needs text, html or both"),
        ({"date": "yesterday"}, "date: expected an RFC 3339 date"),
        ({"date": "2019-01-01T00:00:00Z"}, "date: expected a year from 2024 to 2026"),
        ({"sbject": "x"}, "sbject: unknown key"),
        ({"subject": ""}, "subject: expected a text that is not empty"),
        ({"list_unsubscribe": "yes"}, "list_unsubscribe: expected true or false"),
        ({"facts": "{ hidden_text = true }"}, "facts.hidden_text: only these can be declared"),
        ({"facts": "{ main_link_matches = true, sender_known = false }"}, "facts.main_link_matches: never true of"),
        ({"facts": "{ sender_known = 'yes' }"}, "facts.sender_known: expected true or false"),
        ({"attachments": "[{ name = 'a.pdf' }]"}, "attachments: expected a list"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_file_message_and_key(tmp_path: Path, change: dict[str, object], named: str) -> None:
    found = faults(tmp_path, [{**HONEST, **change}, BAD])

    assert any(named in line and "batch.toml: message 1 (de-bank-01/" in line for line in found), found


@pytest.mark.parametrize(
    ("rows", "top", "named"),
    [
        ([HONEST], 'author = "t"', "t/de-bank-01: no bad message"),
        ([HONEST, BAD, BAD], 'author = "t"', "t/de-bank-01/bad-phishing: written 2 times"),
        ([HONEST, {**BAD, "lang": "en"}], 'author = "t"', "one language, found de, en"),
        ([], 'author = "t"', "message: expected at least one"),
        ([HONEST, BAD], "", "author: expected a short name"),
    ],
)
def test_faults_of_pairs_and_batches(tmp_path: Path, rows: list[dict[str, object]], top: str, named: str) -> None:
    assert any(named in line for line in faults(tmp_path, rows, top))


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("author = ", encoding="utf-8")

    assert "broken.toml" in check([path])[1][0]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrittenError, match=r"no \.toml file"):
        load(tmp_path)


def test_the_shipped_set_is_sound() -> None:
    """Every pair has an honest and a bad side; all classes and six languages are there."""
    messages = load()

    assert {m.label for m in messages} == set(Label)
    assert {m.lang for m in messages} >= {"en", "de", "fr", "es", "it", "nl"}
    assert len({(m.author, m.pair) for m in messages}) >= 100
    assert len({m.author for m in messages}) >= 2


def test_composing_is_repeatable_and_varies_with_the_seed() -> None:
    message = load()[0]

    assert compose(message, 1) == compose(message, 1)
    assert compose(message, 1) != compose(message, 2)


def test_what_is_composed_reads_back_as_written() -> None:
    """Subject, sender and both views survive every transfer encoding; lines end in CRLF and stay under 998 octets."""
    for message in load(FOLDER):
        wire = compose(message, 3)
        read = email.message_from_bytes(wire, policy=email.policy.default)
        views = {
            p.get_content_type(): p.get_content()
            for p in read.walk()
            if p.get_content_maintype() == "text" and p.get_content_disposition() != "attachment"
        }

        assert str(read["subject"]) == message.subject
        assert [p.get_filename() for p in read.iter_attachments()] == [a.name for a in message.attachments]
        for kind, text in (("text/plain", message.text), ("text/html", message.html)):
            if text.strip():
                assert views[kind].split() == text.split(), message.key
        assert b"\n" not in wire.replace(b"\r\n", b"")
        assert max(map(len, wire.split(b"\r\n"))) <= 998


def test_the_wrapping_says_nothing_about_the_class() -> None:
    """Transfer encodings are drawn alike for honest and bad mail: no encoding's share differs by a quarter."""
    shares = {}
    for role in ("honest", "bad"):
        seen = Counter(
            str(email.message_from_bytes(compose(m, seed))["content-transfer-encoding"] or "parts")
            for m in load()
            if m.role == role
            for seed in range(3)
        )
        shares[role] = {k: n / seen.total() for k, n in seen.items()}

    assert all(abs(shares["honest"].get(k, 0) - shares["bad"].get(k, 0)) < 0.25 for k in shares["honest"])


def test_no_real_domain_is_in_the_set() -> None:
    assert check(sorted(FOLDER.glob("*.toml")))[1] == ()
    assert "hidden_text" not in DECLARABLE
