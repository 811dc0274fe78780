"""A thousand labelled messages of enron_spam, two thousand to test on: the filter beside the baselines, paired.

    python tests/bench/enron_1000.py --corpora DIR [--seeds 5] [--full-seeds 5]

Each seed labels a thousand random rows; the two thousand test rows are the same for all, and none shares a campaign
with a row that is labelled. The filter is `training.few` with nothing but those rows: a plain encoder, no opinion of
a model trained elsewhere. The baselines learn from the same rows: TF-IDF and frozen embeddings with logistic
regression, and all weights of the encoder fine-tuned (minutes a seed, so `--full-seeds` may be fewer). Weighted F1;
the difference to each baseline has a 95 % interval by resampling the test rows, for seeds that both have. Exit 1
where the filter is below the best baseline and the interval leaves out 0.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from unseen import drawn, plain_encoder

from model.bundle import TOKENIZER
from model.encode import Encoder
from training.few import FewShot, Seen
from training.finetune import Labelled, base_folder, padded, train
from training.linear import TfidfBaseline
from training.settings import load
from training.texts import opened, read, shape

ROWS, TEST, POOL = 1_000, 2_000, 5_000
EPOCHS = 3
RESAMPLES = 200

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def weighted(bad: Flags, told: Flags) -> float:
    """F1 of both classes, weighted by their size."""
    return float(f1_score(bad, told, average="weighted"))


def difference(bad: Flags, one: list[Flags], other: list[Flags]) -> tuple[float, float, float]:
    """Mean difference of weighted F1 over seeds, with a 95 % interval by resampling the test rows."""
    def mean(at: Places | slice) -> float:
        return float(np.mean([weighted(bad[at], a[at]) - weighted(bad[at], b[at])
                              for a, b in zip(one, other, strict=True)]))  # fmt: skip

    draw = np.random.default_rng(0)
    values = [mean(draw.integers(0, len(bad), len(bad))) for _ in range(RESAMPLES)]
    low, high = np.quantile(values, [0.025, 0.975])
    return mean(slice(None)), float(low), float(high)


@click.command()
@click.option("--corpora", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--seeds", default=5, type=click.IntRange(1))
@click.option("--full-seeds", default=5, type=click.IntRange(0))
@click.option("--config", type=click.Path(path_type=Path, exists=True))
def main(corpora: Path, seeds: int, full_seeds: int, config: Path | None) -> None:
    """Print one JSON object a method, then one a baseline with the paired difference."""
    settings = load(config)
    fine = settings.finetune.model_copy(update={"method": "full", "epochs": EPOCHS, "batch": 16})
    say = lambda line: click.echo(line, err=True)  # noqa: E731 - one line, passed on
    examples = drawn("enron_spam", settings, corpora, POOL, say)
    bad = np.array([e.bad for e in examples], dtype=np.bool_)
    texts = [e.document.text for e in examples]
    plain = Encoder(Path(base_folder(fine.base)) / TOKENIZER, None, shape(fine))
    with tempfile.TemporaryDirectory() as folder:
        file = plain_encoder(settings, Path(folder))
        reader = opened(file, np.zeros(plain.vocabulary, dtype=np.float16), settings.finetune)
        inputs = read(reader, examples, settings.head.bits, fine.threads)
    seen = Seen(inputs, [e.facts for e in examples], np.zeros(len(examples)))
    vectors = np.stack([given.vector for given in inputs])
    test = np.arange(TEST)

    def few(rows: Places) -> Flags:
        return FewShot(seen.at(rows), bad[rows], settings.head.bits).logits(seen.at(test)) > 0

    def tfidf(rows: Places) -> Flags:
        made = TfidfBaseline([texts[i] for i in rows], bad[rows].astype(int), np.ones(len(rows)))
        return made.p_bad([texts[i] for i in test]) > 0.5

    def frozen(rows: Places) -> Flags:
        fitted = LogisticRegression(C=10, max_iter=1000).fit(vectors[rows], bad[rows])
        return np.asarray(fitted.predict(vectors[test]))

    def full(rows: Places) -> Flags:
        firsts = [plain.encode(examples[i].document).ids[0] for i in (*rows, *test)]
        labelled = [Labelled((ids,), bool(bad[i]), -1, 1.0) for i, ids in zip(rows, firsts, strict=False)]
        tuned = train(labelled, fine, say)
        starts = range(len(rows), len(firsts), 32)
        with torch.inference_mode():
            told = [tuned(*padded(firsts[at : at + 32]))[:, 0].float().numpy() for at in starts]
        return np.asarray(np.concatenate(told) > 0)

    methods: dict[str, tuple[Callable[[Places], Flags], int]] = {
        "gatepost": (few, seeds), "TF-IDF + LR": (tfidf, seeds), "frozen + LR": (frozen, seeds),
        "full fine-tune": (full, full_seeds)}  # fmt: skip
    drawn_rows = [np.random.default_rng(seed).permutation(np.arange(TEST, len(examples)))[:ROWS]
                  for seed in range(seeds)]  # fmt: skip
    told = {name: [tell(rows) for rows in drawn_rows[:count]] for name, (tell, count) in methods.items()}
    for name, each in told.items():
        scores = [round(weighted(bad[test], flags), 4) for flags in each]
        click.echo(json.dumps({"method": name, "weighted_f1": round(float(np.mean(scores)), 4) if scores else None,
                               "by_seed": scores, "rows": ROWS, "tested": TEST}))  # fmt: skip
    beaten = False
    for name, each in told.items():
        if name != "gatepost" and each:
            gain, low, high = difference(bad[test], told["gatepost"][: len(each)], each)
            beaten |= high < 0
            click.echo(json.dumps({"gatepost_minus": name, "mean": round(gain, 4), "low": round(low, 4),
                                   "high": round(high, 4), "seeds": len(each)}))  # fmt: skip
    sys.exit(1 if beaten else 0)


if __name__ == "__main__":
    main()
