"""The file that serves, written by ourselves: it computes what the trained encoder computes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training extra is not installed")

from model.text import session  # noqa: E402 - behind the check
from training.finetune import TextModel  # noqa: E402
from training.graph import fits, serving_graph  # noqa: E402

pytestmark = pytest.mark.train

WIDTH, HEADS = 64, 4


def encoder(**changes):
    from transformers import BertConfig, BertModel

    torch.manual_seed(3)
    config = BertConfig(vocab_size=500, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=HEADS,
                        intermediate_size=4 * WIDTH, max_position_embeddings=128, **changes)
    return BertModel(config, add_pooling_layer=False).eval()


def test_its_embedding_is_the_trained_models(tmp_path):
    import onnx

    model = TextModel(encoder(), WIDTH, 0.0).eval()
    path = tmp_path / "model.onnx"
    onnx.save(serving_graph(model.state_dict(), HEADS), str(path))
    opened = session(path)
    draw = np.random.default_rng(5)

    for length in (2, 17, 128):
        ids = draw.integers(0, 500, length)
        with torch.no_grad():
            expected = model.embedding(torch.tensor(ids)[None], torch.ones(1, length, dtype=torch.int64)).numpy()[0]
        (found,) = opened.run(["pooled"], {"input_ids": ids[None]})[0]

        assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-5)
        assert np.linalg.norm(found - expected) < 0.05


def test_it_takes_no_mask_and_the_weights_are_int8(tmp_path):
    import onnx

    made = serving_graph(TextModel(encoder(), WIDTH, 0.0).state_dict(), HEADS)
    matrices = [t for t in made.graph.initializer if t.name.endswith(".values")]

    assert [given.name for given in made.graph.input] == ["input_ids"]
    assert len(matrices) == 2 * 6 and all(t.data_type == onnx.TensorProto.INT8 for t in matrices)
    assert max(np.abs(onnx.numpy_helper.to_array(t)).max() for t in matrices) <= 63


def test_it_is_for_plain_bert_only():
    assert fits(encoder().config)
    assert not fits(encoder(hidden_act="relu").config)
    assert not fits(object())
