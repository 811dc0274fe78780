"""gatepost/writable.py: a long command says at once that its results will have no place."""

from pathlib import Path

from gatepost.writable import file_trouble, folder_trouble, plainly


def test_a_new_folder_under_folders_that_are_not_there_yet(tmp_path):
    assert folder_trouble(tmp_path / "a" / "b") == ""
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there(tmp_path):
    assert folder_trouble(tmp_path) == f"{tmp_path}: already exists; give a new folder, or remove this one"
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    assert "already exists" in folder_trouble(tmp_path / "dangling")


def test_where_nothing_can_be_made():
    trouble = folder_trouble(Path("/proc/gatepost/model"))
    assert trouble.startswith("/proc/gatepost/model: cannot be written in /proc: ")


def test_under_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in folder_trouble(tmp_path / "file" / "model")


def test_files(tmp_path):
    assert file_trouble(tmp_path / "new.json") == ""
    assert file_trouble(tmp_path) == f"{tmp_path}: this is a folder; give the name of a file"
    assert "make it first" in file_trouble(tmp_path / "none" / "new.json")
    (tmp_path / "old.json").write_text("{}")
    assert file_trouble(tmp_path / "old.json") == ""
    assert (tmp_path / "old.json").read_text() == "{}"


def test_errors_without_number(tmp_path):
    full = OSError(28, "No space left on device", str(tmp_path / "model.onnx"))
    assert plainly(full, tmp_path) == f"{tmp_path / 'model.onnx'}: No space left on device; no model was written"
    assert plainly(ValueError("as it is"), tmp_path) == "as it is"
