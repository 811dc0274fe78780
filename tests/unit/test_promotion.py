"""Switching models step by step: whatever happens in between, something proved serves and the record is whole."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gate_evidence import fails, passes
from serving import copy_of_model

from model.bundle import DEFAULT, MANIFEST, Bundle, BundleError
from model.shelf import Busy, Shelf, ShelfError
from training.gate import lineage
from training.gate.lineage import LineageError
from training.gate.promotion import Follow, Followed, Hands, promote, rollback

SHIPPED = Bundle.open(DEFAULT).version
SUPPORT = Path(__file__).parents[1] / "support"


def hands(answer: Follow = Follow.NOBODY, at: Callable[[str], None] = lambda name: None) -> Hands:
    """An operator's hands; the running gateway answers as told."""
    return Hands("ida", lambda: datetime(2026, 11, 23, tzinfo=UTC), lambda bundle: Followed(answer, "as told"), at=at)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "models")


@pytest.fixture
def one(tmp_path):
    return str(copy_of_model(tmp_path, "site-1"))


@pytest.fixture
def two(tmp_path):
    return str(copy_of_model(tmp_path, "site-2"))


def actions(shelf: Shelf) -> list[str]:
    chain = lineage.read(shelf.root)
    assert chain.fault is None
    return [f"{r.action} {r.before} -> {r.after}" for r in chain.records]


class TestPromote:
    def test_what_passes_serves_and_is_on_record(self, shelf, one):
        outcome = promote(shelf, one, passes, hands())

        assert outcome.switched
        assert shelf.current == "site-1"
        (record,) = lineage.read(shelf.root).records
        assert (record.by, record.before, record.after) == ("ida", SHIPPED, "site-1")
        assert record.checks[0]["name"] == "stand-in"
        assert record.data["gate_data"] == {"site": "f" * 64}

    def test_what_fails_is_on_record_and_serves_nobody(self, shelf, one):
        outcome = promote(shelf, one, fails, hands())

        assert not outcome.switched
        assert (outcome.serving, shelf.current) == (SHIPPED, None)
        assert actions(shelf) == [f"refuse {SHIPPED} -> site-1"]

    def test_force_switches_and_says_why(self, shelf, one):
        outcome = promote(shelf, one, fails, hands(), force="the old one misses a wave")

        assert outcome.switched
        record = lineage.read(shelf.root).records[-1]
        assert (record.action, record.reason) == ("force", "the old one misses a wave")
        assert not record.checks[0]["passed"]

    def test_force_changes_nothing_for_what_passes(self, shelf, one):
        promote(shelf, one, passes, hands(), force="just to be sure")

        assert actions(shelf) == [f"promote {SHIPPED} -> site-1"]

    def test_a_gateway_that_refuses_has_the_pointer_go_back(self, shelf, one, two):
        promote(shelf, one, passes, hands())
        outcome = promote(shelf, two, passes, hands(Follow.REFUSED))

        assert (outcome.switched, outcome.serving, shelf.current) == (False, "site-1", "site-1")
        assert actions(shelf)[1:] == ["promote site-1 -> site-2", "return site-2 -> site-1"]
        assert lineage.read(shelf.root).previous("site-1") == SHIPPED

    def test_the_current_one_again_is_said_to_be(self, shelf, one):
        promote(shelf, one, passes, hands())

        for wanted in (one, "site-1"):
            with pytest.raises(ShelfError, match="site-1 is the current model already"):
                promote(shelf, wanted, passes, hands())

    def test_the_shipped_one_is_promoted_by_taking_the_pointer_away(self, shelf, one):
        promote(shelf, one, passes, hands())

        assert promote(shelf, "shipped", passes, hands()).switched
        assert shelf.current is None

    def test_a_store_whose_pointer_dangles_says_how_to_set_it(self, shelf, one):
        shelf.make()
        (shelf.root / "current").symlink_to("versions/gone")

        with pytest.raises(ShelfError, match="versions/gone, which is not there; gatepost model rollback --to"):
            promote(shelf, one, passes, hands())
        assert rollback(shelf, hands(), to="shipped").switched

    def test_a_lineage_that_was_changed_stops_promotion_but_no_rollback(self, shelf, one, two):
        promote(shelf, one, passes, hands())
        file = shelf.root / lineage.FILE
        file.write_bytes(file.read_bytes().replace(b'"ida"', b'"eve"'))

        with pytest.raises(LineageError, match=r"lineage\.jsonl, line 1: its signature is wrong"):
            promote(shelf, two, passes, hands())
        assert shelf.current == "site-1"
        outcome = rollback(shelf, hands())
        assert outcome.serving == SHIPPED
        assert "line 1: its signature is wrong" in outcome.warnings[0]

    def test_a_folder_that_the_gateway_could_not_read_is_refused_before_anything_moves(self, shelf, one):
        def refuse(folder: Path) -> None:
            raise ShelfError(f"{folder}: not for others")

        with pytest.raises(ShelfError, match="not for others"):
            promote(shelf, one, passes, Hands("ida", lambda: datetime.now(UTC), None, refuse))  # type: ignore[arg-type]
        assert shelf.current is None
        assert lineage.read(shelf.root).records == ()

    def test_two_at_once_are_told(self, shelf, one, two):
        """The second begins while the first is between its steps."""
        seen: list[str] = []

        def again(step: str) -> None:
            with pytest.raises(Busy, match="is switching models"):
                promote(shelf, two, passes, hands())
            seen.append(step)

        promote(shelf, one, passes, hands(at=again))
        assert seen == ["added", "decided", "recorded-promote", "pointed", "followed"]
        assert shelf.current == "site-1"

    def test_a_model_that_cannot_serve_here_is_refused_by_name(self, shelf, one):
        manifest = Path(one) / MANIFEST
        manifest.write_text(manifest.read_text().replace('"normaliser_version": 2', '"normaliser_version": 1'))

        with pytest.raises(BundleError, match="normaliser_version is 1, this Gatepost has"):
            promote(shelf, one, passes, hands())
        assert shelf.current is None


class TestRollback:
    def test_twice_goes_two_steps_back(self, shelf, one, two):
        promote(shelf, one, passes, hands())
        promote(shelf, two, passes, hands())

        assert rollback(shelf, hands(), reason="bad day").serving == "site-1"
        assert rollback(shelf, hands()).serving == SHIPPED
        assert shelf.current is None
        with pytest.raises(LineageError, match="does not say what served before"):
            rollback(shelf, hands())

    def test_only_to_what_served_before(self, shelf, one, two):
        promote(shelf, one, passes, hands())
        promote(shelf, two, fails, hands())

        with pytest.raises(ShelfError, match="site-2: never served"):
            rollback(shelf, hands(), to="site-2")
        with pytest.raises(ShelfError, match="site-9: no such version"):
            rollback(shelf, hands(), to="site-9")
        assert shelf.current == "site-1"

    def test_a_damaged_target_is_refused_and_another_can_be_named(self, shelf, one, two):
        promote(shelf, one, passes, hands())
        promote(shelf, two, passes, hands())
        (shelf.path_of("site-1") / "model.onnx").write_bytes(b"short")

        with pytest.raises(BundleError, match=r"model\.onnx: SHA-256"):
            rollback(shelf, hands())
        assert shelf.current == "site-2"
        assert rollback(shelf, hands(), to="shipped").serving == SHIPPED

    def test_without_its_key_it_still_goes_back_and_says_that_it_is_not_on_record(self, shelf, one):
        promote(shelf, one, passes, hands())
        (shelf.root / lineage.PRIVATE).unlink()

        outcome = rollback(shelf, hands())

        assert outcome.serving == SHIPPED
        assert "not on record" in outcome.warnings[0]


KILLED = """
import os, sys
sys.path[:0] = [{support!r}, {here!r}]
import model.shelf
from test_promotion import Shelf, hands, passes, promote
from pathlib import Path

def die(step):
    if step == sys.argv[3]:
        os._exit(9)

real, syncs = model.shelf._sync, []
def sync(path):
    syncs.append(path)
    if sys.argv[3] == f"sync-{{len(syncs)}}":
        os._exit(9)
    real(path)
model.shelf._sync = sync
promote(Shelf(Path(sys.argv[1])), sys.argv[2], passes, hands(at=die))
"""


@pytest.mark.parametrize(
    ("point", "current", "recorded"),
    [
        ("sync-1", None, 0),  # in the middle of the copy
        ("sync-6", None, 0),  # the copy is whole and has no name yet
        ("added", None, 0),
        ("decided", None, 0),
        ("recorded-promote", None, 1),
        ("pointed", "site-1", 1),
        ("followed", "site-1", 1),
    ],
)
def test_a_promotion_that_is_killed_leaves_a_proved_model_and_a_whole_record(shelf, one, point, current, recorded):
    """At every step the pointer names the old or the new, both whole; the next promotion goes through."""
    code = KILLED.format(support=str(SUPPORT), here=str(Path(__file__).parent))

    done = subprocess.run([sys.executable, "-c", code, str(shelf.root), one, point], capture_output=True, text=True)

    assert done.returncode == 9, done.stderr
    assert shelf.current == current
    Bundle.open(shelf.serving)
    assert len(actions(shelf)) == recorded
    for version in shelf.versions():
        Bundle.open(shelf.path_of(version))
    if current is None:
        assert promote(shelf, one, passes, hands()).switched
    else:
        assert rollback(shelf, hands()).serving == SHIPPED
