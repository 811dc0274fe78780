"""What commands say is missing is what pyproject.toml calls it."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner

from gatepost.cli import main
from gatepost.commands.dataset_triage import needs_extra
from gatepost.extras import LEARN, TRAIN, Extra

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def listed(name: str) -> set[str]:
    return {re.split(r"[<>=\[; ]", package)[0] for package in PROJECT["optional-dependencies"][name]}


@pytest.mark.parametrize("extra", [LEARN, TRAIN], ids=lambda one: one.name)
def test_an_extra_brings_what_is_asked_for(extra: Extra) -> None:
    assert set(extra.packages.values()) <= listed(extra.name)
    assert extra.remedy == f"pip install '{PROJECT['name']}[{extra.name}]'"


def test_who_can_train_can_learn() -> None:
    assert listed("learn") <= listed("train")


def test_where_all_is_installed_nothing_is_said() -> None:
    assert Extra("any", {"json": "json"}).lacking("this") == ""


def test_the_review_order_names_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)

    with pytest.raises(ClickException, match=r"scipy is not installed; .*: pip install 'gatepost\[learn\]'"):
        needs_extra()


@pytest.mark.parametrize(("words", "told"), [
    (["train", "--dataset", "first", "--out", "x"], "pip install 'gatepost[learn]'"),
    (["train", "--out", "x"], "pip install 'gatepost[train]'"),
    (["evaluate"], "pip install 'gatepost[train]'"),
])  # fmt: skip
def test_each_command_names_the_extra_that_it_needs(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for module in LEARN.packages:
        monkeypatch.setitem(sys.modules, module, None)

    done = CliRunner().invoke(main, words)

    assert done.exit_code in (1, 2)
    assert "scipy, scikit-learn are not installed" in done.output
    assert told in done.output
