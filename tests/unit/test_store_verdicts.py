"""Verdicts of the quarantine become labels; deeds do not, and nothing is taken over twice."""

import pytest
from dataset_rig import data_store, letter, lists, numbered
from kept_mail import keep, kept, mail
from sqlalchemy import update

from model.labels import Label
from quarantine import moves
from quarantine.schema import bodies, messages
from training.store.entry import LabelSource, Origin, Outcome
from training.store.verdicts import take_over


@pytest.fixture
def data(tmp_path, clock):
    with data_store(tmp_path, clock) as opened:
        yield opened


def test_verdicts_come_over_with_their_names_and_times(store, data, clock):
    item = keep(store, mail(letter()))
    clock.forward(hours=1)
    moves.label(store, item, Label.SPAM, by="mona", reason="a shop")
    said_at = clock.now
    clock.forward(days=2)

    [done] = take_over(data, store, lists(), licence="own mail")

    assert done.outcome is Outcome.ADDED
    entry = data.get(done.digest)
    assert data.raw(done.digest) == letter()
    assert (entry.label, entry.label_source, entry.reviewer, entry.labelled) == (
        Label.SPAM, LabelSource.REVIEW, "mona", said_at)  # fmt: skip
    assert (entry.collection, entry.origin) == ("quarantine", Origin.KEPT)
    assert entry.provenance == f"quarantine item {item}"
    assert entry.licence == "own mail"
    assert data.history(done.digest)[0].reason == "a shop"


def test_deeds_label_nothing(store, data):
    moves.reject(store, keep(store, mail(numbered(1))), by="mona", reason="bad")
    moves.remove(store, keep(store, mail(numbered(2))), by="mona", reason="bad")
    keep(store, mail(numbered(3)))

    assert list(take_over(data, store, lists())) == []
    assert data.count() == 0


def test_a_second_time_nothing_and_a_new_word_is_a_new_line(store, data, clock):
    item = keep(store, mail(letter()))
    moves.label(store, item, Label.SPAM, by="mona")
    list(take_over(data, store, lists()))
    assert [d.outcome for d in take_over(data, store, lists())] == [Outcome.KNOWN]

    clock.forward(days=1)
    moves.label(store, item, Label.PHISHING, by="otto")
    [done] = take_over(data, store, lists())

    assert done.outcome is Outcome.LABELLED
    assert [(c.by, c.after) for c in data.history(done.digest)] == [("mona", "spam"), ("otto", "phishing")]
    assert data.get(done.digest).label is Label.PHISHING


def test_a_label_taken_back_is_none(store, data, clock):
    item = keep(store, mail(letter()))
    moves.label(store, item, Label.SPAM, by="mona")
    clock.forward(minutes=1)
    moves.unlabel(store, item, by="mona")

    [done] = take_over(data, store, lists())

    assert data.get(done.digest).bad is None


def test_two_recipients_of_one_message_are_one_entry_with_both_words(store, data, clock):
    one = mail(letter(), "ben@here.example", "eva@here.example")
    items = store.keep(one, kept(one), pending=False).items
    moves.label(store, items[0], Label.SPAM, by="mona")
    clock.forward(minutes=1)
    moves.label(store, items[1], Label.HAM, by="otto")

    [done] = take_over(data, store, lists())

    assert data.get(done.digest).label is Label.HAM
    assert len(data.history(done.digest)) == 2


def test_what_is_gone_or_damaged_does_not_stop_the_rest(store, data):
    ids = [keep(store, mail(numbered(n))) for n in range(3)]
    for item in ids:
        moves.label(store, item, Label.SPAM, by="mona")
    with store.reading() as connection:
        first, second, _ = connection.execute(messages.select().order_by(messages.c.kept_at, messages.c.id)).all()
    with store.writing() as connection:
        connection.execute(update(messages).where(messages.c.id == first.id).values(body=False))
        connection.execute(update(bodies).where(bodies.c.message_id == second.id).values(data=b"x" * 40))

    done = list(take_over(data, store, lists()))

    assert [d.outcome for d in done] == [Outcome.ADDED, Outcome.UNREADABLE]
    assert done[1].why == f"message {second.id} cannot be opened: it was altered, or sealed with another key"
