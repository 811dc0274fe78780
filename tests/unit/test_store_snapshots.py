"""A snapshot is what was labelled at a moment, under a fingerprint; contradictions stop it."""

import pytest
from dataset_rig import data_store, letter, numbered, put, said

from training.store.entry import Filter, LabelSource
from training.store.errors import Contradictions, DataStoreError
from training.store.labelling import give
from training.store.snapshots import Resolve, contradictions, fingerprint, freeze, listed, snapshot


@pytest.fixture
def data(tmp_path, clock):
    with data_store(tmp_path, clock) as opened:
        yield opened


def copy(second: int) -> bytes:
    """One of a campaign."""
    return letter(date=f"Mon, 02 Feb 2026 10:00:{second:02} +0000")


def test_it_holds_what_is_labelled_and_never_a_draft(data):
    put(data, (numbered(1), said("ham")), numbered(2), (numbered(3), said("spam", source=LabelSource.DRAFT)),
        (numbered(4), said("bad")))  # fmt: skip

    frozen = freeze(data, "first", by="mona")

    assert sorted(e.name for e in frozen.entries) == ["bad", "ham"]
    assert snapshot(data, "first").fingerprint == frozen.fingerprint


def test_it_stays_what_it_was(data, clock):
    [one, *_] = put(data, (numbered(1), said("ham")), (numbered(2), said("spam")))
    before = freeze(data, "first", by="mona")
    clock.forward(days=1)
    give(data, {one.digest: "fraud"}, source=LabelSource.REVIEW, by="otto")
    put(data, (numbered(3), said("spam")))

    again = snapshot(data, "first")

    assert again.fingerprint == before.fingerprint
    assert {e.digest: (e.name, e.reviewer) for e in again.entries}[one.digest] == ("ham", "mona")
    assert freeze(data, "second", by="mona").fingerprint != before.fingerprint
    assert [(s.name, s.size) for s in listed(data)] == [("first", 2), ("second", 3)]


def test_the_fingerprint_is_of_digests_labels_and_groups_alone(data, tmp_path):
    mail = [(numbered(n), said("ham" if n % 2 else "spam")) for n in range(6)]
    put(data, *mail)
    (tmp_path / "other").mkdir()
    with data_store(tmp_path / "other") as other:
        put(other, *reversed(mail))
        assert freeze(other, "x", by="otto").fingerprint == freeze(data, "y", by="mona").fingerprint
    found = data.entries()
    assert fingerprint(found) == fingerprint(reversed(found))
    assert fingerprint(found) != fingerprint(found[1:])


def test_contradictions_of_one_group_are_named_and_nothing_is_frozen(data):
    digests = [d.digest for d in put(data, (copy(1), said("ham")), (copy(2), said("spam")), (copy(3), said("spam")))]

    with pytest.raises(Contradictions) as caught:
        freeze(data, "first", by="mona")

    text = str(caught.value)
    assert text.startswith("1 group of near-duplicates has labels that exclude each other:\n  group ")
    assert f"ham 1 times (such as {digests[0][:12]}), spam 2 times (such as {digests[1][:12]})" in text
    assert "--resolve newest, majority or drop" in text
    assert listed(data) == []
    [(_, labels)] = contradictions(data.entries())
    assert {name: len(ids) for name, ids in labels.items()} == {"ham": 1, "spam": 2}


def test_bad_mail_of_unknown_kind_contradicts_ham_only(data):
    put(data, (copy(1), said("bad")), (copy(2), said("spam")))
    assert freeze(data, "first", by="mona").size == 2

    put(data, (copy(3), said("ham")))
    with pytest.raises(Contradictions):
        freeze(data, "second", by="mona")


@pytest.mark.parametrize(("rule", "names"), [
    (Resolve.NEWEST, ["ham", "ham", "ham", "ham"]),
    (Resolve.MAJORITY, ["ham", "spam", "spam", "spam"]),
    (Resolve.DROP, ["ham"]),
])  # fmt: skip
def test_rules_that_resolve(data, clock, rule, names):
    put(data, (numbered(1), said("ham")), (copy(1), said("spam")), (copy(2), said("spam")))
    clock.forward(days=1)
    put(data, (copy(3), said("ham")))

    made = freeze(data, "first", by="mona", resolve=rule)

    assert sorted(e.name for e in made.entries) == names
    assert sorted(e.name for e in snapshot(data, "first").entries) == names
    assert listed(data)[0].resolved == rule


def test_a_tie_of_the_majority_drops_the_group(data):
    put(data, (numbered(1), said("ham")), (copy(1), said("spam")), (copy(2), said("ham")))

    assert freeze(data, "first", by="mona", resolve=Resolve.MAJORITY).size == 1


def test_one_collection_alone_can_be_frozen(data):
    put(data, (numbered(1), said("ham", collection="a")), (numbered(2), said("spam", collection="b")))

    assert freeze(data, "first", by="mona", wanted=Filter(collections=("a",))).size == 1
    assert [e.name for e in freeze(data, "second", by="mona", only=lambda e: bool(e.bad)).entries] == ["spam"]


@pytest.mark.parametrize(("name", "told"), [
    ("../x", "'../x' is no name for a snapshot"),
    ("", "'' is no name"),
    ("first", "there is a snapshot first already; snapshots never change"),
])  # fmt: skip
def test_names(data, name, told):
    put(data, (numbered(1), said("ham")))
    freeze(data, "first", by="mona")

    with pytest.raises(DataStoreError, match=told):
        freeze(data, name, by="mona")


def test_nothing_labelled_is_nothing_to_freeze(data):
    put(data, numbered(1))

    with pytest.raises(DataStoreError, match="nothing that fits is labelled"):
        freeze(data, "first", by="mona")
    with pytest.raises(DataStoreError, match="there is no snapshot first"):
        snapshot(data, "first")


def test_a_tampered_snapshot_is_noticed(data):
    put(data, (numbered(1), said("ham")))
    freeze(data, "first", by="mona")
    with data.writing() as connection:
        connection.exec_driver_sql("UPDATE frozen SET label = 'spam'")

    with pytest.raises(DataStoreError, match="snapshot first is not what was frozen"):
        snapshot(data, "first")
