"""Fusion: signs are never the data's to choose, weights stay near one another, what is unknown says nothing."""

from dataclasses import fields

import numpy as np
import pytest

from model.bundle import Fusion
from model.facts import BAD, BOTH_SPEAK, FALSE_SPEAKS, GOOD, MUTE, Facts
from model.score import fact_logits
from training.fusion import CENTRES, NAMES, equal, equally_missing, fit, raw_logits, values
from training.settings import FusionSettings


def sample(n: int, seed: int = 0) -> tuple[list[Facts], list[bool]]:
    """Mail in which `sender_known` tells the class and `is_reply` points the wrong way."""
    draw = np.random.default_rng(seed)
    facts, bad = [], []
    for i in range(n):
        side = bool(i % 2)
        facts.append(Facts(sender_known=bool(draw.random() < (0.1 if side else 0.9)),
                           is_reply=bool(draw.random() < (0.8 if side else 0.2)),
                           cheap_tld=bool(draw.random() < (0.4 if side else 0.05))))  # fmt: skip
        bad.append(side)
    return facts, bad


def test_every_fact_has_a_fixed_sign() -> None:
    assert set(NAMES) == {f.name for f in fields(Facts)} == {*GOOD, *BAD}


@pytest.mark.parametrize("shrink", [0.1, 10.0, 1000.0])
def test_a_good_fact_never_makes_mail_worse(shrink: float) -> None:
    """Even where the data say so: a reply in these data is mostly bad mail, and still gets no weight against it."""
    facts, bad = sample(400)

    fitted = fit(facts, bad, [1.0] * len(bad), FusionSettings(shrink=shrink), 1)

    assert all(fitted.facts[name].weight <= 0 for name in GOOD)
    assert all(fitted.facts[name].weight >= 0 for name in BAD)


def test_shrinking_brings_the_weights_together() -> None:
    facts, bad = sample(400)
    spreads = []
    for shrink in (1.0, 100.0, 10_000.0):
        fitted = fit(facts, bad, [1.0] * len(bad), FusionSettings(shrink=shrink), 1)
        spreads.append(np.std([abs(t.weight) for t in fitted.facts.values()]))

    assert spreads[0] > spreads[1] > spreads[2]


def test_no_weight_passes_its_bound() -> None:
    facts, bad = sample(400)

    fitted = fit(facts, bad, [1.0] * len(bad), FusionSettings(shrink=0.01, heaviest=0.6), 1)

    assert max(abs(t.weight) for t in fitted.facts.values()) <= 0.6


def test_missingness_is_made_equal() -> None:
    """A header that one collector drops is hidden as often in the other class."""
    draw = np.random.default_rng(2)
    bad = np.arange(2000) % 2 == 1
    table = draw.integers(0, 2, (2000, 1)).astype(float)
    table[~bad & (draw.random(2000) < 0.6), 0] = np.nan

    out = equally_missing(table, bad, np.random.default_rng(0))

    assert abs(np.isnan(out[bad]).mean() - np.isnan(out[~bad]).mean()) < 0.05
    assert np.isnan(out[bad]).mean() > 0.5


def test_fused_logits_are_what_serving_computes() -> None:
    facts, bad = sample(60)
    settings = FusionSettings()
    fitted = fit(facts, bad, [1.0] * len(bad), settings, 1)
    served = Fusion(fitted.bias, 0.2, 2.0, fitted.facts)
    text = np.linspace(-30, 30, 60)

    raw = raw_logits(fitted, facts, text, 0.2, 2.0)

    for at in (0, 7, 59):
        expected = served.bias + np.clip(0.2 * text[at], -2, 2) + sum(fact_logits(served, facts[at]).values())
        assert raw[at] == pytest.approx(expected)


def test_unknown_facts_leave_only_the_bias() -> None:
    fitted = equal(FusionSettings())

    assert raw_logits(fitted, [Facts()], np.zeros(1), 0.2, 2.0)[0] == fitted.bias
    assert np.isnan(values([Facts()])).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_fact_speaks_only_on_its_side(name: str) -> None:
    """What most honest mail lacks must not speak against it by being absent, nor what thieves have too for them."""
    fitted = equal(FusionSettings())
    served = Fusion(fitted.bias, 0.0, 2.0, fitted.facts)
    told = {value: fact_logits(served, Facts(**{name: value})).get(name, 0.0) for value in (True, False)}

    if name in MUTE:
        assert told == {True: 0.0, False: 0.0}
    elif name in BOTH_SPEAK:
        assert told[True] == -told[False] < 0
    elif name in FALSE_SPEAKS:
        assert told[True] == 0 < told[False]
    else:
        assert told[False] == 0
        assert (told[True] < 0) is (name in GOOD)


def test_what_no_collection_shows_has_the_stated_weight() -> None:
    settings = FusionSettings(stated={"known_correspondent": 1.7, "first_contact": 9.0})
    facts, bad = sample(400)

    for fitted in (equal(settings), fit(facts, bad, [1.0] * len(bad), settings, 1)):
        assert fitted.facts["known_correspondent"].weight == -1.7
        assert fitted.facts["first_contact"].weight == settings.heaviest


def test_with_a_strong_pull_all_weights_are_one() -> None:
    facts, bad = sample(400)

    fitted = fit(facts, bad, [1.0] * len(bad), FusionSettings(shrink=1e7, stated={}), 1)

    assert all(abs(abs(t.weight) - 1) < 0.01 for n, t in fitted.facts.items() if n not in MUTE)
    assert [t.centre for t in fitted.facts.values()] == CENTRES.tolist()
