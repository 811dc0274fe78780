"""The trace field: only we can make one, and mail that goes round is noticed."""

import pytest

from milter.trace import KEY_BYTES, RECEIVED_LIMIT, Tracer, load_key, new_id
from model.mail import RawMessage

KEY = b"a" * KEY_BYTES


def message(*fields: str, body: str = "text") -> RawMessage:
    return RawMessage.of("".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body.encode() + b"\r\n")


def test_our_own_field_is_known_again_even_folded():
    tracer = Tracer(KEY)
    trace = tracer.new()
    field = tracer.field("in-1", trace)
    assert len(field) <= 200
    assert tracer.ours(field.encode()) == ("in-1", trace)
    assert tracer.ours(field.replace(" ", "\r\n\t").replace("Trace:\r\n\t", "trace : ").encode()) == ("in-1", trace)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f[:-1] + ("0" if f[-1] != "0" else "1"),
        lambda f: f.replace(" in ", " out "),
        lambda f: f + "0",
        lambda f: f.replace("v1", "v2"),
        lambda f: "X-Other" + f,
        lambda f: "",
        lambda f: f.replace("Trace", "Verdict"),
    ],
)
def test_a_changed_field_is_not_ours(change):
    tracer = Tracer(KEY)
    assert tracer.ours(change(tracer.field("in", new_id())).encode()) is None


def test_another_installations_field_is_not_ours():
    assert Tracer(KEY).ours(Tracer(b"b" * KEY_BYTES).field("in", new_id()).encode()) is None


def test_two_passes_through_the_same_listener_are_a_loop():
    tracer = Tracer(KEY)
    fields = [tracer.field("in", tracer.new()) for _ in range(2)]
    assert not tracer.passes(message(fields[0]), "in").looping
    assert tracer.passes(message(*fields), "in").looping


def test_copies_of_one_trace_and_passes_elsewhere_are_no_loop():
    tracer = Tracer(KEY)
    field = tracer.field("in", tracer.new())
    assert not tracer.passes(message(field, field, field), "in").looping
    assert not tracer.passes(message(field, tracer.field("out", tracer.new())), "in").looping


def test_forged_and_quoted_traces_do_not_count():
    tracer, other = Tracer(KEY), Tracer(b"b" * KEY_BYTES)
    assert not tracer.passes(message(*(other.field("in", new_id()) for _ in range(5))), "in").looping
    quoted = "".join(tracer.field("in", tracer.new()) + "\r\n" for _ in range(3))
    assert not tracer.passes(message("Subject: bounce", body=quoted), "in").looping


@pytest.mark.parametrize(("hops", "looping"), [(RECEIVED_LIMIT, False), (RECEIVED_LIMIT + 1, True)])
def test_received_fields_are_counted_in_the_header_section_only(hops, looping):
    fields = ["received:\r\n\tfrom a"] * hops
    assert Tracer(KEY).passes(message(*fields, body="Received: x\r\n" * 60), "in").looping is looping


def test_the_key_is_made_once_and_private(tmp_path):
    key = load_key(tmp_path)
    assert len(key) == KEY_BYTES
    assert load_key(tmp_path) == key
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_damaged_key_is_refused_with_what_to_do(tmp_path):
    load_key(tmp_path)
    (tmp_path / "trace.key").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"trace\.key: expected 32 bytes, found 5; remove it"):
        load_key(tmp_path)


def test_ids_differ_and_are_easy_to_read_out():
    assert len({new_id() for _ in range(1000)}) == 1000
    assert new_id().isalnum() and len(new_id()) == 16
