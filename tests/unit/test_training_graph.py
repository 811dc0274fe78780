"""The file that serves, written by ourselves: it computes what the trained encoder computes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training extra is not installed")

from training.export import run, session  # noqa: E402 - behind the check
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


@pytest.mark.parametrize("unit", [False, True])
def test_its_logits_are_the_trained_models(tmp_path, unit):
    import onnx

    model = TextModel(encoder(), WIDTH, 0.0, unit=unit).eval()
    path = tmp_path / "model.onnx"
    onnx.save(serving_graph(model.state_dict(), HEADS, unit=unit), str(path))
    opened = session(path)
    draw = np.random.default_rng(5)

    for length in (2, 17, 128):
        ids = draw.integers(0, 500, length)
        with torch.no_grad():
            expected = model(torch.tensor(ids)[None], torch.ones(1, length, dtype=torch.int64)).numpy()[0]

        assert np.abs(run(opened, (ids,)) - expected).max() < 0.05 * max(1.0, np.abs(expected).max())


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
