"""The shipped model: what is wrong with a bundle is said, and a wrong one never serves."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.bundle import DEFAULT, MANIFEST, Bundle, BundleError, digest, manifest_json
from model.facts import Facts
from model.labels import LABELS, Label
from model.normalise import Document
from model.score import Scorer, ScoringFailed, fuse, verify

FILES = ("model.onnx", "tokenizer.json", "window_weights.npy")


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(Bundle.open(DEFAULT))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT, tmp_path / "bundle"))


def edit(path: Path, **changes: object) -> None:
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def test_the_shipped_bundle_gives_its_golden_scores(scorer):
    assert verify(scorer) <= scorer.bundle.golden_tolerance
    assert len(scorer.bundle.goldens) >= 4


def test_the_shipped_bundle_is_small_enough():
    assert sum(f.stat().st_size for f in DEFAULT.iterdir()) <= 25_000_000


def test_the_manifest_holds_what_the_bundle_says():
    bundle = Bundle.open(DEFAULT)
    stored = json.loads((DEFAULT / MANIFEST).read_text())

    assert manifest_json(bundle).items() <= stored.items()


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused_by_name(copy, name):
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])

    with pytest.raises(BundleError, match=rf"{name}.*SHA-256.*restore"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(copy, name):
    (copy / name).unlink()

    with pytest.raises(BundleError, match=rf"{name}.*No such file"):
        Bundle.open(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 99}, "format is 99"),
        ({"normaliser_version": 0}, "normaliser_version is 0"),
        ({"labels": ["ham", "spam"]}, "labels are"),
        ({"files": {}}, "files.model.onnx is missing"),
        ({"files": {"../x": "0"}}, "missing"),
        ({"fusion": {}}, "KeyError"),
        ({"shape": {"windows": 99}}, "window"),
        ({"goldens": [{}]}, "KeyError"),
    ],
)
def test_a_wrong_manifest_is_refused_with_what_is_wrong(copy, changes, words):
    edit(copy, **changes)

    with pytest.raises(BundleError, match=words):
        Bundle.open(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "nonsense"])
def test_a_manifest_that_is_no_manifest_is_refused(copy, text):
    (copy / MANIFEST).write_text(text)

    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.open(copy)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no such file"):
        Bundle.open(tmp_path / "nowhere")


def test_a_file_outside_the_folder_cannot_be_named(copy):
    manifest = json.loads((copy / MANIFEST).read_text())
    edit(copy, files={**manifest["files"], "../other": "0"})

    with pytest.raises(BundleError, match="not a plain file name"):
        Bundle.open(copy)


def test_a_file_with_a_right_hash_but_no_model_in_it_is_refused(copy):
    (copy / "model.onnx").write_bytes(b"not a model")
    manifest = json.loads((copy / MANIFEST).read_text())
    edit(copy, files={**manifest["files"], "model.onnx": digest(copy / "model.onnx")})

    with pytest.raises(BundleError, match="cannot be loaded"):
        Scorer(Bundle.open(copy))


def test_golden_scores_that_differ_are_refused(scorer):
    first, *rest = scorer.bundle.goldens
    wrong = Scorer(replace(scorer.bundle, goldens=(replace(first, logit=first.logit + 1.0), *rest)))

    with pytest.raises(BundleError, match="golden input 1"):
        verify(wrong)


def test_probabilities_add_up_and_so_do_the_contributions(scorer):
    score = scorer.score(Document("Your invoice", (), "Please pay 20 euro", ("shop.example",)),
                         Facts(sender_known=False, list_unsubscribe=True))
    logit = score.bias + score.text_logit + sum(score.fact_logits.values())

    assert list(score.probabilities) == list(LABELS)
    assert sum(score.probabilities.values()) == pytest.approx(1.0)
    assert score.p_bad == pytest.approx(1 / (1 + math.exp(-logit)))


def test_an_unknown_fact_gives_nothing(scorer):
    assert scorer.score(Document("", (), "hello", ()), Facts()).fact_logits == {}


def test_the_text_can_move_the_score_only_so_far(scorer):
    fusion = scorer.bundle.fusion
    score = fuse(scorer.bundle, np.array([1e6, 0, 0, 0], dtype=np.float32), Facts(), 1)

    assert score.text_logit == pytest.approx(scorer.bundle.calibration.slope * fusion.text_cap)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_a_failure_not_a_score(scorer, monkeypatch, value):
    monkeypatch.setattr(scorer.reader, "run", lambda output, ids: np.full(384, value, dtype=np.float32))

    with pytest.raises(ScoringFailed, match="finite"):
        scorer.score(Document("", (), "hello", ()), Facts())


def test_the_same_input_gives_the_same_score(scorer):
    document = Document("Hello", (), "Win a prize " * 500, ())

    assert scorer.score(document, Facts()) == scorer.score(document, Facts())


def test_good_facts_lower_and_bad_facts_raise_the_score(scorer):
    """Signs are fixed by reason: a model with a wrong sign would follow where its mail was collected."""
    from model.facts import BAD, GOOD

    document = Document("Hello", (), "See you at noon", ())
    for name in scorer.bundle.fusion.facts:
        true = scorer.score(document, Facts(**{name: True})).p_bad
        false = scorer.score(document, Facts(**{name: False})).p_bad
        assert true <= false if name in GOOD else true >= false, name
    assert set(scorer.bundle.fusion.facts) <= {*GOOD, *BAD}
    assert Label.HAM in LABELS
