"""What verdicts may move, and where the threshold goes."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from training.site import text
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


def spread(n: int, at: float, wide: float) -> np.ndarray:
    """Logits of legitimate mail, evenly over a bell."""
    return np.sort(np.random.default_rng(4).normal(at, wide, n))


def test_scores_that_move_together_move_the_threshold_with_them() -> None:
    """Wider by half and shifted: the same mail is kept as before."""
    old = spread(400, -3.0, 1.3)

    found = matched(old, 1.5 * old + 2.0, np.ones(400), 1.0, soft=1.0, scale=1.5)

    assert found.logit == pytest.approx(1.5 * 1.0 + 2.0, abs=1e-6)
    assert found.share == found.before


def test_mail_that_comes_nearer_raises_the_threshold() -> None:
    """Legitimate mail that scores higher now must not be kept more often for it."""
    old = spread(400, -3.0, 1.3)
    new = np.where(np.arange(400) % 4 == 0, old + 1.5, old)

    assert matched(old, new, np.ones(400), 1.0, soft=1.0, scale=1.0).logit > 1.4


def test_bad_mail_called_legitimate_hardly_moves_the_threshold() -> None:
    """Ten of a hundred messages are surely bad for both models: they count alike on either side."""
    old = spread(100, -3.0, 1.3)
    new = old + 0.5
    lies = np.full(10, 6.0)

    honest = matched(old, new, np.ones(100), 1.0, soft=1.0, scale=1.0)
    fooled = matched(np.append(old, lies), np.append(new, lies + 2), np.ones(110), 1.0, soft=1.0, scale=1.0)

    assert abs(fooled.logit - honest.logit) < 0.15


def test_one_message_at_the_edge_does_not_decide() -> None:
    """Among a hundred one comes or goes: the threshold moves by hundredths."""
    old, new = spread(100, -3.0, 1.3), spread(100, -4.0, 1.6)

    one = matched(old, new, np.ones(100), 1.0, soft=1.0, scale=1.2).logit
    other = matched(old[:-1], new[:-1], np.ones(99), 1.0, soft=1.0, scale=1.2).logit

    assert abs(one - other) < 0.1


def test_a_weight_counts_for_what_it_stands_for() -> None:
    """A message that stands for twenty is heard as twenty."""
    old, new = spread(50, -3.0, 1.3), spread(50, -3.0, 1.3)
    new[10] += 3.0
    weight = np.ones(50)
    weight[10] = 20.0
    often = np.repeat(np.arange(50), weight.astype(int))

    heavy = matched(old, new, weight, 1.0, soft=1.0, scale=1.0)
    many = matched(old[often], new[often], np.ones(len(often)), 1.0, soft=1.0, scale=1.0)

    assert heavy.logit == pytest.approx(many.logit, abs=1e-6)
    assert heavy.logit > matched(old, new, np.ones(50), 1.0, soft=1.0, scale=1.0).logit


def test_no_legitimate_mail_is_an_error() -> None:
    with pytest.raises(ValueError, match="no legitimate message"):
        matched(np.empty(0), np.empty(0), np.empty(0), 1.0, soft=1.0, scale=1.0)


@pytest.mark.parametrize("most", [6_000, 0])
def test_the_text_side_finds_what_a_ridge_over_all_columns_finds(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In as many columns as there are messages, or as they are: the weights are those of the plain fit."""
    monkeypatch.setattr(text, "DENSE", most)
    draw = np.random.default_rng(5)
    bad = draw.random(60) < 0.5
    vectors = draw.normal(0, 1, (60, 8)) / 3
    words = csr_matrix((draw.random((60, 500)) < 0.05) * 0.3)
    offset = draw.normal(0, 1, 60)

    plain = fit(offset, (Block(vectors, 0.5), Block(words, 0.2)), bad, np.ones(60), **PULLS)
    side = text.text_side(vectors, words, 0.5, 0.2)
    quick = fit(offset, (Block(side.columns, 1.0),), bad, np.ones(60), **PULLS)
    by_vector, by_word = side.weights(quick.weights[0])

    assert by_vector == pytest.approx(plain.weights[0], abs=2e-3)
    assert by_word == pytest.approx(plain.weights[1], abs=2e-3)
