"""A whole training run on a small random base: what is exported computes what was trained, and serves."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs the training extra")

import torch
from transformers import BertConfig, BertModel

from model.bundle import TOKENIZER, Bundle
from model.score import Scorer, verify
from model.text import session
from training.evaluation.evaluate import Asked, evaluate
from training.evaluation.methods import FACTS, GATEPOST, TFIDF
from training.export import ExportError, quantise, to_onnx
from training.finetune import TextModel, base_folder, padded
from training.settings import ExportSettings, TrainSettings
from training.trainer import Trained, read_record, train

pytestmark = [
    pytest.mark.train,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers of width 48 with random weights, and the real tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(1)
    BertModel(BertConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96),
              add_pooling_layer=False).save_pretrained(folder)  # fmt: skip
    shutil.copyfile(Path(base_folder("")) / TOKENIZER, folder / TOKENIZER)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def settings(base: Path, cache: Path, method: str, **export: float) -> TrainSettings:
    return TrainSettings.model_validate({
        "cache": cache, "finetune": {"base": str(base), "method": method, "epochs": 1, "bf16": False},
        "export": {"parity": 0.8, **export}})  # fmt: skip


def card(done: Trained) -> str:
    """A card as the command makes it: the bundle in its unfinished folder has to score."""
    held = done.material.held[0]
    assert 0 < Scorer(done.bundle).score(held.document, held.facts).p_bad < 1
    return f"# {done.bundle.version}\n"


def run_training(base: Path, cache: Path, out: Path, method: str = "head", **export: float) -> Trained:
    return train(settings(base, cache, method, **export), None, out, now=datetime(2026, 1, 2, tzinfo=UTC),
                 tell=lambda _: None, finish=card)  # fmt: skip


@pytest.mark.parametrize("method", ["head", "lora", "full"])
def test_a_run_writes_a_bundle_that_serves(base: Path, cache: Path, tmp_path: Path, method: str) -> None:
    """It opens, its golden scores come out again, and it gives a finite score to mail it has never seen."""
    out = tmp_path / "bundle"

    done = run_training(base, cache, out, method)
    scorer = Scorer(Bundle.open(out))
    record = read_record(out)

    assert verify(scorer) < 1e-3
    assert scorer.version.startswith("20260102-")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle"]
    assert {e.group for e in done.material.held} == set(record["held_out_pairs"])
    assert not record["outside_collections"]
    asked = Asked(baselines=(FACTS, TFIDF))
    report = evaluate(Bundle.open(out), record, settings(base, cache, method), None, lambda _: None, asked)
    assert [s.name for s in report.sets] == ["written"]
    assert report.sets[0].good + report.sets[0].bad == len(done.material.held)
    assert set(report.sets[0].methods) == {GATEPOST, FACTS, TFIDF}


def test_a_failed_proof_leaves_nothing_behind(base: Path, cache: Path, tmp_path: Path) -> None:
    """A bundle whose int8 file differs from fp32 is not written, whatever time it took to train."""
    with pytest.raises((ExportError, OSError)):
        run_training(base, cache, tmp_path / "bundle", parity=1.0, golden_tolerance=1e-9, per_channel=False)

    assert list(tmp_path.iterdir()) == []


def vector(opened: Any, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """What an encoder's file says of one window."""
    feed = {"input_ids": ids[None], "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
    row: NDArray[np.float32] = opened.run(["pooled"], feed)[0][0]
    return row


def test_what_is_exported_computes_what_was_trained(base: Path, tmp_path: Path) -> None:
    """fp32 ONNX equals torch at any length and batch, and int8 is near it."""
    torch.manual_seed(3)
    trained = TextModel(
        BertModel.from_pretrained(base, add_pooling_layer=False, attn_implementation="eager"), 48, 0.0
    ).eval()
    draw = np.random.default_rng(2)
    windows = [draw.integers(1000, 20_000, n) for n in (3, 17, 128, 200)]
    to_onnx(trained, tmp_path / "a.onnx")
    quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", ExportSettings())

    fp32, int8 = session(tmp_path / "a.onnx"), session(tmp_path / "b.onnx")

    for window in windows:
        with torch.inference_mode():
            expected = trained.embedding(*padded([window])).numpy()[0]
        assert expected.shape == (48,)
        assert np.allclose(vector(fp32, window), expected, atol=1e-4)
        assert np.allclose(vector(int8, window), expected, atol=0.1)
    both = fp32.run(
        ["pooled"], dict(zip(("input_ids", "attention_mask"), (t.numpy() for t in padded(windows)), strict=True))
    )[0]
    assert np.allclose(both[0], vector(fp32, windows[0]), atol=1e-4)
    assert (tmp_path / "b.onnx").stat().st_size < 0.4 * (tmp_path / "a.onnx").stat().st_size
