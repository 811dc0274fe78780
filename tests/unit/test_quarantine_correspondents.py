"""Who writes to whom: hashes only, learnt of what is proved, forgotten in time or when told to."""

from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner
from kept_mail import RAW, START, Spec, kept, mail, new_store, write_config

from gatepost.cli import main
from model.facts import Facts
from quarantine.correspondents import SEEN_AFTER, Bond, Hashed, Meeting, expire, forget, load, remember, signature
from quarantine.errors import StoreError
from quarantine.release import release
from quarantine.retention import housekeep
from quarantine.store import Store

BEN, IDA = "ben@here.example", "ida@sender.example"


class Sent:
    code, text = 250, "250 2.0.0 Ok"


def send(envelope, chunks):
    b"".join(chunks)
    return Sent()


def known(store):
    names = Hashed()
    names.fill(store.hashed, load(store, store.clock()).known)
    return names


def test_whom_we_wrote_to_is_known_by_address_and_domain(store):
    remember(store, [Meeting(BEN, "Ida@Sender.Example", Bond.WROTE)], store.clock())

    names = known(store)

    assert IDA in names
    assert "IDA@sender.example" in names
    assert "sender.example" in names
    assert "ida@other.example" not in names
    assert BEN not in names
    assert (len(names), list(names)) == (2, [])
    assert load(store, store.clock()).mark == signature(store)


def test_nothing_stands_in_clear_and_another_key_makes_other_hashes(tmp_path, store):
    remember(store, [Meeting(BEN, IDA, Bond.WROTE)], store.clock())
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.rollback()
    octets = (tmp_path / "q.db").read_bytes()

    assert not [word for word in (b"ben@", b"ida@", b"sender.example", b"here.example") if word in octets]
    with new_store(tmp_path / "other") as other:
        assert other.hashed(IDA) != store.hashed(IDA)


def test_strangers_are_told_apart_only_when_the_list_is_old_enough(store, clock):
    remember(store, [Meeting(BEN, IDA, Bond.SEEN)], clock.now)
    assert load(store, clock.now).seen == frozenset()

    clock.forward(seconds=SEEN_AFTER.total_seconds())
    found = load(store, clock.now)

    assert store.hashed(IDA) in found.seen
    assert found.known == frozenset()


def test_a_pair_is_stored_once_and_its_last_time_counts(tmp_path, clock):
    with new_store(tmp_path, clock, correspondents_days=10) as store:
        remember(store, [Meeting(BEN, IDA, Bond.WROTE)], clock.now)
        clock.forward(days=9)
        remember(store, [Meeting(BEN, IDA, Bond.WROTE), Meeting(BEN, "old@x.example", Bond.WROTE)], clock.now)
        assert signature(store)[0] == 2
        clock.forward(days=9)
        remember(store, [Meeting(BEN, IDA, Bond.WROTE)], clock.now)

        assert housekeep(store, clock.forward(days=2)).correspondents == 1
        assert IDA in known(store)
        assert "old@x.example" not in known(store)


def test_above_the_limit_the_oldest_are_forgotten(tmp_path, clock):
    with new_store(tmp_path, clock, correspondents_most=3) as store:
        for number in range(5):
            remember(store, [Meeting(BEN, f"a{number}@x{number}.example", Bond.WROTE)], clock.forward(minutes=1))

        assert expire(store, clock.now) == 2
        assert [n for n in range(5) if f"a{n}@x{n}.example" in known(store)] == [2, 3, 4]
        assert expire(store, clock.now) == 0


@pytest.mark.parametrize(("who", "gone"), [
    ("IDA@sender.example", 2), (BEN, 2), ("sender.example", 3), ("nobody@x.example", 0), ("here.example", 0),
])  # fmt: skip
def test_forgetting(store, who, gone):
    pairs = [(BEN, IDA), ("cy@here.example", IDA), (BEN, "otto@sender.example")]
    remember(store, [Meeting(*pair, Bond.WROTE) for pair in pairs], store.clock())

    assert forget(store, who) == gone
    assert signature(store)[0] == 3 - gone


def keep_from(store, authenticated, direction="inbound", **facts):
    one = mail(RAW, BEN, direction=direction)
    [copy] = kept(one, Spec())
    copy = replace(copy, screening=replace(copy.screening, facts=Facts(authenticated=authenticated, **facts)))
    return store.keep(one, [copy], pending=False, listener="in").items[0]


@pytest.mark.parametrize(("authenticated", "learnt"), [(True, True), (False, False), (None, False)])
def test_a_release_makes_an_authenticated_sender_known_and_no_other(store, authenticated, learnt):
    release(store, keep_from(store, authenticated), send, by="mona")

    assert (IDA in known(store)) is learnt


def test_what_is_no_persons_word_on_this_sender_makes_nobody_known(store):
    release(store, keep_from(store, True), send, by="housekeeping", by_person=False)
    release(store, keep_from(store, True), send, by="mona", to="otto@here.example", reason="he asked for it")
    release(store, keep_from(store, True, direction="outbound"), send, by="mona")
    release(store, keep_from(store, True, from_ambiguous=True), send, by="mona")

    assert signature(store)[0] == 0


def test_a_release_does_not_fail_for_it(store, monkeypatch):
    def fail(*_):
        raise StoreError("no room left on the disk")

    monkeypatch.setattr("quarantine.release.remember", fail)

    assert release(store, keep_from(store, True), send, by="mona").state == "released"


def test_switched_off_nothing_is_learnt_and_the_rest_goes(tmp_path, clock):
    with new_store(tmp_path, clock) as store:
        remember(store, [Meeting(BEN, IDA, Bond.WROTE)], clock.now)
        off = store.settings.model_copy(update={"correspondents_days": 0})
    with Store.open(off, clock=clock) as store:
        release(store, keep_from(store, True), send, by="mona")
        assert housekeep(store, START + timedelta(seconds=1)).correspondents == 1
        assert signature(store)[0] == 0


def test_the_command_forgets(tmp_path):
    write_config(tmp_path)
    with new_store(tmp_path) as store:
        remember(store, [Meeting(BEN, IDA, Bond.WROTE), Meeting(BEN, "x@y.example", Bond.SEEN)], store.clock())

    done = CliRunner().invoke(main, ["quarantine", "forget-correspondent", IDA, "nobody@x.example"],
                              env={"GATEPOST_CONFIG": str(tmp_path / "config.toml")})  # fmt: skip

    assert (done.exit_code, done.output) == (0, f"{IDA}: 1 pair forgotten\nnobody@x.example: 0 pairs forgotten\n")
    with Store.open(store.settings) as again:
        assert signature(again)[0] == 1
