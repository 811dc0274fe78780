"""Keeping mail: one durable transaction, tickets, and plain words where it cannot be done."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kept_mail import RAW, Clock, Spec, keep, kept, mail, new_store, store_settings
from sqlalchemy import text

from model.mail import Mail, RawWriter
from model.verdict import Route
from quarantine import moves
from quarantine.errors import StoreError, StoreFull
from quarantine.item import State
from quarantine.migrate import migrate
from quarantine.search import Filter, body, find, get
from quarantine.store import Store


def states(store):
    return sorted(one.item.state for one in find(store, Filter()))


def rows(store, table):
    with store.reading() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()  # noqa: S608 - a name of ours


def test_what_is_kept_comes_back_exactly(tmp_path):
    with new_store(tmp_path) as store:
        item = keep(store, mail(RAW, "ben@here.example", params=("BODY=8BITMIME", "SIZE=81")))
        found = get(store, item)

        assert b"".join(body(store, found.item.message)) == RAW
        assert found.message.sender == "ida@sender.example"
        assert found.message.params == ("BODY=8BITMIME", "SIZE=81")
        assert found.message.client.queue_id == "4ABC"
        assert found.record.recipient.params == ("NOTIFY=NEVER", "ORCPT=rfc822;ben@here.example")
        assert found.item.state is State.QUARANTINED
        assert (found.item.listener, found.item.direction, found.item.size) == ("in", "inbound", len(RAW))
        assert found.record.reasons[0].detail == "0.93 >= 0.80"


def test_a_message_to_several_is_stored_once(tmp_path):
    with new_store(tmp_path) as store:
        one = mail(RAW, "a@here.example", "b@here.example", "c@here.example")
        ticket = store.keep(one, kept(one), pending=False)

        assert len(set(ticket.items)) == 3
        assert rows(store, "messages") == rows(store, "bodies") == 1
        assert {x.item.recipient for x in find(store, Filter())} == {f"{c}@here.example" for c in "abc"}


def test_a_message_from_the_spool_comes_back_exactly(tmp_path):
    """5 MB that do not compress: several rows, read from an unlinked file."""
    writer = RawWriter(tmp_path)
    data = os.urandom(5_000_000)
    for at in range(0, len(data), 70_000):
        writer.write(data[at : at + 70_000])
    with new_store(tmp_path) as store, writer.finish() as raw:
        item = keep(store, Mail(mail().envelope, raw, mail().direction))

        assert rows(store, "bodies") == 6
        assert b"".join(body(store, get(store, item).item.message)) == data


@pytest.mark.parametrize(
    ("route", "state"),
    [(Route.QUARANTINE, State.QUARANTINED), (Route.REJECT, State.QUARANTINED), (Route.HOLD, State.HELD),
     (Route.UNSCORED, State.HELD)],
)  # fmt: skip
def test_the_route_decides_the_state_and_only_held_mail_has_a_deadline(tmp_path, route, state):
    clock = Clock()
    with new_store(tmp_path, clock, hold_deadline="2d") as store:
        found = get(store, keep(store, route=route)).item

        assert found.state is state
        assert (found.deadline is not None) == (state is State.HELD)


def test_mail_to_deliver_is_not_kept(tmp_path):
    with new_store(tmp_path) as store, pytest.raises(ValueError, match="deliver"):
        keep(store, route=Route.DELIVER)


def test_pending_mail_is_seen_by_nobody_until_confirmed(tmp_path):
    with new_store(tmp_path) as store:
        one = mail(RAW, "a@here.example", "b@here.example")
        both = [kept(one)[0], kept(one, Spec(route=Route.HOLD))[1]]
        ticket = store.keep(one, both, pending=True)

        assert states(store) == []
        with pytest.raises(StoreError, match="no item"):
            get(store, ticket.items[0])

        store.confirm(ticket)

        assert states(store) == [State.HELD, State.QUARANTINED]


def test_cancelling_leaves_nothing_and_twice_is_once(tmp_path):
    with new_store(tmp_path) as store:
        ticket = store.keep(mail(), kept(mail()), pending=True)

        store.cancel(ticket)
        store.cancel(ticket)

        assert [rows(store, t) for t in ("items", "messages", "bodies")] == [0, 0, 0]
        with pytest.raises(StoreError, match="not pending"):
            store.confirm(ticket)


def test_what_was_confirmed_is_not_cancelled(tmp_path):
    with new_store(tmp_path) as store:
        ticket = store.keep(mail(), kept(mail()), pending=True)
        store.confirm(ticket)

        with pytest.raises(StoreError, match="confirmed"):
            store.cancel(ticket)
        with pytest.raises(StoreError, match="not pending"):
            store.confirm(ticket)

        assert states(store) == [State.QUARANTINED]


def test_octets_that_are_not_text_survive_in_addresses(tmp_path):
    """Addresses hold surrogate escapes; a column of text cannot, and shows them as escapes."""
    with new_store(tmp_path) as store:
        odd = b"f\xfcr\0@here.example".decode("utf-8", "surrogateescape")
        found = get(store, keep(store, mail(RAW, odd, sender=odd)))

        assert found.record.recipient.address == found.message.sender == odd
        assert found.item.sender == "f\\udcfcr\\x00@here.example"


def test_neither_subject_nor_text_nor_names_are_in_the_files(tmp_path):
    with new_store(tmp_path) as store:
        keep(store, subject="Confidential-Subject", text="Confidential-Text")
    data = b"".join(p.read_bytes() for p in tmp_path.iterdir() if p.name.startswith("q.db"))

    for word in (b"Confidential", b"The offer", b"Ida", b"Two lines", b"bill.pdf", b"192.0.2.7", b"4ABC", b"4111"):
        assert word not in data
    assert b"ben@here.example" in data  # what lists filter by is in clear, and the documentation says so


def test_the_files_are_for_their_owner_only(tmp_path):
    with new_store(tmp_path) as store:
        keep(store)
        modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}

    assert set(modes) == {"q.db", "q.db-wal", "q.db-shm", "q.key"}
    assert set(modes.values()) == {0o600}


def test_a_database_that_is_open_to_others_is_closed_at_the_next_start(tmp_path):
    new_store(tmp_path).close()
    (tmp_path / "q.db").chmod(0o644)

    migrate(store_settings(tmp_path))

    assert (tmp_path / "q.db").stat().st_mode & 0o777 == 0o600


def test_what_was_done_is_never_rewritten(tmp_path):
    """Not by us, for there is no function for it, and not by others who open the database."""
    with new_store(tmp_path) as store:
        moves.reject(store, keep(store), by="mona", reason="bad")

        with pytest.raises(StoreError), store.writing() as connection:
            connection.execute(text("UPDATE reviews SET by = 'eve'"))


def test_sqlite_is_set_up_for_durability(tmp_path):
    with new_store(tmp_path) as store, store.engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys", "busy_timeout")
        }

    assert found == {
        "journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "foreign_keys": 1, "busy_timeout": 10_000,
    }  # fmt: skip


def test_a_full_disk_is_its_own_error_and_leaves_nothing(tmp_path):
    with new_store(tmp_path) as store:
        keep(store)
        with store.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")

        with pytest.raises(StoreFull, match=r"q\.db: no room left"):
            keep(store, mail(os.urandom(100_000)))

        assert len(states(store)) == rows(store, "messages") == 1


def test_errors_quote_no_mail(tmp_path):
    with new_store(tmp_path) as store:
        with store.writing() as connection:
            connection.execute(text("DROP TABLE bodies"))
        with pytest.raises(StoreError) as caught:
            keep(store, mail(RAW, "private@here.example"))

    whole = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "private" not in whole
    assert "ida@" not in whole


def test_a_locked_database_is_said_after_the_wait(tmp_path):
    with new_store(tmp_path, busy_seconds=0.2) as store:
        other = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(StoreError, match="busy"):
                keep(store)
        finally:
            other.execute("ROLLBACK")
            other.close()

        keep(store)


def test_writers_wait_for_each_other(tmp_path):
    """Four threads with a store each, twenty mails each: every one is kept."""
    settings = store_settings(tmp_path)
    migrate(settings)
    failures = []

    def work():
        try:
            with Store.open(settings) as store:
                for _ in range(20):
                    keep(store)
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    with Store.open(settings) as store:
        assert len(states(store)) == 80


KILLED = """
import sys, os
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from kept_mail import keep, store_settings
from quarantine.store import Store
with Store.open(store_settings(Path(sys.argv[1]))) as store:
    while True:
        print(keep(store), flush=True)
"""


def test_everything_kept_before_a_kill_is_there_after_it(tmp_path):
    new_store(tmp_path).close()
    support = str(Path(sys.modules["kept_mail"].__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), support], stdout=subprocess.PIPE, text=True
    ) as child:
        said = [child.stdout.readline().strip() for _ in range(20)]
        child.kill()
        said += child.stdout.read().split()

    with Store.open(store_settings(tmp_path)) as store:
        there = {one.item.id for one in find(store, Filter())}
        assert set(said) <= there
        for one in find(store, Filter()):
            assert b"".join(body(store, one.item.message)) == RAW


def test_a_missing_database_is_not_made_by_opening(tmp_path):
    with pytest.raises(StoreError, match=r"q\.db: there is no database yet; `gatepost serve` makes it"):
        Store.open(store_settings(tmp_path))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["text", "zeros", "middle"])
def test_a_damaged_database_is_named_with_what_to_do(tmp_path, damage):
    with new_store(tmp_path) as store:
        keep(store)
    path = tmp_path / "q.db"
    data = path.read_bytes()
    wrong = {"text": b"not a database" * 999, "zeros": b"\0" * len(data), "middle": data[:100] + b"\xa5" * len(data)}
    path.write_bytes(wrong[damage][: len(data)])

    with pytest.raises(StoreError, match=r"q\.db: the database is damaged.*restore it"):
        Store.open(store_settings(tmp_path))


def test_another_key_is_refused_at_once(tmp_path):
    new_store(tmp_path).close()
    (tmp_path / "q.key").unlink()
    other = tmp_path / "other"
    other.mkdir()
    new_store(other).close()
    (other / "q.key").rename(tmp_path / "q.key")

    with pytest.raises(StoreError, match="not the key of"):
        Store.open(store_settings(tmp_path))
    with pytest.raises(StoreError, match="not the key of"):
        migrate(store_settings(tmp_path))


def test_a_lost_key_is_never_replaced_by_a_new_one(tmp_path):
    new_store(tmp_path).close()
    (tmp_path / "q.key").unlink()

    with pytest.raises(StoreError, match="key file is missing"):
        migrate(store_settings(tmp_path))
    assert not (tmp_path / "q.key").exists()


def test_migrating_again_changes_nothing(tmp_path):
    with new_store(tmp_path) as store:
        item = keep(store)
    migrate(store_settings(tmp_path))

    with Store.open(store_settings(tmp_path)) as store:
        assert get(store, item).item.id == item


def test_several_may_migrate_at_once(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\nfrom pathlib import Path\n"
        "from kept_mail import store_settings\n"
        "from quarantine.migrate import migrate\nmigrate(store_settings(Path(sys.argv[1])))"
    )
    support = str(Path(sys.modules["kept_mail"].__file__).parent)
    children = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), support]) for _ in range(3)]

    assert [child.wait(60) for child in children] == [0, 0, 0]
    Store.open(store_settings(tmp_path)).close()


@pytest.mark.parametrize(("revision", "words"), [("9999", "newer version"), ("0000", "older version")])
def test_a_database_of_another_version_is_refused(tmp_path, revision, words):
    with new_store(tmp_path) as store, store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": revision})

    with pytest.raises(StoreError, match=words):
        Store.open(store_settings(tmp_path))


def test_a_database_of_another_program_is_left_alone(tmp_path):
    other = sqlite3.connect(tmp_path / "q.db")
    other.execute("CREATE TABLE songs (name TEXT)")
    other.commit()
    other.close()

    with pytest.raises(StoreError, match="another program"):
        migrate(store_settings(tmp_path))


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="cannot be made"):
        migrate(store_settings(tmp_path / "file"))
