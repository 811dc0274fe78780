"""What reviewers call bad mail moves the kinds, and nothing where they say too little."""

import numpy as np
import pytest

from training.site.kinds import UNKNOWN, Kinds, fit_kinds
from training.site.settings import SiteSettings

SETTINGS = SiteSettings()


def called(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mail that the model calls spam (0) throughout; reviewers see in its vector whether it is phishing (1)."""
    draw = np.random.default_rng(seed)
    kinds = draw.integers(0, 2, n)
    vectors = draw.normal(0, 0.3, (n, 6))
    vectors[:, 0] += np.where(kinds == 1, 0.8, -0.8)
    return np.tile([2.0, 0.0, 0.0], (n, 1)), vectors, kinds


def named(found: Kinds, start: np.ndarray, vectors: np.ndarray, temperature: float) -> np.ndarray:
    """As serving does it: the site's head is added, then divided by the temperature."""
    return ((start + found.bias + vectors @ found.weights.T) / temperature).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_new_mail_is_called_as_reviewers_call_it(temperature: float) -> None:
    start, vectors, kinds = called(200)
    found = fit_kinds(start, vectors, kinds, np.ones(200), temperature, SETTINGS)
    start, vectors, kinds = called(100, seed=2)

    assert found.told == 200
    assert np.mean(named(found, start, vectors, temperature) == kinds) > 0.95


def test_few_verdicts_move_little() -> None:
    start, vectors, kinds = called(12)

    found = fit_kinds(start, vectors, kinds, np.ones(12), 1.0, SETTINGS)

    assert 0 < np.abs(found.bias).max() < 1.0


@pytest.mark.parametrize(("n", "kind"), [(9, None), (50, 1)])
def test_too_few_or_one_kind_alone_moves_nothing(n: int, kind: int | None) -> None:
    start, vectors, kinds = called(n)

    found = fit_kinds(start, vectors, kinds if kind is None else np.full(n, kind), np.ones(n), 1.0, SETTINGS)

    assert found.told == 0
    assert not found.bias.any()
    assert not found.weights.any()


def test_what_tells_no_kind_or_is_not_believed_has_no_say() -> None:
    start, vectors, kinds = called(60)
    lies, weight = kinds.copy(), np.ones(60)
    lies[40:50] = UNKNOWN
    lies[50:], weight[50:] = 2, 0.0

    found = fit_kinds(start, vectors, lies, weight, 1.0, SETTINGS)
    honest = fit_kinds(start[:40], vectors[:40], kinds[:40], np.ones(40), 1.0, SETTINGS)

    assert found.bias == pytest.approx(honest.bias, abs=1e-4)
    assert found.weights == pytest.approx(honest.weights, abs=1e-4)
