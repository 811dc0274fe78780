"""The command line as its contract has it: names, JSON fields, exit codes, plain errors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.cli import COMMANDS, main

MAIL = (b"Return-Path: <ann@sender.example>\r\nFrom: Ann <ann@sender.example>\r\nTo: bob@corp.example\r\n"
        b"Subject: lunch\r\nDate: Mon, 09 Mar 2026 10:12:44 +0100\r\n\r\nSee you at noon.\r\n")


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    path = tmp_path / "mail.eml"
    path.write_bytes(MAIL)
    return path


def run(*words: str, data: bytes | None = None):
    return CliRunner(catch_exceptions=False).invoke(main, [*words], input=data)


def every_command():
    for name in COMMANDS:
        command = main.get_command(None, name)
        yield (name,), command
        for sub in getattr(command, "commands", {}):
            yield (name, sub), command.commands[sub]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    done = run(name, "--help")

    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 4


def test_every_option_explains_itself():
    silent = [(path, option.name) for path, command in every_command() for option in command.params
              if option.param_type_name == "option" and not option.help]

    assert silent == []


def test_every_command_is_in_the_readme():
    readme = (Path(__file__).parents[2] / "README.md").read_text()

    assert [name for name in COMMANDS if f"gatepost {name}" not in readme] == []


def test_score_json_has_the_fields_of_the_contract(mail):
    done = run("score", "--json", str(mail))
    [row] = [json.loads(line) for line in done.output.splitlines()]

    assert done.exit_code == 0
    assert list(row) == ["path", "direction", "label", "scores", "p_bad", "route", "reasons", "findings", "model",
                         "ms"]
    assert set(row["scores"]) == {"ham", "spam", "phishing", "fraud"}
    assert sum(row["scores"].values()) == pytest.approx(1, abs=1e-4)
    assert row["path"] == str(mail) and row["direction"] == "inbound"


def test_score_takes_mail_from_standard_input():
    row = json.loads(run("score", "--json", "-", data=MAIL).output)

    assert row["path"] == "-" and row["p_bad"] is not None


def test_score_reads_folders_with_several_jobs_in_order(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.eml").write_bytes(MAIL.replace(b"lunch", b"lunch %d" % number))

    done = run("score", "--json", "--jobs", "2", str(tmp_path))

    assert [Path(json.loads(line)["path"]).name for line in done.output.splitlines()] == [
        f"{n:02}.eml" for n in range(12)]


def test_a_path_that_cannot_be_read_is_named_and_the_rest_still_run(mail, tmp_path):
    done = run("score", "--json", str(tmp_path / "nowhere"), str(mail))
    first, second = (json.loads(line) for line in done.output.splitlines())

    assert done.exit_code == 1
    assert first == {"path": str(tmp_path / "nowhere"), "error": "No such file or directory"}
    assert second["route"] == "deliver"


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"\n\n\n", b"no header at all", b"From: \xff\xfe\r\n\r\n\xff"])
def test_score_answers_whatever_it_is_given(data):
    row = json.loads(run("score", "--json", "-", data=data).output)

    assert row["p_bad"] is not None and "error" not in row


def test_outbound_leaks_are_found_and_masked():
    text = b"From: a@corp.example\r\nSubject: x\r\n\r\nPlease charge my Visa card 4026 0000 0000 0002 today.\r\n"
    row = json.loads(run("score", "--json", "--direction", "outbound", "-", data=text).output)

    assert row["route"] == "hold"
    assert row["findings"][0]["detector"] == "payment-card"
    assert "4026 0000" not in json.dumps(row) and "40260000" not in json.dumps(row)


def test_the_score_table_shows_no_terminal_escapes(tmp_path):
    path = tmp_path / "a\x1b[31mred.eml"
    path.write_bytes(MAIL)

    assert "\x1b" not in run("score", str(path)).output


def test_explain_adds_up(mail):
    row = json.loads(run("explain", "--json", str(mail)).output)
    logit = sum(row["logits"].values())

    assert row["p_bad"] == pytest.approx(1 / (1 + 2.718281828459045 ** -logit), abs=1e-6)
    assert row["thresholds"]["quarantine_at"] is not None


def test_explain_says_in_words_what_it_knows(mail):
    output = run("explain", str(mail)).output

    assert "because clean: nothing speaks against it strongly enough" in output
    assert "logits of bad mail" in output and "sum" in output and "See you at noon." in output


def test_explain_of_nothing_is_a_plain_error(tmp_path):
    done = run("explain", str(tmp_path / "nowhere"))

    assert done.exit_code == 1
    assert "No such file" in done.output


def test_a_broken_configuration_is_named(mail, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("[gatewya]\n")

    done = run("score", "--config", str(config), str(mail))

    assert done.exit_code == 2
    assert str(config) in done.output and "gatewya" in done.output


def test_model_verify_says_ok_and_refuses_in_words(tmp_path):
    assert run("model", "verify").output.startswith("ok: ")

    done = run("model", "verify", str(tmp_path))

    assert done.exit_code == 1
    assert "manifest.json: no such file" in done.output


def test_model_list_and_show_name_the_shipped_model():
    [row] = [json.loads(line) for line in run("model", "list", "--json").output.splitlines()]
    shown = json.loads(run("model", "show", "--json").output)

    assert row["version"] == shown["version"]
    assert shown["labels"] == ["ham", "spam", "phishing", "fraud"]


def test_an_unknown_command_is_refused_with_exit_code_2():
    assert run("scroe").exit_code == 2


def test_the_module_runs_as_the_command():
    done = subprocess.run([sys.executable, "-m", "gatepost", "--version"], capture_output=True, text=True)

    assert done.returncode == 0 and done.stdout.startswith("gatepost ")
