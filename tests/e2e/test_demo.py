"""`gatepost demo`, as the first thing that a new user runs."""

import os
import subprocess
import sys

import pytest

from gatepost.terminal import width


def demo(*words, columns=80, **more):
    env = {k: v for k, v in os.environ.items() if k != "GATEPOST_CONFIG"}
    return subprocess.run([sys.executable, "-m", "gatepost", "demo", *words], capture_output=True, encoding="utf-8",
                          env={**env, "COLUMNS": str(columns), **more}, timeout=110)


def test_the_demo_goes_all_the_way_in_80_columns_and_leaves_nothing(tmp_path):
    done = demo(TMPDIR=str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    for part in (" quarantine ", " hold ", " deliver ", "released (250", "The same, byte for byte."):
        assert part in done.stdout
    assert max(width(line) for line in done.stdout.splitlines()) <= 80
    assert list(tmp_path.glob("gatepost-*")) == []


def test_what_is_kept_can_be_reviewed_and_is_not_written_over(tmp_path):
    folder = tmp_path / "kept"
    done = demo("--keep", str(folder), columns=120)
    assert (done.returncode, done.stderr) == (0, "")

    listed = subprocess.run([sys.executable, "-m", "gatepost", "quarantine", "--config", str(folder / "config.toml"),
                             "list", "--json"], capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) >= 3

    again = demo("--keep", str(folder))
    assert again.returncode == 1
    assert f"{folder}: already there" in again.stderr


@pytest.mark.parametrize("place", ["/proc/nowhere", "file/below"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    done = demo("--keep", str(tmp_path / place))

    assert done.returncode == 1
    assert done.stderr.startswith("Error: ") and place in done.stderr and "Traceback" not in done.stderr
