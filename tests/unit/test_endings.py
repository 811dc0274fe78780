"""How a command ends when something outside goes wrong: one line, the right exit code, never a traceback."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.cli import main
from gatepost.screening import settings_for
from milter.settings import Settings

MAIL = "From: Ann <ann@sender.example>\r\nSubject: ☠ 日本\r\n\r\nGrüße, Łódź\r\n".encode()
ENV = {k: v for k, v in os.environ.items() if k not in ("PYTHONUNBUFFERED", "GATEPOST_CONFIG")}


def gatepost(*words: str, **more):
    more.setdefault("stdout", subprocess.PIPE)
    more.setdefault("stdin", subprocess.DEVNULL)
    env = {**ENV, **more.pop("env", {})}
    return subprocess.Popen([sys.executable, "-m", "gatepost", *words], stderr=subprocess.PIPE, env=env, **more)


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, (out or b"").decode(errors="replace"), err.decode(errors="replace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mail"
    place.mkdir()
    for number in range(400):
        (place / f"{number:03}.eml").write_bytes(MAIL)
    return place


@pytest.mark.parametrize("words", [("extract",), ("score", "--json"), ("score", "--json", "--jobs", "2")])
def test_ctrl_c_is_one_line_and_130(folder, words):
    process = gatepost(*words, str(folder), start_new_session=True)
    assert process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: children of the command get it too
    code, _, err = ended(process)

    assert (code, err) == (130, "Interrupted.\n")


def test_ctrl_c_in_the_demo_ends_its_gateway_and_leaves_nothing(tmp_path):
    process = gatepost("demo", start_new_session=True, env={"TMPDIR": str(tmp_path)})
    while b"Sending" not in process.stdout.readline():
        pass
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = ended(process)

    assert (code, err) == (130, "Interrupted.\n")
    assert list(tmp_path.glob("gatepost-*")) == []


def test_a_demo_that_is_ended_ends_its_gateway_and_leaves_nothing(tmp_path):
    process = gatepost("demo", env={"TMPDIR": str(tmp_path)})
    while b"Sending" not in process.stdout.readline():
        pass
    process.terminate()
    code, _, err = ended(process)

    assert (code, err) == (143, "")
    assert list(tmp_path.glob("gatepost-*")) == []


def test_a_reader_that_goes_away_is_no_error_to_talk_about(folder):
    process = gatepost("extract", str(folder))
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None

    assert ended(process)[2] == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("--help",), ("score", "--help"), ("lists", "show"), ("check", "--example")])
def test_a_full_disk_is_named(words, unbuffered):
    with Path("/dev/full").open("wb") as full:
        code, _, err = ended(gatepost(*words, stdout=full, env={"PYTHONUNBUFFERED": unbuffered}))

    assert (code, err) == (1, "Error: standard output: No space left on device\n")


@pytest.mark.parametrize("charset", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("words", [("extract",), ("explain",), ("score",)])
def test_every_terminal_can_show_every_mail(tmp_path, charset, words):
    mail = tmp_path / "☠-Łódź.eml"
    mail.write_bytes(MAIL)
    code, out, err = ended(gatepost(*words, str(mail), env={"PYTHONIOENCODING": charset}))

    assert (code, err) == (0, "")
    assert out


def test_standard_input_that_is_closed_is_named():
    code, _, err = ended(gatepost("score", "-", stdin=None, preexec_fn=lambda: os.close(0)))

    assert (code, err) == (1, "-: standard input is closed\n")


def test_explain_wants_one_message(folder):
    done = CliRunner().invoke(main, ["explain", str(folder)])

    assert done.exit_code == 1
    assert f"{folder}: more than one message" in done.stderr


def test_a_folder_without_models_is_named(tmp_path):
    done = CliRunner().invoke(main, ["model", "list", str(tmp_path)])

    assert done.exit_code == 1
    assert f"{tmp_path}: no model bundles in it" in done.stderr


def test_a_refused_model_makes_the_list_fail(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    done = CliRunner().invoke(main, ["model", "list", str(tmp_path)])

    assert done.exit_code == 1
    assert "broken/manifest.json: not valid JSON" in done.stdout


def test_domains_of_the_command_line_are_shown_without_escapes():
    assert "\x1b" not in CliRunner().invoke(main, ["lists", "show", "a\x1b[31m.example"]).stdout


def test_lists_that_cannot_be_written_are_named(tmp_path):
    pytest.importorskip("pymispwarninglists")
    place = tmp_path / "nowhere" / "domains.bin"
    done = CliRunner().invoke(main, ["lists", "refresh", "--output", str(place)])

    assert done.exit_code == 1
    assert done.stderr == f"Error: {place}: cannot be written: No such file or directory\n"


def test_ctrl_c_before_a_command_runs_is_plain_too():
    process = gatepost("score", "-", stdin=subprocess.PIPE, start_new_session=True)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)

    assert ended(process)[::2] == (130, "Interrupted.\n")


def test_a_configuration_named_in_the_environment_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEPOST_CONFIG", str(tmp_path / "nowhere.toml"))
    done = CliRunner().invoke(main, ["score", "-"], input=MAIL)

    assert done.exit_code == 2
    assert f"{tmp_path}/nowhere.toml: expected a readable file" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.parametrize("locked", ["folder", "file"])
def test_who_may_not_read_the_usual_configuration_is_told_and_scores_with_the_defaults(monkeypatch, capfd, locked):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "config.toml"
        path.write_text("[gateway]\nhostname = 'secret.example'\n")
        path.chmod(0o600)
        Path(name).chmod(0o700 if locked == "folder" else 0o755)
        monkeypatch.delenv("GATEPOST_CONFIG", raising=False)
        monkeypatch.setattr("gatepost.config.DEFAULT_PATH", path)
        monkeypatch.setattr("gatepost.screening.DEFAULT_PATH", path)
        child = os.fork()
        if not child:
            os.setuid(65534)
            os._exit(0 if settings_for(None) == Settings() else 1)
        _, status = os.waitpid(child, 0)

    assert status == 0
    assert capfd.readouterr().err == f"{path}: this account may not read it; the defaults are used\n"
