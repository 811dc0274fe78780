"""The model store: which bundle serves, and how another one gets its name."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from serving import copy_of_model

from model.bundle import DEFAULT, MANIFEST, Bundle, BundleError
from model.shelf import Busy, Shelf, ShelfError, pointer_mark, resolve, stored


@dataclass(frozen=True)
class Chosen:
    path: str
    store: Path


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "models")


def empty_version(shelf: Shelf, version: str) -> Path:
    """Make a folder that has a version's name; for tests in which nobody opens it."""
    shelf.make()
    folder = shelf.path_of(version)
    folder.mkdir()
    return folder


class TestWhichServes:
    def test_without_a_store_the_shipped_bundle_serves(self, shelf):
        assert resolve(Chosen("", shelf.root)) == DEFAULT
        assert shelf.versions() == []

    def test_the_pointer_says_which_and_a_pinned_path_wins(self, shelf):
        folder = empty_version(shelf, "site-1")
        shelf.point("site-1")

        assert resolve(Chosen("", shelf.root)) == folder
        assert resolve(Chosen("/srv/pinned", shelf.root)) == Path("/srv/pinned")
        shelf.point(None)
        assert resolve(Chosen("", shelf.root)) == DEFAULT

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("versions/gone", "versions/gone, which is not there; gatepost model rollback"),
            ("/etc", "points to '/etc', expected versions/VERSION"),
            ("versions/..", "expected versions/VERSION"),
            ("versions/a/b", "expected versions/VERSION"),
        ],
    )
    def test_a_pointer_that_leads_nowhere_is_named(self, shelf, target, words):
        shelf.make()
        (shelf.root / "current").symlink_to(target)

        with pytest.raises(ShelfError, match=words.replace(".", r"\.")):
            resolve(Chosen("", shelf.root))

    def test_a_pointer_that_is_no_link_is_named(self, shelf):
        shelf.make()
        (shelf.root / "current").mkdir()

        with pytest.raises(ShelfError, match="expected a symbolic link"):
            resolve(Chosen("", shelf.root))

    def test_setting_the_pointer_again_is_noticed_even_to_the_same(self, shelf):
        empty_version(shelf, "site-1")
        shelf.point("site-1")
        before = pointer_mark(shelf.root)
        shelf.point("site-1")

        assert pointer_mark(shelf.root) != before
        assert pointer_mark(shelf.root / "nowhere") == (0, 0, 0)

    def test_the_pointer_never_goes_to_what_is_not_there(self, shelf):
        shelf.make()

        with pytest.raises(ShelfError, match="no such version"):
            shelf.point("site-1")
        assert shelf.current is None

    def test_shipped_can_be_named_and_others_must_exist(self, shelf):
        assert shelf.folder_of("shipped") == DEFAULT
        assert shelf.folder_of(Bundle.open(DEFAULT).version) == DEFAULT
        with pytest.raises(ShelfError, match=r"site-9: no such version .* there are: shipped"):
            shelf.folder_of("site-9")


class TestAdding:
    def test_a_proved_copy_gets_its_name_and_others_can_read_it(self, shelf, tmp_path):
        """Whatever the umask, a gateway under another account can read what was added, and write nothing of it."""
        source = copy_of_model(tmp_path, "site-1")
        (source / "notes.txt").write_text("not named by the manifest, so not copied")
        before = os.umask(0o077)
        try:
            bundle = shelf.add(source)
        finally:
            os.umask(before)

        assert bundle.path == shelf.root / "versions" / "site-1"
        assert {p.name for p in bundle.path.iterdir()} == {*bundle.files, MANIFEST}
        modes = {p.stat().st_mode & 0o777 for p in (shelf.root, bundle.path.parent, bundle.path)}
        assert modes == {0o755}
        assert {p.stat().st_mode & 0o777 for p in bundle.path.iterdir()} == {0o644}
        assert shelf.add(source).path == bundle.path  # again is no fault
        assert [version for version, _ in stored(shelf)] == ["site-1"]

    def test_a_version_is_never_changed(self, shelf, tmp_path):
        shelf.add(copy_of_model(tmp_path, "site-1"))
        other = copy_of_model(tmp_path / "other", "site-1")
        manifest = json.loads((other / MANIFEST).read_text())
        (other / MANIFEST).write_text(json.dumps({**manifest, "created": "2030-01-01T00:00:00+00:00"}))

        with pytest.raises(ShelfError, match="another bundle of version site-1"):
            shelf.add(other)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"normaliser_version": 99}, "normaliser_version is 99"),
            ({"version": "../../etc"}, "cannot be a version"),
            ({"golden_tolerance": -1.0}, "golden input 1"),
        ],
    )
    def test_what_cannot_serve_here_is_refused_and_leaves_nothing(self, shelf, tmp_path, change, words):
        source = copy_of_model(tmp_path, "site-1")
        manifest = json.loads((source / MANIFEST).read_text())
        (source / MANIFEST).write_text(json.dumps({**manifest, **change}))
        shelf.make()

        with pytest.raises((ShelfError, BundleError), match=words):
            shelf.add(source)
        assert list((shelf.root / "versions").iterdir()) == []

    def test_a_truncated_bundle_is_refused_by_name(self, shelf, tmp_path):
        source = copy_of_model(tmp_path, "site-1")
        (source / "model.onnx").write_bytes(b"short")

        with pytest.raises(BundleError, match=r"model\.onnx: SHA-256"):
            shelf.add(source)

    def test_what_an_interrupted_copy_left_is_no_version_and_goes_at_the_next(self, shelf, tmp_path):
        shelf.make()
        left = shelf.root / "versions" / ".incoming-0000"
        left.mkdir()

        assert shelf.versions() == []
        shelf.add(copy_of_model(tmp_path, "site-1"))
        assert not left.exists()


class TestLock:
    def test_two_at_once_are_told(self, shelf):
        """The second command says who is at it, and does not wait."""
        code = ("import sys, pathlib\nfrom model.shelf import Busy, Shelf\n"
                "try:\n    Shelf(pathlib.Path(sys.argv[1])).locked().__enter__()\n"
                "except Busy as error:\n    print(error)")
        with shelf.locked():
            done = subprocess.run([sys.executable, "-c", code, str(shelf.root)], capture_output=True, text=True)
            assert f"another command (process {os.getpid()}) is switching models" in done.stdout
        with shelf.locked():
            pass
        assert issubclass(Busy, ShelfError)

    def test_a_store_that_cannot_be_made_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")

        with pytest.raises(ShelfError, match="file/models: cannot be made"), Shelf(tmp_path / "file/models").locked():
            pass
