"""What goes wrong with the data store is said plainly, and nothing is half written."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from dataset_rig import data_settings, data_store, letter, numbered, put, said

from training.store.errors import DataStoreError, DataStoreFull
from training.store.store import DataStore

ROOT = Path(__file__).parents[2]


def test_there_is_no_store_yet(tmp_path):
    with pytest.raises(DataStoreError, match="there is no data store yet; `gatepost dataset add` makes it"):
        DataStore.open(data_settings(tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_store(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "dataset.db").touch()

    with pytest.raises(DataStoreError, match="key file is missing"):
        DataStore.open(data_settings(tmp_path))


def test_a_lost_key_is_named_and_never_replaced(tmp_path):
    with data_store(tmp_path) as data:
        put(data, letter())
    (tmp_path / "dataset" / "dataset.key").unlink()

    for create in (False, True):
        with pytest.raises(DataStoreError, match="the key file is missing"):
            DataStore.open(data_settings(tmp_path), create=create)

    assert not (tmp_path / "dataset" / "dataset.key").exists()


def test_another_key_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        data_store(tmp_path / name).close()
    (tmp_path / "a/dataset/dataset.key").write_bytes((tmp_path / "b/dataset/dataset.key").read_bytes())

    with pytest.raises(DataStoreError, match="this is not the key of"):
        DataStore.open(data_settings(tmp_path / "a"))


def test_a_key_that_others_may_read_is_refused(tmp_path):
    data_store(tmp_path).close()
    (tmp_path / "dataset/dataset.key").chmod(0o644)

    with pytest.raises(DataStoreError, match="open to others; run: chmod 600"):
        DataStore.open(data_settings(tmp_path))


@pytest.mark.parametrize(("change", "told"), [
    ("PRAGMA user_version=2", "of a newer version of Gatepost; upgrade this installation"),
    ("PRAGMA user_version=0", "of an older version. Export it with that version"),
    ("PRAGMA application_id=1", "another program's database; set dataset.path to another folder"),
])  # fmt: skip
def test_a_store_of_another_version_or_program(tmp_path, change, told):
    data_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "dataset/dataset.db") as db:
        db.execute(change)
    db.close()

    for create in (False, True):
        with pytest.raises(DataStoreError, match=told):
            DataStore.open(data_settings(tmp_path), create=create)


def test_a_damaged_file(tmp_path):
    data_store(tmp_path).close()
    (tmp_path / "dataset/dataset.db").write_bytes(b"no database at all" * 500)

    with pytest.raises(DataStoreError, match="the database is damaged or is none"):
        DataStore.open(data_settings(tmp_path))


def test_altered_bytes_are_noticed(tmp_path):
    with data_store(tmp_path) as data:
        [done] = put(data, letter())
        with data.writing() as connection:
            connection.exec_driver_sql("UPDATE bodies SET data = zeroblob(60)")

        with pytest.raises(DataStoreError, match="cannot be opened: it was altered"):
            data.raw(done.digest)


def test_two_at_once_add_everything_once(tmp_path):
    data_store(tmp_path).close()
    mail = [(numbered(n), said("ham")) for n in range(12)]
    failed = []

    def work():
        try:
            with data_store(tmp_path) as data:
                put(data, *mail)
        except Exception as error:  # noqa: BLE001 - whatever it is, a thread must not hide it
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    with data_store(tmp_path) as data:
        assert data.count() == 12
        assert len(data.history()) == 12


def test_a_writer_that_waits_too_long_says_so(tmp_path):
    with data_store(tmp_path) as data, data_store(tmp_path, busy_seconds=0.1) as other:
        with data.writing(), pytest.raises(DataStoreError, match="the database is busy"):
            put(other, letter())
        put(other, letter())


ADD = """
import sys
sys.path[:0] = [{root!r}, {support!r}]
from pathlib import Path
from dataset_rig import data_store, numbered, put, said
with data_store(Path({folder!r})) as data:
    for number in range(400):
        put(data, (numbered(number), said("ham")))
"""


def test_a_killed_command_leaves_whole_messages_and_can_be_run_again(tmp_path):
    code = ADD.format(root=str(ROOT), support=str(ROOT / "tests/support"), folder=str(tmp_path))
    data_store(tmp_path).close()
    with subprocess.Popen([sys.executable, "-c", code], cwd="/") as child, data_store(tmp_path) as data:
        deadline = time.monotonic() + 60
        while data.count() < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()

    with data_store(tmp_path) as data:
        there = data.entries()
        assert 3 <= len(there) < 400
        assert {data.raw(e.digest) for e in there} == {numbered(n) for n in range(len(there))}
        assert all(e.name == "ham" for e in there)
        put(data, (numbered(0), said("ham")), (numbered(399), said("ham")))
        assert data.count() == len(there) + 1


FILL = """
import resource, sys
sys.path[:0] = [{root!r}, {support!r}]
from pathlib import Path
from dataset_rig import data_store, numbered, put, said
from training.store.errors import DataStoreError
with data_store(Path({folder!r})) as data:
    put(data, (numbered(1), said("ham")))
    size = (Path({folder!r}) / "dataset/dataset.db").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(size, 300_000), resource.RLIM_INFINITY))
    big = numbered(2) + bytes(range(256)).hex().encode() + __import__("os").urandom(900_000).hex().encode()
    try:
        put(data, (numbered(3), said("ham")), (big, said("ham")))
    except DataStoreError as error:
        print(type(error).__name__, error)
"""


def test_a_file_that_may_not_grow_leaves_what_was_there(tmp_path):
    code = FILL.format(root=str(ROOT), support=str(ROOT / "tests/support"), folder=str(tmp_path))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")

    assert done.stderr == ""
    assert "dataset.db: " in done.stdout
    assert "room" in done.stdout or "disk" in done.stdout
    with data_store(tmp_path) as data:
        assert data.count() == 1, "the batch that failed left nothing"
        put(data, (numbered(3), said("ham")))
        assert data.count() == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted, which needs root")
def test_a_full_disk_leaves_what_was_there(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        with data_store(small) as data:
            put(data, (numbered(1), said("ham")))
            with pytest.raises(DataStoreFull, match="no room left on the disk"):
                put(data, (numbered(2) + os.urandom(3_000_000).hex().encode(), said("ham")))
            assert data.count() == 1
            put(data, (numbered(3), said("ham")))
    finally:
        subprocess.run(["umount", str(small)], check=True)
