"""The rounds of fine-tuning: batches, steps, what is watched, when to stop, and how to go on after an interruption.

Every round draws its order and its dropout from the seed and its own number, so a run that was interrupted and goes
on from its last round gives the very weights of one that was not.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.settings import FinetuneSettings

EVERY = 25
"""Steps between two points of the curve."""

Note = Callable[[dict[str, Any]], None]
Batches = Callable[[int], Sequence[Any]]
"""From the number of a round to its batches."""


@dataclass(slots=True)
class State:
    """How far a run has come. `best` are the weights of the round with the lowest watched loss."""

    round: int = 0
    steps: int = 0
    lowest: float = float("inf")
    since: int = 0
    best: dict[str, Any] = field(default_factory=dict)


def key(rows: Sequence[Any], settings: FinetuneSettings) -> str:
    """Name a run by what it depends on: its settings, and every message's tokens, labels and weight."""
    total = hashlib.sha256(settings.model_dump_json().encode())
    for row in rows:
        total.update(f"{row.bad}|{row.kind}|{row.weight}|{[w.tolist() for w in row.windows]}".encode())
    return total.hexdigest()[:24]


def rounds(learner: Any, batches: Batches, loss: Callable[[Any], Any], watched: Callable[[], float] | None,
           settings: FinetuneSettings, note: Note, checkpoint: Path | None = None) -> None:  # fmt: skip
    """Train `learner` in place. `loss` is of a batch; `watched` is of mail that is not trained on.

    After `settings.patience` rounds without a lower watched loss it stops, and goes back to the best round. With a
    `checkpoint` each finished round is written there (four times the size of the encoder), and a run begins where
    that file ends; a finished run removes it. Raises OSError where it cannot be written.
    """
    count = len(batches(0))
    steps = settings.epochs * count
    rate = settings.rate_full if settings.method == "full" else settings.rate
    head = list(learner.head.parameters())
    rest = [p for p in learner.encoder.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": head, "lr": max(rate, 1e-3)}, {"params": rest, "lr": rate}], weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: ramp(step, steps))
    state = _loaded(checkpoint, learner, optimiser, schedule)
    if state.round:
        note({"event": "resumed", "round": state.round, "step": state.steps})
    while state.round < settings.epochs and state.since < settings.patience:
        _round(learner, batches(state.round), loss, optimiser, schedule, state, settings, note)
        _watch(learner, watched, state, note)
        if checkpoint:
            _saved(checkpoint, learner, optimiser, schedule, state)
    if state.since >= settings.patience and state.best:
        learner.load_state_dict(state.best)
        note({"event": "stopped", "round": state.round, "back_to": state.round - state.since})
    if checkpoint:
        checkpoint.unlink(missing_ok=True)


def _round(learner: Any, batches: Sequence[Any], loss: Callable[[Any], Any], optimiser: Any, schedule: Any,
           state: State, settings: FinetuneSettings, note: Note) -> None:  # fmt: skip
    torch.manual_seed(1000 * settings.seed + state.round)
    learner.train()
    recent: list[float] = []
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
            value = loss(batch)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        state.steps += 1
        recent.append(float(value.detach()))
        if state.steps % EVERY == 0:
            note({"event": "step", "step": state.steps, "loss": round(float(np.mean(recent)), 4)})
            recent.clear()
    state.round += 1


def _watch(learner: Any, watched: Callable[[], float] | None, state: State, note: Note) -> None:
    if watched is None:
        note({"event": "round", "round": state.round, "step": state.steps})
        return
    learner.eval()
    with torch.inference_mode():
        value = watched()
    state.since = 0 if value < state.lowest else state.since + 1
    if not state.since:
        state.lowest = value
        state.best = {k: v.detach().clone() for k, v in learner.state_dict().items()}
    note({"event": "round", "round": state.round, "step": state.steps, "watched_loss": round(value, 4)})


def ramp(step: int, steps: int) -> float:
    """Warm up over the first tenth, then fall linearly to a twentieth."""
    warm = max(1, steps // 10)
    return (step + 1) / warm if step < warm else max(0.05, 1 - (step - warm) / max(1, steps - warm))


def _saved(path: Path, learner: Any, optimiser: Any, schedule: Any, state: State) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    parts = {"learner": learner.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(),
             "state": {name: getattr(state, name) for name in State.__slots__}}  # fmt: skip
    torch.save(parts, half)
    half.replace(path)


def _loaded(path: Path | None, learner: Any, optimiser: Any, schedule: Any) -> State:
    """Return where an interrupted run stands; a file that cannot be read counts as none."""
    if path is None or not path.exists():
        return State()
    try:
        parts = torch.load(path, weights_only=True)
        learner.load_state_dict(parts["learner"])
        optimiser.load_state_dict(parts["optimiser"])
        schedule.load_state_dict(parts["schedule"])
        return State(**parts["state"])
    except Exception:  # noqa: BLE001 - half a file, another version of torch: the run starts anew
        return State()
