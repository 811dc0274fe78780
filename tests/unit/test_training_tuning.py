"""Rounds of fine-tuning: the same seed gives the same weights, interrupted or not, and it stops when it should."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from torch import nn  # noqa: E402 - behind the check

from training.plot import HEIGHT, WIDTH, draw  # noqa: E402
from training.record import RunRecord, curve, versions  # noqa: E402
from training.settings import FinetuneSettings  # noqa: E402
from training.tuning import rounds  # noqa: E402

pytestmark = pytest.mark.train


class Interrupted(Exception):
    """The machine goes down."""


class Small(nn.Module):  # type: ignore[misc]
    """One layer in place of an encoder, dropout, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.dropout, self.head = nn.Linear(4, 4), nn.Dropout(0.2), nn.Linear(4, 1)

    def forward(self, x: Any) -> Any:
        return self.head(self.dropout(self.encoder(x)))


def settings(**changes: Any) -> FinetuneSettings:
    plain = {"epochs": 4, "bf16": False, "rate_full": 0.01, "method": "full"}
    return FinetuneSettings.model_validate({**plain, **changes})


def run(checkpoint: Path | None = None, *, interrupt: int = 0, watched: Any = None, by_round: Any = None,
        **changes: Any) -> tuple[Small, list[dict[str, Any]]]:  # fmt: skip
    """Train on 30 batches of made-up points; `interrupt` is the round after which the run breaks off."""
    torch.manual_seed(5)
    learner, events = Small(), []
    points = torch.randn(240, 4)

    def batches(number: int) -> list[Any]:
        order = np.random.default_rng((1, number)).permutation(240)
        return [points[order[at : at + 8]] for at in range(0, 240, 8)]

    def loss(batch: Any) -> Any:
        return ((learner(batch)[:, 0] - batch.sum(dim=1)) ** 2).mean()

    def note(event: dict[str, Any]) -> None:
        events.append(event)
        if event["event"] == "round" and by_round is not None:
            by_round.append([w.copy() for w in weights(learner)])
        if event["event"] == "step" and interrupt and event["step"] > 30 * interrupt:
            raise Interrupted

    rounds(learner, batches, loss, watched, settings(**changes), note, checkpoint)
    return learner, events


def weights(learner: Small) -> list[Any]:
    return [p.detach().numpy() for p in learner.parameters()]


def test_a_run_that_was_interrupted_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = run()
    file = tmp_path / "deep" / "run.pt"
    with pytest.raises(Interrupted):
        run(file, interrupt=2)
    assert file.exists()

    resumed, events = run(file)

    assert events[0] == {"event": "resumed", "round": 2, "step": 60}
    assert all(np.array_equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    assert list(file.parent.iterdir()) == []


def test_a_checkpoint_that_is_none_is_passed_over(tmp_path: Path) -> None:
    whole, _ = run()
    file = tmp_path / "run.pt"
    file.write_bytes(b"half a file")

    learner, _ = run(file)

    assert all(np.array_equal(a, b) for a, b in zip(weights(whole), weights(learner), strict=True))


def test_it_stops_when_watched_mail_gets_no_better_and_goes_back() -> None:
    losses = iter([0.5, 0.4, 0.6, 0.7, 0.1])
    by_round: list[Any] = []

    stopped, events = run(watched=lambda: next(losses), by_round=by_round, epochs=5, patience=2)

    assert [e["watched_loss"] for e in events if e["event"] == "round"] == [0.5, 0.4, 0.6, 0.7]
    assert events[-1] == {"event": "stopped", "round": 4, "back_to": 2}
    assert all(np.array_equal(a, b) for a, b in zip(weights(stopped), by_round[1], strict=True))
    assert not np.array_equal(by_round[1][0], by_round[3][0])


def test_the_record_tells_what_happened_and_is_drawn(tmp_path: Path) -> None:
    record = RunRecord(tmp_path / "run.jsonl")
    record.note({"event": "start", "versions": versions()})
    _, events = run(watched=lambda: 0.5, epochs=1)
    for event in events:
        record.note(event)

    trained, watched = curve(tmp_path / "run.jsonl")
    draw(tmp_path / "run.png", trained, watched)

    first = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])
    assert first["versions"]["torch"] == torch.__version__
    assert [step for step, _ in trained] == [25]
    assert watched == [(30, 0.5)]
    data = (tmp_path / "run.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == (WIDTH, HEIGHT)
    size = struct.unpack(">I", data[33:37])[0]
    assert len(zlib.decompress(data[41 : 41 + size])) == HEIGHT * (1 + 3 * WIDTH)


def test_a_run_without_steps_has_a_picture_too(tmp_path: Path) -> None:
    draw(tmp_path / "run.png", [], [])

    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
