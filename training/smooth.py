"""Making activations easy to quantise: move their outliers into the weights (SmoothQuant, Xiao et al. 2022).

An int8 product quantises a window's activations with one scale, and a few channels of a BERT are far larger than the
rest. Each channel is divided by a factor and the weight rows that read it are multiplied by the same, which is exact
in fp32 and leaves int8 a fraction of its error.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTH = 0.6
"""Share of an outlier that moves into the weights; .5 to .75 are usual."""
FACTORS = (0.05, 100.0)

Floats = NDArray[np.float32]


def smooth(stored: Any, windows: Sequence[NDArray[np.int64]], strength: float = STRENGTH) -> None:
    """Change an ONNX model in place. `windows`: ids of some real mail, from which the channels' ranges are taken."""
    from onnx import helper, numpy_helper

    graph = stored.graph
    weights = {i.name: i for i in graph.initializer}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            readers.setdefault(node.input[0], []).append(node)
    ranges = _ranges(stored, list(readers), windows)
    for name, nodes in readers.items():
        tables = [numpy_helper.to_array(weights[n.input[1]]) for n in nodes]
        heavy = np.max([np.abs(t).max(axis=1) for t in tables], axis=0)
        factor = _factors(ranges[name], heavy, strength)
        at = min(i for i, node in enumerate(graph.node) if node in nodes)
        graph.initializer.append(numpy_helper.from_array((1 / factor).astype(np.float32), f"{name}_ease"))
        graph.node.insert(at, helper.make_node("Mul", [name, f"{name}_ease"], [f"{name}_eased"], name=f"{name}_mul"))
        for node, table in zip(nodes, tables, strict=True):
            weights[node.input[1]].CopyFrom(
                numpy_helper.from_array((table * factor[:, None]).astype(np.float32), node.input[1])
            )
            node.input[0] = f"{name}_eased"


def _factors(reach: Floats, heavy: Floats, strength: float) -> Floats:
    raw = np.maximum(reach, 1e-5) ** strength / np.maximum(heavy, 1e-5) ** (1 - strength)
    factor: Floats = np.clip(raw / np.exp(np.log(raw).mean()), *FACTORS).astype(np.float32)
    return factor


def _ranges(stored: Any, names: Sequence[str], windows: Sequence[NDArray[np.int64]]) -> dict[str, Floats]:
    """Greatest size of each channel of the named activations over the windows."""
    import onnx
    import onnxruntime

    probe = onnx.ModelProto()
    probe.CopyFrom(stored)
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    opened = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: dict[str, Floats] = {}
    for ids in windows:
        feed = {"input_ids": ids[None, :], "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
        for name, values in zip(names, opened.run(list(names), feed), strict=True):
            reach = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            found[name] = np.maximum(found[name], reach) if name in found else reach
    return found
