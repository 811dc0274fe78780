"""Invariant: what was kept comes back octet for octet and letter for letter, or not at all; ids never reach SQL."""

import string
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept_mail import Spec, kept, mail, new_store

from gatepost.item_view import head, text, why
from gatepost.terminal import fit, pad, width, wrapped
from model.verdict import Reason
from quarantine.bodies import Vault
from quarantine.errors import StoreError
from quarantine.search import Filter, body, find, get

KEY, SALT = bytes(32), bytes(16)
OBEYED = {"Cc", "Cs", "Zl", "Zp"}  # what a terminal obeys or cannot be sent
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ANY_TEXT = st.text(st.characters(), max_size=200)
ADDRESS = st.binary(max_size=60).map(lambda b: b.decode("utf-8", "surrogateescape"))


@given(st.lists(st.binary(max_size=3000), max_size=6))
def test_any_octets_in_any_pieces_come_back(chunks):
    vault = Vault(KEY, SALT, "m")
    rows = vault.seal_body(chunks)

    assert b"".join(vault.open_body(rows, len(rows))) == b"".join(chunks)


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_any_single_change_is_noticed(octets, data):
    vault = Vault(KEY, SALT, "m")
    [row] = vault.seal_body([octets])
    at = data.draw(st.integers(0, len(row) - 1))
    mask = data.draw(st.integers(1, 255))
    changed = row[:at] + bytes([row[at] ^ mask]) + row[at + 1 :]

    with pytest.raises(StoreError):
        b"".join(vault.open_body([changed], 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with new_store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.binary(max_size=500), sender=ADDRESS, to=ADDRESS, subject=ANY_TEXT, words=ANY_TEXT, detail=ANY_TEXT)
def test_any_mail_is_kept_found_and_shown(store, octets, sender, to, subject, words, detail):
    one = mail(octets, to or "x", sender=sender)
    spec = Spec(subject=subject, text=words, reasons=(Reason("defect", detail),))

    item = store.keep(one, kept(one, spec), pending=False).items[0]
    found = get(store, item)

    assert b"".join(body(store, found.item.message)) == octets
    assert found.record.recipient == one.envelope.recipients[0]
    assert (found.message.sender, found.message.subject, found.message.text) == (sender, subject, words)
    assert found.record.reasons[0].detail == detail
    lines = [*head(found, found.item.kept_at, 80), *why(found, 80), *text(found.message, 80, most=9)]
    assert not {c for line in lines for c in line if c in BIDI or unicodedata.category(c) in OBEYED}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("%_\\'\";- "), max_size=30))
def test_any_text_is_a_harmless_filter(store, wanted):
    list(find(store, Filter(sender=wanted, recipient=wanted, reason=wanted, model=wanted), limit=3))
    with pytest.raises(StoreError):
        get(store, wanted if set(wanted) - set(string.ascii_letters + string.digits) else "zzzz")


@given(st.text(max_size=100).map(lambda t: "".join(c for c in t if c.isprintable())), st.integers(1, 60))
def test_text_is_cut_to_its_room(words, room):
    assert width(fit(words, room)) <= room
    assert width(pad(words, room)) == room
    assert all(width(line) <= max(room, 2) for line in wrapped(words, max(room, 4)) if room >= 4)
