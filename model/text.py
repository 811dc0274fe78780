"""Reading a message's text with the encoder: documents in, what the head weighs out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model.encode import Encoder, Ids, Shape
from model.head import TextInput
from model.lexical import Words, words
from model.normalise import Document

EMBEDDING = "pooled"
"""Output of the encoder's file: float32[batch, width], the unit mean over tokens."""
SLOW_FUSIONS = ("SkipLayerNormFusion",)
"""What the runtime would join into kernels that take longer than the parts: this one 0.26 ms against 0.04 ms."""


def session(path: Path, threads: int = 1) -> Any:
    """Open an ONNX file for the CPU. One thread: workers are processes, and more threads a message were slower."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"],
                                        disabled_optimizers=list(SLOW_FUSIONS))


class TextReader:
    """A tokenizer and an opened encoder. Several threads may read with one."""

    def __init__(self, encoder: Path, tokenizer: Path, window_weights: NDArray[np.float32], shape: Shape) -> None:
        """Open the files. Raises whatever the runtime, the tokenizer or the disk raise."""
        self.encoder = Encoder(tokenizer, window_weights, shape)
        self._session = session(encoder)
        self._masked = any(given.name == "attention_mask" for given in self._session.get_inputs())
        self.outputs = tuple(given.name for given in self._session.get_outputs())

    def run(self, output: str, ids: Ids) -> NDArray[np.float32]:
        """Run one window (1-D ids) through the encoder and return the first row of an output."""
        feed = {"input_ids": ids[None, :]}
        if self._masked:
            feed["attention_mask"] = np.ones((1, len(ids)), dtype=np.int64)
        row: NDArray[np.float32] = self._session.run([output], feed)[0][0]
        return row

    def embed(self, document: Document, bits: int) -> TextInput:
        """Read a document: the mean of its windows' vectors, and its words hashed to `bits` bits."""
        windows = self.encoder.encode(document)
        vectors = np.stack([self.run(EMBEDDING, ids) for ids in windows.ids])
        # a mean and not the worst: in long honest mail some window always looks bad
        mean = np.asarray(vectors.mean(axis=0), dtype=np.float32)
        said = _words(self.encoder, windows.passages, document, bits)
        long = self.encoder.shape.long
        if windows.slices <= long:
            return TextInput(mean, said, len(windows.ids))
        opening = TextInput(vectors[0], _words(self.encoder, windows.opening, document, bits), 1)
        return TextInput(mean, said, len(windows.ids), opening, long / windows.slices)


def document_words(encoder: Encoder, document: Document, bits: int) -> Words:
    """Return a document's words hashed to `bits` bits, as serving would."""
    return _words(encoder, encoder.encode(document).passages, document, bits)


def _words(encoder: Encoder, passages: Sequence[Ids], document: Document, bits: int) -> Words:
    return words(passages, f"{document.subject}\n{document.body}", bits, encoder.unknown,
                 counted=not encoder.shape.word_tokens)
