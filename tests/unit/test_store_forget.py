"""What is forgotten is gone: from tables, from the bytes of the files, from snapshots and caches; and stays gone."""

import json
import sqlite3
import zlib
from hashlib import sha256

import pytest
from dataset_rig import data_store, letter, lists, numbered, put, said

from training.reading import Raw, Reader, remembered
from training.store.entry import Filter, LabelSource, Outcome
from training.store.errors import DataStoreError
from training.store.forget import Subject, forget, lift
from training.store.labelling import give
from training.store.proof import models_with, verify
from training.store.snapshots import freeze, listed, snapshot

WORD = "Wolkenkuckucksheim"
SECRET = letter(f"Meet me in {WORD} on Friday, and bring the papers we talked about.", sender="rare@name.example")


@pytest.fixture
def data(tmp_path, clock):
    with data_store(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def read(cache, *messages):
    with Reader(cache, lists()) as reader:
        list(reader.read(Raw(raw, {}) for raw in messages))


def bytes_of(*folders):
    return b"".join(file.read_bytes().lower() for folder in folders for file in folder.iterdir())


def texts_of(cache):
    with sqlite3.connect(cache / "seen.sqlite") as db:
        found = [zlib.decompress(value).decode() for (value,) in db.execute("SELECT value FROM seen")]
    db.close()
    return found


def gone(data, cache, digest):
    found = bytes_of(data.settings.path, cache)
    return not any(word in found for word in (b"rare@name.example", digest.encode(), digest[:16].encode()))


def test_a_message_is_gone_to_the_last_byte(data, cache):
    [secret, other] = put(data, (SECRET, said("ham")), (numbered(1), said("spam")))
    read(cache, SECRET, numbered(1))
    made = freeze(data, "first", by="mona")
    assert not gone(data, cache, secret.digest)
    assert any(WORD in text for text in texts_of(cache))

    done = forget(data, Subject(digest=secret.digest), by="mona", cache=cache)

    assert done.digests == (secret.digest,)
    assert done.snapshots == (("first", made.fingerprint),)
    assert gone(data, cache, secret.digest)
    assert not any(WORD in text for text in texts_of(cache))
    assert verify(data, Subject(digest=secret.digest), cache) == []
    assert [e.digest for e in data.entries()] == [other.digest]
    assert len(texts_of(cache)) == 1


def test_a_snapshot_that_held_it_is_superseded(data, cache, clock):
    [secret, _] = put(data, (SECRET, said("ham")), (numbered(1), said("spam")))
    made = freeze(data, "first", by="mona")
    clock.forward(days=1)
    forget(data, Subject(digest=secret.digest), by="mona", cache=cache)

    with pytest.raises(DataStoreError, match="a part of snapshot first was forgotten on 2026-03-02"):
        snapshot(data, "first")

    assert [(s.fingerprint, s.superseded, s.size) for s in listed(data)] == [(made.fingerprint, clock.now, 1)]
    again = freeze(data, "second", by="mona")
    assert again.fingerprint != made.fingerprint
    assert snapshot(data, "second").size == 1


def test_it_does_not_come_back_and_can_be_let_in_again(data, cache):
    [secret] = put(data, (SECRET, said("ham")))
    subject = Subject(digest=secret.digest)
    forget(data, subject, by="mona", cache=cache)

    assert put(data, (SECRET, said("ham")))[0].outcome is Outcome.FORGOTTEN
    assert data.count() == 0

    assert lift(data, subject)
    assert not lift(data, subject)
    assert put(data, (SECRET, said("ham")))[0].outcome is Outcome.ADDED


@pytest.mark.parametrize("name", ["rare@name.example", "name.example", "@name.example", "Name.Example."])
def test_a_sender_is_forgotten_with_all_mail_and_later_mail_is_not_added(data, cache, name):
    put(data, SECRET, letter("Another one", sender="rare@name.example"), numbered(1, sender="arare@other.example"))

    done = forget(data, Subject(sender=name), by="mona", cache=cache)

    assert len(done.digests) == 2
    assert b"@name.example" not in bytes_of(data.settings.path)
    assert verify(data, Subject(sender=name), cache) == []
    assert put(data, letter("A third", sender="rare@name.example"))[0].outcome is Outcome.FORGOTTEN
    assert data.count() == 1


def test_a_domain_takes_what_is_below_it_and_not_what_ends_alike(data, cache):
    put(data, numbered(1, sender="a@mail.shop.example"), numbered(2, sender="a@myshop.example"))

    done = forget(data, Subject(sender="shop.example"), by="mona", cache=cache)

    assert len(done.digests) == 1
    assert [e.sender for e in data.entries()] == ["a@myshop.example"]
    assert verify(data, Subject(sender="shop.example"), cache) == []
    assert put(data, numbered(3, sender="x@new.shop.example"))[0].outcome is Outcome.FORGOTTEN


def test_a_senders_reports_are_forgotten_too(data, cache):
    who = "rare@name.example"
    put(data, (numbered(1), said("bad", source=LabelSource.DRAFT, by=who, reporter=who)))

    forget(data, Subject(sender="rare@name.example"), by="mona", cache=cache)

    [entry] = data.entries()
    assert (entry.reporter, entry.name) == ("", "")
    assert b"rare@name.example" not in bytes_of(data.settings.path)


def test_a_reviewer_is_forgotten_and_others_words_count_again(data, cache, clock):
    [one, two] = put(data, (numbered(1), said("ham", by="otto")), (numbered(2), said("spam", by="quentin")))
    clock.forward(days=1)
    give(data, {one.digest: "spam"}, source=LabelSource.REVIEW, by="quentin")
    freeze(data, "first", by="quentin")

    done = forget(data, Subject(reviewer="quentin"), by="mona", cache=cache)

    assert sorted(done.unlabelled) == sorted([one.digest, two.digest])
    assert (data.get(one.digest).name, data.get(two.digest).name) == ("ham", "")
    assert listed(data)[0].superseded == clock.now
    assert b"quentin" not in bytes_of(data.settings.path)
    assert verify(data, Subject(reviewer="quentin"), cache) == []
    put(data, (numbered(2), said("spam", by="quentin")))
    assert data.get(two.digest).bad is None, "the labels of a forgotten reviewer are not taken again"


def test_a_dry_run_changes_nothing(data, cache):
    [secret] = put(data, (SECRET, said("ham")))
    freeze(data, "first", by="mona")
    read(cache, SECRET)

    plan = forget(data, Subject(digest=secret.digest), by="mona", cache=cache, dry_run=True)

    assert (plan.digests, plan.snapshots[0][0]) == ((secret.digest,), "first")
    assert snapshot(data, "first").size == 1
    assert remembered(cache) == ([secret.digest], 0)
    left = verify(data, Subject(digest=secret.digest), cache)
    assert left[:2] == [
        f"message {secret.digest} is in the data store",
        "it was never forgotten: no mark of it is in the data store",
    ]
    assert left[2].endswith(f": its bytes hold {secret.digest}")


def test_verify_finds_what_came_back_into_the_cache(data, cache):
    [secret] = put(data, (SECRET, said("ham")))
    forget(data, Subject(digest=secret.digest), by="mona", cache=cache)
    read(cache, SECRET)

    assert verify(data, Subject(digest=secret.digest), cache) == [f"{cache}: message {secret.digest} is cached"]


def test_cached_rows_that_do_not_say_of_which_message_they_are_go_too(data, cache):
    """Caches of older versions: nobody can tell whether they hold it."""
    [secret] = put(data, (SECRET, said("ham")))
    read(cache, SECRET, numbered(1))
    with sqlite3.connect(cache / "seen.sqlite") as db:
        db.execute("DELETE FROM origins")
    db.close()
    assert remembered(cache) == ([], 2)

    forget(data, Subject(digest=secret.digest), by="mona", cache=cache)

    assert texts_of(cache) == []


def test_what_is_left_of_a_campaign_is_found_by_the_next_copy(data, cache):
    """The group loses its name, which was the beginning of a digest, and the entry through which it was found."""
    copies = [letter(date=f"Mon, 02 Feb 2026 10:00:{n:02} +0000") for n in range(4)]
    copies.sort(key=lambda raw: sha256(raw).digest())
    first, second = put(data, *copies[:2])
    near = letter().replace(b"Thursday", b"Saturday")
    assert data.get(second.digest).group == first.digest[:16]

    forget(data, Subject(digest=first.digest), by="mona", cache=cache)
    put(data, copies[2], near)

    assert len({e.group for e in data.entries()}) == 1
    assert first.digest[:16] not in {e.group for e in data.entries()}
    assert data.count(Filter(group=data.get(second.digest).group)) == 3


def test_a_snapshot_that_only_named_a_group_after_it_is_superseded_too(data, cache):
    """Its group would keep the beginning of the digest, and with another name the fingerprint is another."""
    copies = [letter(date=f"Mon, 02 Feb 2026 10:00:{n:02} +0000") for n in range(2)]
    copies.sort(key=lambda raw: sha256(raw).digest())
    [first, _, _] = put(data, (copies[0], said("ham", collection="a")), (copies[1], said("ham", collection="b")),
                        (numbered(1), said("spam", collection="c")))  # fmt: skip
    freeze(data, "mates", by="mona", wanted=Filter(collections=("b",)))
    freeze(data, "strangers", by="mona", wanted=Filter(collections=("c",)))

    done = forget(data, Subject(digest=first.digest), by="mona", cache=cache)

    assert [name for name, _ in done.snapshots] == ["mates"]
    assert [s.name for s in listed(data) if s.superseded] == ["mates"]
    assert snapshot(data, "strangers").size == 1
    assert first.digest[:16].encode() not in bytes_of(data.settings.path)


def test_a_snapshot_that_knew_a_group_by_an_older_name_keeps_nothing_of_it(data, cache):
    copies = [letter(date=f"Mon, 02 Feb 2026 10:00:{n:02} +0000") for n in range(3)]
    copies.sort(key=lambda raw: sha256(raw).digest())
    [named, _] = put(data, (copies[1], said("ham")), (copies[2], said("ham")))
    assert freeze(data, "early", by="mona").entries[0].group == named.digest[:16]
    put(data, copies[0])

    forget(data, Subject(digest=named.digest), by="mona", cache=cache)

    assert named.digest[:16].encode() not in bytes_of(data.settings.path)
    assert len(snapshot(data, "early", superseded=True).entries) == 1


def test_models_that_learnt_from_it_are_named(tmp_path):
    for version, mark in (("1", "a" * 64), ("2", "b" * 64)):
        folder = tmp_path / "models" / "versions" / version
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"training": {"data": {"snapshot": mark}}}))

    shelf = tmp_path / "models"
    assert models_with(["a" * 64], [shelf, tmp_path / "none"]) == [shelf / "versions" / "1"]
    assert models_with([], [tmp_path / "models"]) == []


def test_others_that_keep_something_of_it_are_told_its_digest(data, cache):
    [secret, _] = put(data, SECRET, numbered(1))
    told = []

    def other(digests):
        told.extend(digests)
        return 3

    done = forget(data, Subject(sender="name.example"), by="mona", cache=cache, others=[other])

    assert (told, done.readings) == ([secret.digest], 3)


def test_what_is_deleted_is_overwritten_even_before_the_file_is_written_anew(data):
    with data.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1


def test_a_file_in_use_is_told_and_the_next_time_ends_it(data, cache, tmp_path):
    [secret] = put(data, SECRET)
    with data_store(tmp_path, busy_seconds=0.1) as other:
        with data.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM entries").all()
            with pytest.raises(DataStoreError, match="it is forgotten, but"):
                forget(other, Subject(digest=secret.digest), by="mona", cache=cache)
        assert data.count() == 0
        forget(other, Subject(digest=secret.digest), by="mona", cache=cache)
        assert verify(other, Subject(digest=secret.digest), cache) == []


def test_forgetting_twice_is_no_error(data, cache):
    [secret] = put(data, SECRET)
    for _ in range(2):
        forget(data, Subject(digest=secret.digest), by="mona", cache=cache)

    assert verify(data, Subject(digest=secret.digest), cache) == []
