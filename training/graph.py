"""The file that serves, written from the trained weights: a BERT encoder in int8 and the mean over its tokens.

Every matrix is int8 with 7 bits and a scale for each column; activations are quantised as they come.
Two things keep that exact where one scale a window is not enough. What the layer norms give is evened out by a scale
for each channel, which the norm's own weights foretell and the matrix takes back (Xiao et al. 2023, SmoothQuant).
What goes into the second matrix of a feed-forward block has outliers in single tokens: each token is brought to the
same size before, and the product back to its own after. One window a call, so there is no mask.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model.text import EMBEDDING

Matrix = NDArray[np.float32]

OPSET = 20
STEPS = 63
"""Greatest quantised weight: with 7 bits no processor without VNNI saturates."""
SMOOTHING = 0.7
"""Share of a channel's spread that moves from the activations into the matrix."""
SIGMAS = 4.0
"""Where a normalised channel ends, in standard deviations."""
FLOOR = 0.5
"""Tokens are not brought to size from below this: the Gaussian unit gives down to -0.17, whatever its greatest."""


def fits(config: Any) -> bool:
    """Tell whether this module can write an encoder of that configuration: a BERT with the exact Gaussian unit."""
    return (
        getattr(config, "model_type", "") == "bert"
        and getattr(config, "hidden_act", "") == "gelu"
        and getattr(config, "position_embedding_type", None) in (None, "absolute")
    )


def serving_graph(state: Mapping[str, Any], heads: int, *, epsilon: float = 1e-12) -> Any:
    """Return the ONNX model: `input_ids` int64[batch, length], no padding → `pooled` float32[batch, width].

    The embedding has length 1; the head is a file of its own (`model.head`). `state` is the state dict of a merged
    `TextModel` over BERT (tensors or arrays by name).
    """
    return _Graph({name: np.asarray(value, dtype=np.float32) for name, value in state.items()
                   if "position_ids" not in name}, heads, epsilon).model()


class _Graph:
    """Nodes and stored tensors while they are put together."""

    def __init__(self, state: Mapping[str, Matrix], heads: int, epsilon: float) -> None:
        self._state = state
        self._heads = heads
        self._epsilon = epsilon
        self._nodes: list[Any] = []
        self._stored: dict[str, Any] = {}

    def model(self) -> Any:
        """Put the whole graph together."""
        layers = 1 + max(int(name.split(".")[3]) for name in self._state if name.startswith("encoder.encoder.layer."))
        x = self._embedded("encoder.embeddings.")
        norm = "encoder.embeddings.LayerNorm"
        for number in range(layers):
            x, norm = self._layer(x, norm, f"encoder.encoder.layer.{number}.")
        mean = self._op("ReduceMean", [x, self._keep("tokens", np.array([1]))], keepdims=0)
        self._op("LpNormalization", [mean], name=EMBEDDING, axis=-1, p=2)
        width = len(self._state["encoder.embeddings.LayerNorm.bias"])
        graph = helper.make_graph(
            self._nodes, "encoder",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
            [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["batch", width])],
            list(self._stored.values()),
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="gatepost")
        made.ir_version = 10
        onnx.checker.check_model(made)
        return made

    def _op(self, kind: str, given: Sequence[str], *, name: str = "", **attributes: Any) -> str:
        name = name or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, given, [name], name=f"{name}_node", **attributes))
        return name

    def _keep(self, name: str, values: NDArray[Any]) -> str:
        if name not in self._stored:
            self._stored[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def _embedded(self, at: str) -> str:
        """Look up words (int8 with a scale each) and add places; the type of segment is always the first."""
        words = self._state[at + "word_embeddings.weight"]
        scales = (np.maximum(np.abs(words).max(axis=1, keepdims=True), 1e-12) / 127).astype(np.float32)
        rows = self._op("Gather", [self._keep("words", np.round(words / scales).astype(np.int8)), "input_ids"])
        sizes = self._op("Gather", [self._keep("word_scales", scales), "input_ids"])
        x = self._op("Mul", [self._op("Cast", [rows], to=TensorProto.FLOAT), sizes])
        places = self._state[at + "position_embeddings.weight"] + self._state[at + "token_type_embeddings.weight"][0]
        length = self._op("Shape", ["input_ids"], start=1, end=2)
        some = self._op("Slice", [self._keep("places", places), self._keep("first", np.array([0])), length])
        return self._norm(self._op("Add", [x, some]), at + "LayerNorm")

    def _layer(self, x: str, norm: str, at: str) -> tuple[str, str]:
        """One block: attention and feed-forward. `norm` made `x`; returns the block's output and its last norm."""
        names = [f"{at}attention.self.{name}" for name in ("query", "key", "value")]
        even, spread = self._evened(x, norm, names)
        query, key, value = (self._product(even, name, spread) for name in names)
        mixed = self._attention(query, key, value)
        out = self._product(mixed, at + "attention.output.dense")
        norm = at + "attention.output.LayerNorm"
        x = self._norm(self._op("Add", [out, x]), norm)
        name = at + "intermediate.dense"
        even, spread = self._evened(x, norm, [name])
        wide = self._op("Gelu", [self._product(even, name, spread)])
        out = self._by_token(wide, at + "output.dense")
        norm = at + "output.LayerNorm"
        return self._norm(self._op("Add", [out, x]), norm), norm

    def _attention(self, query: str, key: str, value: str) -> str:
        width = len(self._state["encoder.embeddings.LayerNorm.bias"])
        apart = self._keep("apart", np.array([0, 0, self._heads, width // self._heads]))
        q, k, v = (self._op("Transpose", [self._op("Reshape", [x, apart])], perm=perm)
                   for x, perm in ((query, [0, 2, 1, 3]), (key, [0, 2, 3, 1]), (value, [0, 2, 1, 3])))
        scale = self._keep("root", np.array([(width // self._heads) ** -0.5], dtype=np.float32))
        share = self._op("Softmax", [self._op("Mul", [self._op("MatMul", [q, k]), scale])], axis=-1)
        mixed = self._op("Transpose", [self._op("MatMul", [share, v])], perm=[0, 2, 1, 3])
        return self._op("Reshape", [mixed, self._keep("joined", np.array([0, 0, width]))])

    def _norm(self, x: str, name: str) -> str:
        weights = [self._keep(f"{name}.{part}", self._state[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self._op("LayerNormalization", [x, *weights], axis=-1, epsilon=self._epsilon)

    def _evened(self, x: str, norm: str, names: Sequence[str]) -> tuple[str, Matrix]:
        """Divide each channel by a share of its spread; returns the result and what the matrices multiply by."""
        spread = np.abs(self._state[norm + ".bias"]) + SIGMAS * np.abs(self._state[norm + ".weight"])
        heaviest = np.max([np.abs(self._state[name + ".weight"]).max(axis=0) for name in names], axis=0)
        scale = np.maximum(spread, 1e-6) ** SMOOTHING / np.maximum(heaviest, 1e-6) ** (1 - SMOOTHING)
        scale = (scale / np.exp(np.log(scale).mean())).astype(np.float32)
        return self._op("Mul", [x, self._keep(f"{names[0]}.even", 1 / scale)]), scale

    def _by_token(self, x: str, name: str) -> str:
        """Multiply with each token at the same size."""
        most = self._op("ReduceMax", [x, self._keep("channels", np.array([-1]))], keepdims=1)
        size = self._op("Max", [most, self._keep("floor", np.array([FLOOR], dtype=np.float32))])
        even = self._op("Mul", [x, self._op("Reciprocal", [size])])
        return self._op("Add", [self._op("Mul", [self._raw_product(even, name, None), size]),
                                self._keep(f"{name}.bias", self._state[f"{name}.bias"])])

    def _product(self, x: str, name: str, spread: Matrix | None = None) -> str:
        bias = self._keep(f"{name}.bias", self._state[f"{name}.bias"])
        return self._op("Add", [self._raw_product(x, name, spread), bias])

    def _raw_product(self, x: str, name: str, spread: Matrix | None) -> str:
        """Quantise `x` with one scale, multiply in int8, scale back."""
        matrix = self._state[f"{name}.weight"].T
        if spread is not None:
            matrix = matrix * spread[:, None]
        scale = (np.maximum(np.abs(matrix).max(axis=0), 1e-12) / STEPS).astype(np.float32)
        values = self._keep(f"{name}.values", np.clip(np.round(matrix / scale), -STEPS, STEPS).astype(np.int8))
        zeros = self._keep(f"{name}.zeros", np.zeros(len(scale), dtype=np.int8))
        quantised = [f"{x}_{part}" for part in ("values", "scale", "zero")]
        if not any(node.output[0] == quantised[0] for node in self._nodes):  # query, key and value share one
            self._nodes.append(helper.make_node("DynamicQuantizeLinear", [x], quantised, name=f"{x}_quantise"))
        whole = self._op("MatMulInteger", [quantised[0], values, quantised[2], zeros])
        sizes = self._op("Mul", [quantised[1], self._keep(f"{name}.scale", scale)])
        return self._op("Mul", [self._op("Cast", [whole], to=TensorProto.FLOAT), sizes])
