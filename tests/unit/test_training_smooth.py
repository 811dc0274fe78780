"""Smoothing is exact in fp32, and brings int8 nearer to it where a few channels are far larger than the rest."""

import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the training extra")
pytest.importorskip("onnxruntime.quantization", reason="needs the training extra")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from training.smooth import smooth  # noqa: E402

pytestmark = pytest.mark.train

WIDTH = 64


def outlier_model() -> "onnx.ModelProto":
    """One look-up with three channels a hundred times the others, and one product: ids [1, L] → logits [1, L, 16]."""
    draw = np.random.default_rng(0)
    table = draw.normal(size=(100, WIDTH)).astype(np.float32)
    table[:, :3] *= 100
    matrix = draw.normal(size=(WIDTH, 16)).astype(np.float32)
    matrix[:3] /= 100
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["states"], name="look"),
             helper.make_node("MatMul", ["states", "matrix"], ["logits"], name="product")]  # fmt: skip
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "L"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [1, "L"])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "L", 16])
    stored = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(matrix, "matrix")]
    graph = helper.make_graph(nodes, "g", [ids, mask], [out], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def logits(
    path: Path, ids: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = session.run(
        None, {"input_ids": ids[None], "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
    )[0]
    return found


def int8(path: Path) -> Path:
    from onnxruntime.quantization import quantize_dynamic

    out = path.with_suffix(".int8.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_dynamic(str(path), str(out), op_types_to_quantize=["MatMul"], per_channel=True)
    return out


def test_smoothing_is_exact_and_int8_errs_less(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    ids = draw.integers(0, 100, 40)
    plain, eased = tmp_path / "plain.onnx", tmp_path / "eased.onnx"
    model = outlier_model()
    onnx.save(model, str(plain))
    smooth(model, [draw.integers(0, 100, 30) for _ in range(5)])
    onnx.save(model, str(eased))

    expected = logits(plain, ids)

    assert np.allclose(logits(eased, ids), expected, atol=1e-3)
    error = {path: float(np.abs(logits(int8(path), ids) - expected).mean()) for path in (plain, eased)}
    assert error[eased] < error[plain] / 2
