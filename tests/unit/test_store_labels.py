"""The history of labels only grows; a person's newest word counts, and a draft is never more than a proposal."""

import pytest
from dataset_rig import data_store, letter, numbered, put, said

from training.store.entry import Filter, LabelSource
from training.store.errors import DataStoreError
from training.store.labelling import give


@pytest.fixture
def data(tmp_path, clock):
    with data_store(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def digest(data):
    return put(data, letter())[0].digest


def test_a_draft_shows_and_does_not_train(data, digest):
    give(data, {digest: "spam"}, source=LabelSource.DRAFT, by="teacher", reason="sells pills", confidence=0.75)

    entry = data.get(digest)
    assert (entry.name, entry.label_source, entry.reviewer) == ("spam", LabelSource.DRAFT, "teacher")
    assert not entry.trains
    assert data.count(Filter(labels=("spam",))) == 0
    assert data.count(Filter(labels=("spam",), drafts=True)) == 1
    [line] = data.history(digest)
    assert (line.reason, line.confidence) == ("sells pills", 0.75)


def test_a_draft_never_displaces_what_a_person_said(data, digest, clock):
    give(data, {digest: "ham"}, source=LabelSource.REVIEW, by="mona")
    clock.forward(days=1)
    give(data, {digest: "spam"}, source=LabelSource.DRAFT, by="teacher")

    entry = data.get(digest)
    assert (entry.name, entry.trains) == ("ham", True)
    assert [c.after for c in data.history(digest)] == ["ham", "spam"]


def test_the_newest_word_counts_whenever_it_came_in(data, digest, clock):
    """Verdicts may be imported late: what was said yesterday does not undo what is said today."""
    give(data, {digest: "spam"}, source=LabelSource.REVIEW, by="mona")
    give(data, {digest: "ham"}, source=LabelSource.REVIEW, by="otto", at=clock.now.replace(year=2025))

    assert data.get(digest).name == "spam"


def test_a_label_taken_back_leaves_none_and_a_record(data, digest, clock):
    give(data, {digest: "spam"}, source=LabelSource.REVIEW, by="mona")
    clock.forward(hours=1)
    give(data, {digest: ""}, source=LabelSource.REVIEW, by="mona")

    assert data.get(digest).bad is None
    assert [(c.before, c.after) for c in data.history(digest)] == [("", "spam"), ("spam", "")]


def test_saying_it_again_adds_nothing_and_a_second_reviewer_adds_a_line(data, digest, clock):
    assert give(data, {digest: "spam"}, source=LabelSource.REVIEW, by="mona") == 1
    clock.forward(hours=1)
    assert give(data, {digest: "spam"}, source=LabelSource.REVIEW, by="mona") == 0
    assert give(data, {digest: "spam"}, source=LabelSource.REVIEW, by="otto") == 1
    assert [c.by for c in data.history(digest)] == ["mona", "otto"]


def test_a_bulk_rule_is_on_record(data, digest):
    with pytest.raises(DataStoreError, match="needs the rule as its reason"):
        give(data, {digest: "spam"}, source=LabelSource.RULE, by="mona")

    give(data, {digest: "spam"}, source=LabelSource.RULE, by="mona", reason="teacher and model agree at 0.99")

    assert data.get(digest).trains
    assert data.history(digest)[0].reason == "teacher and model agree at 0.99"


@pytest.mark.parametrize(("label", "by", "told"), [
    ("junk", "mona", "there is no label 'junk'"),
    ("spam", "  ", "a label needs the name of who gave it"),
])  # fmt: skip
def test_a_wrong_one_among_many_labels_none(data, digest, label, by, told):
    [other] = put(data, numbered(1))

    with pytest.raises(DataStoreError, match=told):
        give(data, {other.digest: "ham", digest: label}, source=LabelSource.REVIEW, by=by)
    with pytest.raises(DataStoreError, match="there is no message"):
        give(data, {other.digest: "ham", "f" * 64: "ham"}, source=LabelSource.REVIEW, by="mona")

    assert data.history() == []


def test_an_import_does_not_displace_a_review_and_accepts_a_draft(data, digest):
    give(data, {digest: "spam"}, source=LabelSource.DRAFT, by="teacher")
    put(data, (letter(), said("spam")))

    assert data.get(digest).label_source is LabelSource.IMPORT
