"""`gatepost model`: what is listed and shown, who may force, and what the running gateway is asked."""

import json
import os
import pty
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from gate_evidence import fails, passes
from serving import GATEPOST, copy_of_model

from gatepost.cli import main
from gatepost.config import load
from gatepost.gateways import follower, readable
from model.bundle import DEFAULT, MANIFEST, Bundle
from model.shelf import Shelf, ShelfError, pointer_mark, pointer_text
from training.gate import lineage
from training.gate.promotion import Follow, Followed, Hands, promote

SHIPPED = Bundle.open(DEFAULT).version
LISTENER = """
[[listener]]
name = "in"
listen = "127.0.0.1:10025"
mode = "after-queue"
direction = "inbound"
next_hop = "127.0.0.1:10026"
"""


@pytest.fixture
def config(tmp_path):
    return write(tmp_path)


def write(folder: Path, *, model: str = "", metrics: str = "", user: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'[gateway]\nstate_dir = "{folder}/state"\nuser = "{user}"\n[metrics]\nlisten = "{metrics}"\n'
        f'[model]\nstore = "{folder}/models"\npath = "{model}"\n[dataset]\npath = "{folder}/dataset"\n'
        f"[gate]\nwritten_messages = 2\nattack_messages = 0\n{LISTENER}"
    )
    return path


def switch(folder: Path, version: str, judge=passes) -> Shelf:
    shelf = Shelf(folder / "models")
    hands = Hands("ida", lambda: datetime(2026, 11, 23, tzinfo=UTC), lambda bundle: Followed(Follow.NOBODY))
    promote(shelf, str(copy_of_model(folder, version)), judge, hands)
    return shelf


def run(config: Path, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["model", *words, "--config", str(config)])
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


class TestLooking:
    def test_the_list_has_shipped_and_stored_with_state_and_which_serves(self, tmp_path, config):
        switch(tmp_path, "site-1")
        switch(tmp_path, "site-2", fails)

        code, out, err = run(config, "list", "--json")

        rows = {row["version"]: row for row in map(json.loads, out.splitlines())}
        assert (code, err) == (0, "")
        assert set(rows) == {SHIPPED, "site-1", "site-2"}
        assert [v for v, row in rows.items() if row["serves"]] == ["site-1"]
        assert rows["site-1"]["state"] == "promote 2026-11-23 00:00 UTC by ida"
        assert rows["site-2"]["state"].startswith("refuse")
        assert rows[SHIPPED]["shipped"]
        assert "trained on" in rows["site-1"]["figures"]
        text = run(config, "list")[1]
        assert f"  {SHIPPED}" in text
        assert "* site-1" in text

    def test_a_damaged_version_is_listed_with_what_is_wrong(self, tmp_path, config):
        shelf = switch(tmp_path, "site-1")
        (shelf.path_of("site-1") / "model.onnx").write_bytes(b"short")

        code, out, _ = run(config, "list")

        assert code == 1
        assert "* site-1: " in out
        assert "model.onnx: SHA-256" in out

    def test_a_pointer_that_no_decision_explains_is_noted(self, tmp_path, config):
        shelf = switch(tmp_path, "site-1")
        switch(tmp_path, "site-2", fails)
        shelf.point("site-2")

        assert "site-2 serves, and the lineage's last decision is not for it" in run(config, "list")[2]
        shelf.point(None)
        assert run(config, "list")[0] == 0

    def test_show_verifies_the_lineage_and_names_the_first_broken_line(self, tmp_path, config):
        shelf = switch(tmp_path, "site-1")
        code, out, _ = run(config, "show")
        assert code == 0
        assert "version      site-1" in out
        assert "1 lines, all right, signed with" in out
        assert f"ida  promote {SHIPPED} -> site-1" in out

        file = shelf.root / lineage.FILE
        file.write_bytes(file.read_bytes().replace(b'"ida"', b'"eve"'))
        code, out, _ = run(config, "show", "site-1")
        assert code == 1
        assert f"LINEAGE IS BROKEN at line 1 of {file}: its signature is wrong" in out
        assert json.loads(run(config, "show", "--json")[1])["lineage"]["fault"]["line"] == 1
        assert "line 1: its signature is wrong" in run(config, "list")[2]

    def test_a_stored_version_can_be_named_wherever_a_folder_can(self, tmp_path, config):
        switch(tmp_path, "site-1")

        assert json.loads(run(config, "verify", "site-1", "--json")[1])["version"] == "site-1"
        assert json.loads(run(config, "verify", "shipped", "--json")[1])["version"] == SHIPPED
        code, _, err = run(config, "show", "site-9")
        assert (code, "site-9: no such version" in err) == (1, True)


class TestSwitching:
    def test_a_pinned_path_is_told_first(self, tmp_path):
        config = write(tmp_path, model=str(DEFAULT))

        for words in (("promote", "site-1"), ("rollback",)):
            code, _, err = run(config, *words)
            assert code == 1
            assert "model.path pins" in err

    def test_force_needs_a_reason_and_a_person(self, tmp_path, config, monkeypatch):
        """A timer has neither login nor terminal; and nothing is asked of the gate before that is clear."""
        monkeypatch.setattr("quarantine.reviewer.logged_in", lambda: False)

        code, _, err = run(config, "promote", "site-1", "--force", "--reason", " ")
        assert (code, "--force needs --reason TEXT" in err) == (2, True)
        code, _, err = run(config, "promote", "site-1", "--force", "--reason", "urgent")
        assert (code, "--force needs a person: run it at a terminal" in err) == (1, True)
        assert not (tmp_path / "models").exists()

    def test_a_person_at_a_terminal_can_force_and_it_is_loud(self, tmp_path, config):
        """Two messages cannot show that a model is no worse: the gate refuses, a person switches, both on record."""
        candidate = str(copy_of_model(tmp_path, "site-1"))
        words = [*GATEPOST, "model", "promote", candidate, "--config", str(config)]
        refused = subprocess.run([*words, "--json"], capture_output=True, text=True, timeout=100)
        told = json.loads(refused.stdout)
        assert (refused.returncode, told["action"], told["serving"]) == (1, "refuse", SHIPPED), refused.stderr
        assert "caught-against-in-place" in {c["name"] for c in told["checks"] if not c["passed"]}

        ours, theirs = pty.openpty()
        with os.fdopen(ours), os.fdopen(theirs) as terminal:
            forced = subprocess.run([*words, "--force", "--reason", "a wave"], capture_output=True, text=True,
                                    stdin=terminal, timeout=100)  # fmt: skip

        assert forced.returncode == 0, forced.stderr
        assert "FORCED by a person although" in forced.stdout
        assert "metrics.listen is empty" in forced.stdout
        chain = lineage.read(tmp_path / "models")
        assert [(r.action, r.reason) for r in chain.records] == [("refuse", ""), ("force", "a wave")]
        assert Shelf(tmp_path / "models").current == "site-1"

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda path: (path / "model.onnx").write_bytes(b"short"), "model.onnx: SHA-256"),
            (lambda path: (path / MANIFEST).unlink(), "no such file: give the folder of a model bundle"),
            (lambda path: (path / MANIFEST).write_text('{"format": 1}'), "files is missing"),
        ],
    )
    def test_bad_candidates_are_refused_in_one_line(self, tmp_path, config, spoil, words):
        candidate = copy_of_model(tmp_path, "site-1")
        spoil(candidate)

        code, out, err = run(config, "promote", str(candidate))

        assert (code, out) == (1, "")
        assert words in err
        assert Shelf(tmp_path / "models").current is None
        assert Shelf(tmp_path / "models").versions() == []

    def test_rolling_back_what_was_never_switched_is_said(self, tmp_path, config):
        code, _, err = run(config, "rollback")

        assert code == 1
        assert "does not say what served before" in err


@contextmanager
def answering(health: dict) -> Iterator[str]:
    """A server that gives this answer to every request; its address."""
    body = json.dumps(health).encode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.recv(4096)
                    line.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


class TestFollowing:
    def follow(self, tmp_path: Path, health: dict) -> Followed:
        with answering(health) as place:
            settings = load(write(tmp_path, metrics=place))
            return follower(settings, 0.5)(Bundle.open(DEFAULT))

    def test_nobody_is_told_from_late_from_refused_from_followed(self, tmp_path):
        mark = pointer_text(pointer_mark(tmp_path / "models"))
        other = {"pointer": mark, "model": "old", "refused": ""}

        assert self.follow(tmp_path, {**other, "model": SHIPPED}).state is Follow.FOLLOWED
        assert self.follow(tmp_path, {**other, "refused": "no good"}) == Followed(Follow.REFUSED, "no good")
        assert self.follow(tmp_path, other).state is Follow.LATE
        # what it said of an earlier pointer says nothing about this one
        assert self.follow(tmp_path, {**other, "pointer": "1-2-3", "refused": "no good"}).state is Follow.LATE
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            settings = load(write(tmp_path, metrics=f"127.0.0.1:{taken.getsockname()[1]}"))
            assert follower(settings, 5.0)(Bundle.open(DEFAULT)).state is Follow.NOBODY

    def test_a_folder_that_the_gateways_account_may_not_read_is_refused(self, tmp_path):
        settings = load(write(tmp_path, user="nobody"))
        folder = tmp_path / "models" / "versions" / "site-1"
        folder.mkdir(parents=True)
        for place in (*folder.parents, folder):
            if place.is_relative_to(tmp_path):
                place.chmod(0o755)
        (folder / "model.onnx").write_bytes(b"")
        (folder / "model.onnx").chmod(0o600)

        with pytest.raises(ShelfError, match="the gateway's account nobody may not read it; change its mode"):
            readable(settings)(folder)
