"""What verdicts may move, and where the threshold goes."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from training.site.fit import Block, fit
from training.site.threshold import matched

PULLS = {"scale_pull": 5.0, "intercept_pull": 1.0}


def mail(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    bad = draw.random(n) < 0.5
    return np.where(bad, 1.0, -1.0) + draw.normal(0, 1.5, n), bad


def test_verdicts_that_agree_with_the_model_hardly_move_it() -> None:
    """Ten messages that are what the model said, surely: scale, intercept and weights stay near where they were."""
    bad = np.array([True, False] * 5)
    offset = np.where(bad, 8.0, -8.0)

    moved = fit(offset, (Block(np.eye(10), 1.0),), bad, np.ones(10), **PULLS)

    assert abs(moved.scale - 1) < 0.05
    assert abs(moved.intercept) < 0.05
    assert np.abs(moved.weights[0]).max() < 0.05


def test_the_prior_moves_before_the_weights() -> None:
    """All mail of a site is less bad than the model thinks, whatever its words: the intercept takes it up."""
    offset, bad = mail(400)
    words = np.random.default_rng(2).integers(0, 2, (400, 30)) - 0.5

    moved = fit(offset + 2.0, (Block(words, 10.0),), bad, np.ones(400), **PULLS)

    assert moved.intercept < -0.8
    assert np.abs(moved.weights[0]).mean() < 0.15


def test_a_word_that_tells_is_learnt_and_generalises() -> None:
    """One column of a sparse block goes with bad mail that the model misses; new mail with it scores higher."""
    draw = np.random.default_rng(3)
    bad = draw.random(300) < 0.5
    offset = draw.normal(0, 0.5, 300)
    table = csr_matrix(np.stack([bad & (draw.random(300) < 0.9), draw.random(300) < 0.5], axis=1).astype(float))

    moved = fit(offset, (Block(table, 0.3),), bad, np.ones(300), **PULLS)
    logits = moved.logits(np.zeros(3), (csr_matrix(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])),))

    assert logits[0] - logits[2] > 2.0
    assert abs(logits[1] - logits[2]) < 0.7


def test_a_bound_holds_whatever_the_verdicts_say() -> None:
    """A fact that may only speak for a message does not turn against it."""
    bad = np.array([True] * 50 + [False] * 50)
    column = bad.astype(float)[:, None]

    moved = fit(np.zeros(100), (Block(column, 0.1, np.array([-5.0]), np.array([0.0])),), bad, np.ones(100), **PULLS)

    assert moved.weights[0][0] == 0.0


def test_nothing_to_fit_on_is_an_error() -> None:
    with pytest.raises(ValueError, match="no message"):
        fit(np.empty(0), (), np.empty(0, dtype=bool), np.empty(0), **PULLS)


def test_the_threshold_keeps_no_more_legitimate_mail_than_before() -> None:
    """Before, 2 of 10 were kept; the new scores are other, the share is the same."""
    old = np.arange(10.0)
    new = np.array([5.0, 9.0, 1.0, 0.0, 3.0, 2.0, 4.0, 7.0, 6.0, 8.0])

    found = matched(old, new, np.ones(10), 8.0, least=0.0)

    assert found.before == pytest.approx(0.2)
    assert found.share == pytest.approx(0.2)
    assert 7.0 < found.logit <= 8.0


def test_a_weight_counts_for_what_it_stands_for() -> None:
    """A sampled message stands for ten: it may not be kept where only one in twenty was."""
    old = np.array([3.0, 0.0, 0.0])
    new = np.array([1.0, 2.0, 0.0])

    found = matched(old, new, np.array([1.0, 10.0, 9.0]), 2.5, least=0.0)

    assert found.before == pytest.approx(0.05)
    assert found.logit > 2.0
    assert found.share == 0.0


def test_none_kept_of_few_proves_little() -> None:
    """Of forty none was kept before; the least share allows one in twenty."""
    old, new = np.zeros(40), np.arange(40.0)

    assert matched(old, new, np.ones(40), 1.0, least=0.05).share == pytest.approx(0.05)
    assert matched(old, new, np.ones(40), 1.0, least=0.0).share == 0.0
