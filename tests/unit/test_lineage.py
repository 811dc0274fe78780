"""The lineage: every decision a signed line, and no line can be changed, removed, added or moved unseen."""

import json
from datetime import UTC, datetime

import pytest

from training.gate import lineage
from training.gate.lineage import FILE, PRIVATE, PUBLIC, Action, LineageError, Record, append, read

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def record(action: str, before: str, after: str, reason: str = "") -> Record:
    return Record(AT, "ida", Action(action), before, after, reason, ({"name": "golden", "passed": True},), {"n": 1})


@pytest.fixture
def store(tmp_path):
    """Four decisions: A → B, C refused, B → C by force, back to B."""
    for line in (("promote", "A", "B"), ("refuse", "B", "C"), ("force", "B", "C", "urgent"), ("rollback", "C", "B")):
        append(tmp_path, record(*line))
    return tmp_path


def lines(store) -> list[bytes]:
    return (store / FILE).read_bytes().splitlines(keepends=True)


def test_an_untouched_chain_is_right_and_says_everything(store):
    chain = read(store)

    assert chain.fault is None
    assert chain.records[2] == record("force", "B", "C", "urgent")
    assert len(chain.key.split(":")) == 8
    assert (store / PRIVATE).stat().st_mode & 0o777 == 0o600
    assert (store / PUBLIC).stat().st_mode & 0o777 == (store / FILE).stat().st_mode & 0o777 == 0o644


def test_a_store_without_decisions_has_an_empty_chain(tmp_path):
    assert read(tmp_path) == lineage.Chain((), None)


@pytest.mark.parametrize(
    ("spoil", "line", "words"),
    [
        (lambda all_: [all_[0].replace(b'"by":"ida"', b'"by":"eve"'), *all_[1:]], 1, "signature is wrong"),
        (lambda all_: [all_[0], *all_[2:]], 2, "says that it is line 3"),
        (lambda all_: [all_[1], all_[0], *all_[2:]], 1, "says that it is line 2"),
        (lambda all_: [*all_[:2], b"nonsense\n", *all_[2:]], 3, "no signed record"),
        (lambda all_: [*all_[:2], b"[]\n", *all_[2:]], 3, "no signed record"),
        (lambda all_: [*all_[:3], all_[3].replace(b'"rollback"', b'"promote"')], 4, "signature is wrong"),
    ],
)
def test_the_first_line_that_does_not_fit_is_named(store, spoil, line, words):
    (store / FILE).write_bytes(b"".join(spoil(lines(store))))

    fault = read(store).fault

    assert fault is not None
    assert (fault.line, words in fault.why) == (line, True), fault


def test_a_line_signed_with_another_key_is_named(store, tmp_path_factory):
    """Somebody who can write the file and not read the key signs with a key of their own."""
    other = tmp_path_factory.mktemp("other")
    append(other, record("promote", "A", "evil"))
    (store / FILE).write_bytes(b"".join([*lines(other), *lines(store)[1:]]))

    fault = read(store).fault

    assert fault is not None
    assert "signed with another key" in fault.why


def test_a_replaced_line_breaks_the_next_even_if_it_is_signed_right(store):
    """Whoever has the key can sign one line anew; the next one still names the old."""
    key = lineage._private(store, first=False)
    body = json.loads(lines(store)[0])
    body.pop("signature")
    body["by"] = "eve"
    signed = lineage.base64.b64encode(key.sign(lineage._canonical(body))).decode()
    anew = lineage._canonical({**body, "signature": signed}) + b"\n"
    (store / FILE).write_bytes(b"".join([anew, *lines(store)[1:]]))

    fault = read(store).fault

    assert fault is not None
    assert (fault.line, "does not name the line before it" in fault.why) == (2, True)


def test_a_torn_last_line_was_never_acknowledged_and_goes(store):
    whole = (store / FILE).read_bytes()
    (store / FILE).write_bytes(whole + b'{"line":5,"prev')

    assert read(store).fault is None
    append(store, record("promote", "B", "D"))
    assert read(store).fault is None
    assert read(store).records[-1].after == "D"
    assert (store / FILE).read_bytes().startswith(whole)


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        (PRIVATE, lambda path: path.unlink(), "the key that signs is gone; restore it, or move"),
        (PRIVATE, lambda path: path.chmod(0o644), "mode is 0644, expected 0600"),
        (PRIVATE, lambda path: path.write_text("no key"), "cannot be used"),
        (PUBLIC, lambda path: path.unlink(), "No such file or directory: restore it"),
        (PUBLIC, lambda path: path.write_text("no key"), "no public key"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_and_nothing_is_written(store, name, spoil, words):
    before = (store / FILE).read_bytes()
    spoil(store / name)

    with pytest.raises(LineageError, match=words):
        append(store, record("promote", "B", "D"))
    assert (store / FILE).read_bytes() == before


class TestPrevious:
    def chain(self, *steps: tuple[str, str, str]) -> lineage.Chain:
        return lineage.Chain(tuple(record(*step) for step in steps), None)

    def test_going_back_twice_goes_two_steps_back(self):
        steps = [("promote", "A", "B"), ("promote", "B", "C")]
        assert self.chain(*steps).previous("C") == "B"
        steps.append(("rollback", "C", "B"))
        assert self.chain(*steps).previous("B") == "A"
        steps.append(("rollback", "B", "A"))
        assert self.chain(*steps).previous("A") is None

    def test_what_the_gateway_refused_is_nothing_to_go_back_to(self):
        steps = [("promote", "A", "B"), ("promote", "B", "C"), ("return", "C", "B")]
        assert self.chain(*steps).previous("B") == "A"

    def test_a_refusal_of_the_gate_moves_nothing(self):
        assert self.chain(("promote", "A", "B"), ("refuse", "B", "C")).previous("B") == "A"

    def test_a_decision_that_was_not_carried_out_counts_for_nothing(self):
        assert self.chain(("promote", "A", "B"), ("promote", "B", "C")).previous("B") == "A"

    def test_what_nobody_decided_has_no_previous(self):
        assert self.chain(("promote", "A", "B")).previous("X") is None
