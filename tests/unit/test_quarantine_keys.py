"""The key file: made once, for its owner only, and never replaced."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from quarantine.errors import StoreError
from quarantine.keys import KEY_BYTES, load_key, make_key


def test_the_key_is_made_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "q.key"

    key = make_key(path)

    assert len(key) == KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_key(path) == key
    assert [p.name for p in path.parent.iterdir()] == ["q.key"]


def test_a_key_that_is_there_is_used(tmp_path):
    path = tmp_path / "q.key"

    assert make_key(path) == make_key(path)


def test_all_that_start_at_once_agree_on_one_key(tmp_path):
    path = tmp_path / "q.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: make_key(path), range(8)))

    assert len(keys) == 1


def test_a_key_open_to_others_is_refused(tmp_path):
    path = tmp_path / "q.key"
    make_key(path)
    path.chmod(0o640)

    with pytest.raises(StoreError, match=r"chmod 600 .*q\.key"):
        load_key(path)


@pytest.mark.parametrize("text", [b"", b"not base64!", base64.b64encode(b"x" * 16), b"\xff\xfe"])
def test_a_file_that_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "q.key"
    path.write_bytes(text)
    path.chmod(0o600)

    with pytest.raises(StoreError, match="expected 32 octets"):
        load_key(path)


def test_a_missing_key_says_that_a_backup_is_needed(tmp_path):
    with pytest.raises(StoreError, match="restore it from its backup"):
        load_key(tmp_path / "q.key")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="cannot be made"):
        make_key(tmp_path / "file" / "q.key")
