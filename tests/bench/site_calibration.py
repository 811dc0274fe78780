"""What a site's first verdicts make of probabilities: the calibration error before and after them.

    python tests/bench/site_calibration.py --corpora DIR [--model BUNDLE] [--verdicts 200] [--draws 10]

The stream is the one of `learning_curve.py`: a collector's bad mail beside legitimate mail, facts on transport left
out. For each share of bad mail, so many verdicts on messages drawn at random from one half of the campaigns; the
model learns from them as `gatepost train --dataset` does, and is measured on the other half, weighed to that share,
with bins of equal weight. Beside it: the model as shipped, which assumes its own share; the same, told the true
share; and the best line that the very mail of the test allows.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
from learning_curve import Run

from model.bundle import DEFAULT, Bundle, log_odds
from training.calibrate import CalibrationData, p_bad, platt
from training.evaluation.calibration_error import moved, reliability
from training.settings import CalibrationSettings

PRIORS = (0.05, 0.2, 0.5)


def p_of(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))


def best(logits: np.ndarray, bad: np.ndarray, prior: float) -> np.ndarray:
    """Probabilities by the line that fits these very messages."""
    ones, settings = np.ones(len(logits)), CalibrationSettings(prior=prior)
    data = CalibrationData(logits, ones.astype(np.int64), bad, ones, np.zeros((len(logits), 3)),
                           np.full(len(logits), -1))  # fmt: skip
    return p_bad(data, platt(data, settings))


def errors(run: Run, prior: float, verdicts: int, seed: int) -> list[float]:
    """Calibration error as shipped, with the true share, after the verdicts, and of the best line."""
    draw = np.random.default_rng(seed)
    bad, assumed = run.given.bad, run.bundle.calibration.prior
    ours = np.array([zlib.crc32(f"{seed}:{e.group}".encode()) % 2 == 0 for e in run.stream])
    wanted = draw.random(len(bad)) < np.where(bad, prior / max(prior, 1 - prior), (1 - prior) / max(prior, 1 - prior))
    seen = draw.choice(np.flatnonzero(ours & wanted), verdicts, replace=False).tolist()
    learnt = run.learnt(seen, [1.0] * len(seen))
    test = ~ours
    truth, shipped = bad[test].astype(np.int64), run.given.offset[test]
    after = learnt.told.logits(run.scores(learnt, run.given), assumed)
    told = [
        (p_of(shipped), prior),
        (moved(p_of(shipped), assumed, prior), prior),
        (p_of(after[test]), prior),  # the site's own share is part of what was learnt
        (best(shipped, bad[test], prior), prior),
    ]
    return [reliability(p, truth, prior=prior, assumed=share).error for p, share in told]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=DEFAULT)
    parser.add_argument("--verdicts", type=int, default=200)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/gatepost").expanduser())
    given = parser.parse_args()
    run = Run(given.corpora, Bundle.open(given.model), 1.0, given.cache)
    print(f"log odds of the share assumed: {log_odds(run.bundle.calibration.prior):+.2f}")
    for prior in PRIORS:
        found = np.array([errors(run, prior, given.verdicts, seed) for seed in range(given.draws)])
        middle, (low, high) = np.median(found, axis=0), np.quantile(found[:, 2], [0.025, 0.975])
        print(f"{prior:.0%} bad: as shipped {middle[0]:.3f}, share told {middle[1]:.3f}, after {given.verdicts} "
              f"verdicts {middle[2]:.3f} (95 % of draws {low:.3f} to {high:.3f}), best line {middle[3]:.3f}")


if __name__ == "__main__":
    main()
