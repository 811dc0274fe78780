"""From a trained model to the one file that serves: int8 ONNX, a quarter of the size.

torch's own exporter gives the fp32 file that the other is compared with. The file that serves is written by
`training.graph` where the encoder is a plain BERT, since that runs a third faster; for other encoders it is made from
the fp32 file by dynamic quantisation. The released figures are measured on it.
"""

import contextlib
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from model.bundle import ENCODER, TOKENIZER, WEIGHTS
from model.text import EMBEDDING
from training.finetune import TextModel, base_folder
from training.graph import fits, serving_graph
from training.settings import ExportSettings
from training.smooth import smooth

FP32 = "fp32.onnx"
LARGE_TABLE = 1_000_000
"""Values from which a look-up table is worth storing as int8."""


class ExportError(Exception):
    """The exported file does not compute what was trained."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' advice to their developers off the operator's screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


class _Embedding(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """The part of a model that is exported: all but its head."""

    def __init__(self, trained: TextModel) -> None:
        super().__init__()
        self.trained = trained

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the unit mean over tokens."""
        return self.trained.embedding(input_ids, attention_mask)


def to_onnx(trained: TextModel, path: Path) -> None:
    """Export in fp32 with dynamic batch and length: ids and mask → `pooled` [batch, width]."""
    ids = torch.ones((2, 16), dtype=torch.int64)
    batch, length = torch.export.Dim("batch", min=1, max=512), torch.export.Dim("length", min=3, max=512)
    with quiet():
        torch.onnx.export(
            _Embedding(trained).eval(),
            (ids, torch.ones_like(ids)),
            str(path),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=["input_ids", "attention_mask"],
            output_names=[EMBEDDING],
            dynamic_shapes={"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}},
        )


def quantise(fp32: Path, int8: Path, settings: ExportSettings, probes: Sequence[NDArray[np.int64]] = ()) -> None:
    """Write every matrix and the embedding table as int8.

    Activations are quantised as they come, but for the second matrix of each feed-forward block: what goes in there
    has outliers that one scale a window cannot hold, and costs the most labels. Its weights alone are int8. The
    embedding table has a scale for each word piece. `probes` are windows of real mail for `smooth`.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    stored = onnx.load(str(fp32))
    if probes:
        smooth(stored, probes)
    _store_rows_int8(stored.graph)
    narrowing = _narrowing(stored.graph) if settings.spare_narrowing else []
    for node in narrowing:
        _store_int8(stored.graph, node)
    halfway = int8.with_suffix(".half")
    try:
        onnx.save(stored, str(halfway))
        with quiet():
            quantize_dynamic(
                str(halfway),
                str(int8),
                weight_type=QuantType.QInt8,
                per_channel=settings.per_channel,
                reduce_range=settings.reduce_range,
                op_types_to_quantize=["MatMul"],
                nodes_to_exclude=[node.name for node in narrowing],
            )
    finally:
        halfway.unlink(missing_ok=True)


def _narrowing(graph: Any) -> list[Any]:
    """Products with a stored matrix of more rows than columns: the second of each feed-forward block."""
    shapes = {i.name: tuple(i.dims) for i in graph.initializer}
    return [
        n for n in graph.node if n.op_type == "MatMul" and len(s := shapes.get(n.input[1], ())) == 2 and s[0] > s[1]
    ]


def _store_int8(graph: Any, node: Any) -> None:
    """Replace a product's matrix [rows, columns] by int8 values with a scale for each column."""
    from onnx import helper, numpy_helper

    name = node.input[1]
    held = next(i for i in graph.initializer if i.name == name)
    matrix = numpy_helper.to_array(held)
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-12).astype(np.float32) / 127
    values = np.clip(np.round(matrix / scale), -127, 127).astype(np.int8)
    graph.initializer.remove(held)
    graph.initializer.append(numpy_helper.from_array(values, f"{name}_int8"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
    graph.node.insert(
        0,
        helper.make_node(
            "DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [f"{name}_back"], name=f"{name}_dequantize", axis=1
        ),
    )
    node.input[1] = f"{name}_back"


def _store_rows_int8(graph: Any) -> None:
    """Store every large table that is only looked up as int8 rows with a scale each, read back after the look-up."""
    from onnx import TensorProto, helper, numpy_helper

    held = {i.name: i for i in graph.initializer}
    for node in [n for n in graph.node if n.op_type == "Gather" and n.input[0] in held]:
        name, out = node.input[0], node.output[0]
        table = numpy_helper.to_array(held[name])
        if table.ndim != 2 or table.size < LARGE_TABLE:
            continue
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
        values = np.clip(np.round(table / scale), -127, 127).astype(np.int8)
        graph.initializer.remove(held[name])
        graph.initializer.append(numpy_helper.from_array(values, f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        at = list(graph.node).index(node)
        graph.node.remove(node)
        made = [
            helper.make_node("Gather", [f"{name}_int8", node.input[1]], [f"{out}_int8"], name=f"{out}_rows"),
            helper.make_node("Cast", [f"{out}_int8"], [f"{out}_wide"], name=f"{out}_cast", to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}_scale", node.input[1]], [f"{out}_scale"], name=f"{out}_scales"),
            helper.make_node("Mul", [f"{out}_wide", f"{out}_scale"], [out], name=f"{out}_back"),
        ]
        for offset, new in enumerate(made):
            graph.node.insert(at + offset, new)


def write_files(
    trained: TextModel,
    weights: NDArray[np.float16],
    folder: Path,
    base: str,
    settings: ExportSettings,
    probes: Sequence[NDArray[np.int64]] = (),
) -> Path:
    """Write encoder, tokenizer and window weights into `folder`; returns the fp32 file, which lies outside it."""
    fp32 = folder.parent / f"{folder.name}.{FP32}"
    to_onnx(trained, fp32)
    if settings.own_graph and fits(trained.encoder.config):
        onnx.save(serving_graph(trained.state_dict(), int(trained.encoder.config.num_attention_heads),
                                epsilon=float(trained.encoder.config.layer_norm_eps)),
                  str(folder / ENCODER))
    else:
        quantise(fp32, folder / ENCODER, settings, probes)
    shutil.copyfile(Path(base_folder(base)) / TOKENIZER, folder / TOKENIZER)
    np.save(folder / WEIGHTS, weights)
    return fp32
