"""Every broken configuration is refused in time, with exit code 2, no traceback, and the sentence that helps."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CASES = tomllib.loads((Path(__file__).parent / "cases.toml").read_text())["case"]
GATEPOST = (sys.executable, "-P", "-c", "from gatepost.cli import main; main()")
LISTENER = """[[listener]]
name = "in"
listen = "127.0.0.1:10025"
mode = "before-queue"
direction = "inbound"
next_hop = "127.0.0.1:10026"
"""
NEXT = '[[listener]]\nmode = "after-queue"\ndirection = "outbound"\nnext_hop = "127.0.0.1:10026"'


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GATEPOST, *arguments], capture_output=True, text=True, timeout=60)


def test_there_are_enough_cases_and_no_name_twice():
    names = [case["name"] for case in CASES]

    assert len(names) >= 25
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_serve_refuses(case, tmp_path):
    """`gatepost serve` names the file, the key, what was expected and what was found."""
    file = tmp_path / "config.toml"
    file.write_text(case["config"].replace("{listener}", LISTENER).replace("{next}", NEXT))

    done = run("serve", "--config", str(file))

    assert done.returncode == 2
    assert f"{file}: {case['expected']}" in done.stderr
    assert all(line.startswith(f"{file}: ") for line in done.stderr.splitlines())
    assert done.stdout == ""


def test_missing_file(tmp_path):
    """A file that is not there is named, with the ways to choose another."""
    file = tmp_path / "none.toml"

    done = run("serve", "--config", str(file))

    assert done.returncode == 2
    hint = "(choose another with --config or $GATEPOST_CONFIG)"
    assert done.stderr == f"{file}: expected a readable file: No such file or directory {hint}\n"


def test_not_utf8(tmp_path):
    """A file in another encoding is refused with the place of the first wrong byte."""
    file = tmp_path / "config.toml"
    file.write_bytes(b'[gateway]\nhostname = "m\xfcller"\n')

    done = run("serve", "--config", str(file))

    assert done.returncode == 2
    assert done.stderr == f"{file}: expected UTF-8 text, found byte 0xfc at offset 23\n"


def test_every_complaint_is_told_at_once(tmp_path):
    """Who has made three mistakes hears of three."""
    file = tmp_path / "config.toml"
    file.write_text(f'{LISTENER}\n[gateway]\nworkers = "x"\nuserr = ""\n[log]\nformat = "xml"\n')

    done = run("serve", "--config", str(file))

    assert len(done.stderr.splitlines()) == 3
