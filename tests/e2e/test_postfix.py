"""Mail through a real Postfix, by the recipes of the README, both modes, both directions."""

import json
import re
import smtplib
import time
import uuid

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

pytestmark = [pytest.mark.postfix, pytest.mark.xdist_group("postfix")]


def message(marker: str, body: str = "See you at noon.", **headers: str) -> bytes:
    fields = {"From": "Ann <ann@sender.example>", "To": "bob@corp.example", "Subject": f"lunch {marker}",
              "Date": "Mon, 09 Mar 2026 10:12:44 +0100", "Message-ID": f"<{marker}@sender.example>", **headers}
    return ("".join(f"{k}: {v}\r\n" for k, v in fields.items()) + f"\r\n{body}\r\n").encode()


@pytest.fixture
def marker() -> str:
    return uuid.uuid4().hex


def kept(site, marker: str, seconds: float = 20.0) -> list[dict]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done = site.gatepost("quarantine", "list", "--all", "--limit", "0", "--json", "--subject", marker)
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        if found:
            return found
        time.sleep(0.2)
    return []


def below_our_headers(raw: bytes) -> bytes:
    """Return what stands below the fields that the last hops put in front: from the first From on."""
    return raw[raw.index(b"From: Ann"):]


def log_lines(site, marker: str, seconds: float = 20.0) -> list[dict]:
    """Return the log's lines about a message: they are written after the reply, so the first is waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        whole, _, _ = site.log.read_text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        found = [line for line in lines if marker in json.dumps(line)]
        if found:
            return found
        time.sleep(0.1)
    return []


@pytest.mark.parametrize("front", ["before-in", "after-in"])
def test_inbound_mail_is_delivered_with_our_headers_and_is_otherwise_unchanged(site, marker, front):
    raw = message(marker, body="Two spaces  and a tab\there.\r\n.a dot\r\n..two\r\n" + "x" * 900)

    code, _ = site.send(front, "ann@sender.example", ["bob@corp.example"], raw)
    [delivered] = site.postfix.wait_delivered(marker.encode())

    assert code == 250
    assert b"X-Gatepost-Verdict: deliver" in delivered
    assert below_our_headers(delivered) == raw.replace(b"\r\n", b"\n")


def test_forged_headers_of_ours_are_removed(site, marker):
    raw = message(marker, **{"X-Gatepost-Verdict": "deliver; forged=yes"})

    site.send("before-in", "ann@sender.example", ["bob@corp.example"], raw)
    [delivered] = site.postfix.wait_delivered(marker.encode())

    assert b"forged=yes" not in delivered
    assert delivered.count(b"X-Gatepost-Verdict:") == 1


def test_what_is_kept_is_released_byte_for_byte_and_not_screened_again(site, marker):
    raw = message(marker, body="Grüße\r\n.dot\r\n")

    code, text = site.send("keep-in", "ann@sender.example", ["bob@corp.example"], raw)
    [item] = kept(site, marker)
    done = site.gatepost("quarantine", "release", item["id"])
    [delivered] = site.postfix.wait_delivered(marker.encode())

    assert code == 250 and b"0." not in text.split(b"kept")[-1][:1]
    assert done.returncode == 0, done.stderr
    assert below_our_headers(delivered) == raw.replace(b"\r\n", b"\n")
    assert b"X-Gatepost-Released:" in delivered
    assert b"X-Gatepost-Verdict:" not in delivered


def test_a_second_release_sends_nothing(site, marker):
    site.send("keep-in", "ann@sender.example", ["bob@corp.example"], message(marker))
    [item] = kept(site, marker)

    first = site.gatepost("quarantine", "release", item["id"])
    site.gatepost("quarantine", "release", item["id"])
    site.postfix.wait_delivered(marker.encode())
    time.sleep(1)

    assert first.returncode == 0
    assert sum(marker.encode() in m for m in site.postfix.delivered()) == 1


def test_of_several_recipients_some_get_the_mail_and_for_some_it_is_kept(site, marker):
    code, _ = site.send("keep-in", "ann@sender.example",
                        ["bob@corp.example", "postmaster@corp.example", "eve@corp.example"], message(marker))
    [delivered] = site.postfix.wait_delivered(marker.encode())
    items = kept(site, marker)

    assert code == 250
    assert b"Delivered-To: postmaster@corp.example" in delivered
    assert sorted(item["recipient"] for item in items) == ["bob@corp.example", "eve@corp.example"]
    assert {item["state"] for item in items} == {"quarantined"}


@pytest.mark.parametrize("front", ["before-out", "after-out"])
def test_outbound_mail_leaves_with_a_trace_and_nothing_else_of_ours(site, marker, front):
    raw = message(marker, To="vera@partner.example")

    site.send(front, "ann@corp.example", ["vera@partner.example"], raw)
    _, _, arrived = site.wait_internet(marker.encode())

    ours = re.findall(rb"(?mi)^x-gatepost-[a-z-]+", arrived)
    assert [name.lower() for name in ours] == [b"x-gatepost-trace"]
    assert below_our_headers(arrived) == raw


@pytest.mark.parametrize("front", ["before-out", "after-out"])
def test_outbound_mail_with_a_private_key_is_held_and_never_shown(site, marker, front):
    key = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    raw = message(marker, body=key.replace("\n", "\r\n"), To="vera@partner.example")

    code, _ = site.send(front, "ann@corp.example", ["vera@partner.example"], raw)
    [item] = kept(site, marker)
    shown = site.gatepost("quarantine", "show", item["id"]).stdout
    time.sleep(0.5)

    assert code == 250
    assert item["state"] == "held"
    assert not any(marker.encode() in m[2] for m in site.internet.mails)
    secret = key.splitlines()[3]
    assert secret not in json.dumps(item) and secret not in site.log.read_text()
    assert "private-key" in shown


@pytest.mark.parametrize("front", ["before-out", "after-out"])
def test_dsn_parameters_reach_the_other_end(site, marker, front):
    site.send(front, "ann@corp.example", ["vera@partner.example"], message(marker, To="vera@partner.example"),
              mail_options=("RET=HDRS", f"ENVID=Qq{marker}"),
              rcpt_options=("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Vera@Partner.example"))
    _, words, _ = site.wait_internet(marker.encode())

    assert f"ENVID=Qq{marker}" in words and "RET=HDRS" in words
    assert "NOTIFY=SUCCESS,FAILURE" in words and "ORCPT=rfc822;Vera@Partner.example" in words


@pytest.mark.parametrize("front", ["before-in", "after-in"])
def test_internationalised_addresses_pass(site, marker, front):
    raw = message(marker, From="Ann <anné@sender.example>")

    with smtplib.SMTP("127.0.0.1", site.fronts[front], timeout=60) as client:
        client.ehlo("sender.example")
        client.send("MAIL FROM:<anné@sender.example> SMTPUTF8 BODY=8BITMIME\r\n".encode())
        assert client.getreply()[0] == 250
        client.send("RCPT TO:<bøb@corp.example>\r\n".encode())
        assert client.getreply()[0] == 250
        assert client.data(raw)[0] == 250

    [delivered] = site.postfix.wait_delivered(marker.encode())
    assert "anné@sender.example".encode() in delivered


@pytest.mark.parametrize("canonicalization", [b"simple", b"relaxed"])
@pytest.mark.parametrize("front", ["before-in", "after-in"])
def test_a_dkim_signature_that_verified_before_verifies_after(site, marker, front, canonicalization):
    key = generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    record = b"v=DKIM1; k=rsa; p=" + "".join(public.splitlines()[1:-1]).encode()
    raw = message(marker, body="signed  body\r\n\r\n\r\n").replace(b"Subject: ", b"Subject:  ")
    raw = dkim.sign(raw, b"s1", b"sender.example", private, canonicalize=(canonicalization, canonicalization)) + raw
    assert dkim.verify(raw, dnsfunc=lambda *_, **__: record)

    site.send(front, "ann@sender.example", ["bob@corp.example"], raw)
    [delivered] = site.postfix.wait_delivered(marker.encode())

    assert dkim.verify(delivered.replace(b"\n", b"\r\n"), dnsfunc=lambda *_, **__: record)


@pytest.mark.parametrize("front", ["before-in", "after-in"])
def test_the_log_has_one_line_a_message_with_its_ids_and_no_text(site, marker, front):
    site.send(front, "ann@sender.example", ["bob@corp.example"], message(marker, body="a secret sentence"))
    site.postfix.wait_delivered(marker.encode())

    [line] = log_lines(site, marker)

    assert line["message_id"] == f"<{marker}@sender.example>"
    assert f"{line['queued_as']}: client=" in site.postfix.read_log()
    if front == "after-in":  # before the queue there is no id yet
        assert f"{line['queue_id']}: client=" in site.postfix.read_log()
    assert "secret sentence" not in json.dumps(line)


def test_the_client_that_postfix_saw_is_told_to_the_return_port(site, marker):
    site.send("before-in", "ann@sender.example", ["bob@corp.example"], message(marker))
    [delivered] = site.postfix.wait_delivered(marker.encode())
    queued = log_lines(site, marker)[0]["queued_as"]

    assert f"{queued}: client=" in site.postfix.read_log()
    assert b"helo=sender.example" in delivered or b"from sender.example" in delivered
