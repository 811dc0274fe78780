"""From examples to what the encoder learns from (windows of ids, with side, kind and weight) and the head reads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle import TOKENIZER
from model.encode import Encoder, Shape
from model.head import TextInput
from model.labels import BAD
from model.text import TextReader
from training.examples import WRITTEN, Example
from training.finetune import Labelled, base_folder
from training.linear import window_weights
from training.settings import FinetuneSettings


def shape(settings: FinetuneSettings, *, training: bool = False) -> Shape:
    """How documents are cut: fewer windows to train on than to serve."""
    return Shape(max_tokens=settings.max_tokens, windows=settings.train_windows if training else settings.windows,
                 word_tokens=settings.word_tokens, long=settings.long)  # fmt: skip


def fit_window_weights(examples: Sequence[Example], settings: FinetuneSettings) -> NDArray[np.float16]:
    """Fit the linear model that chooses windows."""
    plain = Encoder(Path(base_folder(settings.base)) / TOKENIZER, None, shape(settings))
    tokens = [plain.tokens(f"{e.document.subject}\n{e.document.body}") for e in examples]
    return window_weights(
        tokens, np.array([int(e.bad) for e in examples]), np.array([e.weight for e in examples]), plain.vocabulary
    )


def for_tuning(examples: Sequence[Example], settings: FinetuneSettings) -> list[Example]:
    """Return what the encoder is fine-tuned on: all written mail, a draw of the rest, none of too great a weight."""
    written = [e for e in examples if e.archive == WRITTEN]
    rest = [e for e in examples if e.archive != WRITTEN]
    order = np.random.default_rng(settings.seed).permutation(len(rest))[: settings.collections]
    return [replace(e, weight=min(e.weight, settings.most_weight)) for e in (*written, *(rest[i] for i in order))]


def labelled(examples: Sequence[Example], weights: NDArray[np.float16], settings: FinetuneSettings) -> list[Labelled]:
    """Cut examples for training."""
    encoder = Encoder(
        Path(base_folder(settings.base)) / TOKENIZER, weights.astype(np.float32), shape(settings, training=True)
    )
    return [
        Labelled(encoder.encode(e.document).ids, e.bad, BAD.index(e.kind) if e.kind else -1, e.weight)
        for e in examples
    ]


def opened(encoder: Path, weights: NDArray[np.float16], settings: FinetuneSettings) -> TextReader:
    """Open an encoder's file with the base's tokenizer, to read as serving would."""
    tokenizer = Path(base_folder(settings.base)) / TOKENIZER
    return TextReader(encoder, tokenizer, weights.astype(np.float32), shape(settings))


def read(reader: TextReader, examples: Sequence[Example], bits: int, threads: int) -> list[TextInput]:
    """Return what the head reads of each example, several at a time: the runtime runs outside Python's lock."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda e: reader.embed(e.document, bits), examples))
