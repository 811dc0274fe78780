"""PATH: files, folders, maildirs, mboxes and standard input; what cannot be read is named and the rest goes on."""

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gatepost.paths import read_paths

ONE = b"Subject: one\n\nbody one\n"
TWO = b"Subject: two\n\nFrom the start\n"
MBOX = (
    b"From a@b.example Mon Jan  1 00:00:00 2024\nSubject: one\n\nbody one\n\n"
    b"From MAILER-DAEMON Tue Jan  2 00:00:00 2024\nSubject: two\n\n>From the start\n\n"
)


def read(*paths: Path | str) -> list[tuple[str, bytes | None]]:
    return [(s.name, s.data) for s in read_paths(map(str, paths))]


def test_a_file_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(ONE)

    assert read(path) == [(str(path), ONE)]


def test_an_mbox_is_many_messages_without_its_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "box"
    path.write_bytes(MBOX)

    assert read(path) == [(f"{path}#1", ONE), (f"{path}#2", TWO)]


def test_a_from_line_inside_a_text_splits_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(ONE + b"\nFrom here on we walk.\n")

    assert len(read(path)) == 1


def test_a_folder_is_read_in_order_and_depth_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.eml", "a/c.eml", ".hidden", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())

    assert [Path(n).name for n, _ in read(tmp_path)] == ["b.eml", "c.eml"]


def test_a_maildir_is_its_new_and_its_read_mail(tmp_path: Path) -> None:
    for name in ("cur/1:2,S", "new/2", "tmp/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(ONE)

    assert [Path(n).name for n, _ in read(tmp_path)] == ["2", "1:2,S"]


def test_standard_input_is_a_message_or_an_mbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for data, names in ((ONE, ["-"]), (MBOX, ["-#1", "-#2"]), (b"", ["-"])):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert [n for n, _ in read("-")] == names


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(ONE)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = list(read_paths([str(tmp_path / "none"), str(pipe), str(path)]))

    assert [s.error for s in found] == ["No such file or directory", "neither a file nor a folder", ""]
    assert found[2].data == ONE


def gatepost(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-P", "-c", "from gatepost.cli import main; main()", "extract", *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=60)


def test_extract_prints_one_json_object_a_line_and_fails_for_what_it_could_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(
        b"From: Ada <ada@shop.example>\nSubject: one\nContent-Type: text/html\n\n<a href=//x.example>go</a>"
    )
    done = gatepost("--json", "--content", str(tmp_path / "none"), str(path))
    missing, row = map(json.loads, done.stdout.splitlines())

    assert done.returncode == 1
    assert missing == {"path": str(tmp_path / "none"), "error": "No such file or directory"}
    assert row["path"] == str(path)
    assert row["subject"] == "one"
    assert row["from"] == [{"display": "Ada", "address": "ada@shop.example"}]
    assert row["text"] == "go"
    assert row["links"][0]["href"] == "http://x.example"
    assert row["parts"][0]["content"] == "PGEgaHJlZj0vL3guZXhhbXBsZT5nbzwvYT4="
    assert {"reply_to", "hidden_text", "defects"} <= row.keys()
    assert {"type", "charset", "filename", "size", "sha256", "defects"} <= row["parts"][0].keys()


def test_extract_prints_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(
        b"From: =?utf-8?q?=1B]0;x=07=E2=80=AE?= <a@b.example>\nSubject: =?utf-8?q?=1B[2J?=\n\n"
        b"Hi\x1b[31m\x9b\n\tthere\n"
    )
    done = gatepost(str(path))

    assert done.returncode == 0
    assert not {c for c in done.stdout if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c == "\u202e"}
    assert "Hi\\x1b[31m" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_folder_that_may_not_be_read_is_named_at_any_depth(capfd):
    with tempfile.TemporaryDirectory() as name:
        for folder in ("", "open", "locked"):
            (Path(name) / folder).mkdir(exist_ok=True)
            (Path(name) / folder).chmod(0o700 if folder == "locked" else 0o755)
        (Path(name) / "open" / "mail.eml").write_bytes(b"Subject: x\n\ny\n")
        child = os.fork()
        if not child:
            os.setuid(65534)
            told = [f"{Path(source.name).name} {source.error}\n" for source in read_paths([name, f"{name}/locked"])]
            os.write(1, "".join(told).encode())
            os._exit(0)
        os.waitpid(child, 0)

    assert capfd.readouterr().out == "mail.eml \nlocked Permission denied\nlocked Permission denied\n"
