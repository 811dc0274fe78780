"""From examples to what the encoder learns from: windows of ids, with side, kind and weight."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.bundle import TOKENIZER
from model.encode import Encoder, Shape
from model.labels import BAD
from training.examples import Example
from training.finetune import Labelled, base_folder
from training.linear import window_weights
from training.settings import FinetuneSettings


def shape(settings: FinetuneSettings, *, training: bool = False) -> Shape:
    """How documents are cut: fewer windows to train on than to serve."""
    return Shape(max_tokens=settings.max_tokens, windows=settings.train_windows if training else settings.windows)


def fit_window_weights(examples: Sequence[Example], settings: FinetuneSettings) -> NDArray[np.float16]:
    """Fit the linear model that chooses windows."""
    plain = Encoder(Path(base_folder(settings.base)) / TOKENIZER, None, shape(settings))
    tokens = [plain.tokens(f"{e.document.subject}\n{e.document.body}") for e in examples]
    return window_weights(
        tokens, np.array([int(e.bad) for e in examples]), np.array([e.weight for e in examples]), plain.vocabulary
    )


def labelled(examples: Sequence[Example], weights: NDArray[np.float16], settings: FinetuneSettings) -> list[Labelled]:
    """Cut examples for training."""
    encoder = Encoder(
        Path(base_folder(settings.base)) / TOKENIZER, weights.astype(np.float32), shape(settings, training=True)
    )
    return [
        Labelled(encoder.encode(e.document).ids, e.bad, BAD.index(e.kind) if e.kind else -1, e.weight)
        for e in examples
    ]


def cut(
    examples: Sequence[Example], weights: NDArray[np.float16], settings: FinetuneSettings
) -> list[tuple[NDArray[np.int64], ...]]:
    """Cut examples as serving would."""
    encoder = Encoder(Path(base_folder(settings.base)) / TOKENIZER, weights.astype(np.float32), shape(settings))
    return [encoder.encode(e.document).ids for e in examples]
