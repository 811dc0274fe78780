"""Mail comes into the data store once, whole, with what is known of it; again, it changes nothing."""

import stat
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from dataset_rig import data_store, letter, numbered, put, said

from model.labels import Label
from model.mail import Direction
from training.store.entry import About, Filter, LabelSource, Origin, Outcome, compatible, read_label
from training.store.errors import DataStoreError
from training.store.look import has_langid


@pytest.fixture
def data(tmp_path, clock):
    with data_store(tmp_path, clock) as opened:
        yield opened


def test_what_was_added_is_there_byte_for_byte_with_all_that_is_known(data, clock):
    raw = letter(sender="Ida@News.Shop.example") + b"\xff\x00 odd octets\r\n" * 30
    about = said("phishing", collection="c1", provenance="a.eml", licence="CC0", origin=Origin.SAMPLED,
                 sample_weight=20.0, direction=Direction.OUTBOUND, reporter="r@x.example")  # fmt: skip

    [done] = put(data, (raw, about))

    assert done.outcome is Outcome.ADDED
    assert data.raw(done.digest) == raw
    entry = data.get(done.digest[:8])
    assert entry.digest == sha256(raw).hexdigest()
    assert (entry.label, entry.bad, entry.label_source, entry.reviewer) == (
        Label.PHISHING, True, LabelSource.IMPORT, "mona")  # fmt: skip
    assert (entry.sender, entry.sender_domain) == ("ida@news.shop.example", "shop.example")
    assert (entry.collection, entry.provenance, entry.licence) == ("c1", "a.eml", "CC0")
    assert entry.reporter == "r@x.example"
    assert (entry.origin, entry.sample_weight, entry.direction) == (Origin.SAMPLED, 20.0, Direction.OUTBOUND)
    assert entry.received == datetime(2026, 2, 2, 10, tzinfo=UTC)
    assert entry.added == clock.now
    assert entry.lang == ("en" if has_langid() else "")
    assert entry.size == len(raw)


def test_nothing_of_a_message_stands_in_clear_in_the_file(data, tmp_path):
    put(data, letter("The secret word is Wolkenkuckucksheim, and it is long enough to be a text of its own."))

    for file in (tmp_path / "dataset").iterdir():
        assert b"wolkenkuckucksheim" not in file.read_bytes().lower()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "dataset").stat().st_mode) == 0o700


def test_adding_again_changes_nothing(data, clock):
    put(data, (letter(), said("ham")))
    before = data.entries()
    clock.forward(days=1)

    [done] = put(data, (letter(), said("ham", collection="other", by="otto")))

    assert done.outcome is Outcome.KNOWN
    assert data.entries() == before
    assert len(data.history()) == 1


def test_twice_in_one_batch_is_once(data):
    assert [d.outcome for d in put(data, letter(), letter())] == [Outcome.ADDED, Outcome.KNOWN]
    assert data.count() == 1


def test_a_label_comes_to_what_had_none(data):
    [first] = put(data, letter())
    assert data.get(first.digest).bad is None

    [done] = put(data, (letter(), said("bad")))

    assert done.outcome is Outcome.LABELLED
    entry = data.get(first.digest)
    assert (entry.label, entry.bad, entry.name) == (None, True, "bad")


def test_another_label_is_told_and_changes_only_when_asked_for(data):
    [first] = put(data, (letter(), said("ham")))

    [told] = put(data, (letter(), said("spam")))
    assert (told.outcome, told.why) == (Outcome.DIFFERS, "it is labelled ham there, and spam here")
    assert data.get(first.digest).name == "ham"

    [changed] = put(data, (letter(), said("spam", by="otto")), relabel=True)
    assert changed.outcome is Outcome.LABELLED
    assert [(c.by, c.before, c.after) for c in data.history(first.digest)] == [
        ("mona", "", "ham"), ("otto", "ham", "spam")]  # fmt: skip


def test_what_is_no_message_is_refused_and_the_rest_is_added(data):
    done = put(data, b"%PDF-1.4\n1 0 obj\n", b"", b"just words\n\nand more", b"\x00\x01\x02: x", letter())

    assert [d.outcome for d in done] == [Outcome.UNREADABLE] * 4 + [Outcome.ADDED]
    assert done[0].why == "no header field at its beginning: this is no message"


def test_a_message_of_several_megabytes_comes_back_whole(data):
    raw = letter() + b"".join(sha256(str(n).encode()).hexdigest().encode() + b"\r\n" for n in range(60_000))

    [done] = put(data, raw)

    assert data.raw(done.digest) == raw


def test_the_time_is_the_last_hops_and_nonsense_is_none(data):
    hop = b"Received: from a by b; Tue, 03 Feb 2026 01:00:00 +0100\r\n"
    later = [hop + numbered(1), numbered(2, date="Mon, 02 Feb 2093 10:00:00 +0000"), numbered(3, date="yesterday")]

    digests = [d.digest for d in put(data, *later)]

    assert [data.get(d).received for d in digests] == [datetime(2026, 2, 3, 0, tzinfo=UTC), None, None]


def test_filters(data):
    put(data, (numbered(1), said("ham", collection="a")), (numbered(2), said("spam", collection="b")), numbered(3),
        (numbered(4, sender="x@mail.other.example"), said("ham", source=LabelSource.DRAFT)))  # fmt: skip

    def found(**wanted):
        return data.count(Filter(**wanted))

    assert found() == 4
    assert found(collections=("a", "b")) == 2
    assert found(labels=("spam",)) == 1
    assert found(labelled=True) == 2
    assert found(labelled=False) == 2
    assert found(drafts=True) == 1
    assert found(sender="shop.example") == 3
    assert found(sender="other.example") == 1
    assert found(sender="x@mail.other.example") == 1
    assert found(sender="op.example") == 0
    assert found(origins=(Origin.KEPT,)) == 0


@pytest.mark.parametrize(("given", "told"), [
    ("abc", "'abc' is no id: give at least 6 of its 64 digits 0-9 and a-f"),
    ("xyzxyz", "'xyzxyz' is no id: give at least 6 of its 64 digits 0-9 and a-f"),
    ("0123456789", "there is no message 0123456789 in the data store"),
])  # fmt: skip
def test_an_id_that_is_none(data, given, told):
    with pytest.raises(DataStoreError, match=told):
        data.get(given)


def test_a_label_that_does_not_exist_stops_before_anything_is_written(data):
    with pytest.raises(DataStoreError, match="there is no label 'junk'; labels are ham, spam, phishing, fraud, bad"):
        put(data, (letter(), said("ham")), (numbered(1), About(label="junk", by="mona", provenance="x.csv")))

    assert data.count() == 0


def test_labels_that_can_and_cannot_be_true_together():
    assert compatible(["spam", "bad"])
    assert compatible(["ham", "ham"])
    assert not compatible(["ham", "bad"])
    assert not compatible(["spam", "fraud", "bad"])
    assert read_label("") == (None, None)
    assert read_label("bad") == (None, True)
