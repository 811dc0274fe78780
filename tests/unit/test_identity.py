"""What tells gateways apart that share a database."""

import stat

import pytest

from milter.identity import ID_FILE, gateway_id
from milter.prepare import StartError


def test_it_is_made_once_and_outlives_another_host_name(tmp_path):
    made = gateway_id(tmp_path, "mx1.corp.example", entropy=lambda n: bytes(range(n)))

    assert made == "mx1.corp.example-aaaqeaye"
    assert gateway_id(tmp_path, "renamed.example") == made
    assert stat.S_IMODE((tmp_path / ID_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [ID_FILE]


def test_two_with_one_name_on_one_machine_are_two(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()

    assert len({gateway_id(folder, "mx.corp.example") for folder in folders}) == 2


@pytest.mark.parametrize("name", ["", "mx_1", "é" * 300, "a b\n"])
def test_any_machine_may_have_one(tmp_path, name):
    assert gateway_id(tmp_path, name) == gateway_id(tmp_path, name)


def test_a_damaged_file_is_named_with_what_to_do(tmp_path):
    (tmp_path / ID_FILE).write_bytes(b"\xff\n")

    with pytest.raises(StartError, match=r"gateway\.id: expected a name such as .*remove the file"):
        gateway_id(tmp_path, "mx1")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StartError, match=r"gateway\.id: cannot be read or written: No such file"):
        gateway_id(tmp_path / "none", "mx1")
