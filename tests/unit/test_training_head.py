"""Fitting the head, and giving a bundle another one without torch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the training extra")
pytest.importorskip("torch", reason="needs the training extra")

from model.bundle import DEFAULT, Bundle, BundleError
from model.facts import Facts
from model.head import TextInput
from model.labels import BAD, Label
from model.lexical import Words
from model.normalise import Document
from training.examples import WRITTEN, Example
from training.few import FewShot, Seen
from training.finetune import Tuned
from training.head import FACTS, fit_head, with_head
from training.settings import HeadSettings

pytestmark = pytest.mark.train

SETTINGS = HeadSettings(bits=10)


def example(kind: Label | None, at: int, **facts: bool) -> Example:
    return Example(key=f"k{at}", archive=WRITTEN, source="a", split="train", group=f"g{at}", bad=kind is not None,
                   kind=kind, read=True, synthetic=False, year=2025, lang="en",
                   document=Document("", (), "", ()), facts=Facts(**facts))  # fmt: skip


def given(bucket: int, *vector: float) -> TextInput:
    return TextInput(np.array(vector, dtype=np.float32), Words(np.array([bucket]), np.ones(1, dtype=np.float32)), 1)


def taught() -> tuple[list[TextInput], list[Example]]:
    """Ham says word 1; bad mail word 2, and its vector tells the kind."""
    inputs, rows = [], []
    for at in range(60):
        kind = (None, *BAD)[at % 4]
        vector = np.eye(3)[BAD.index(kind)] if kind else np.full(3, 0.5)
        inputs.append(given(2 if kind else 1, *vector))
        rows.append(example(kind, at))
    return inputs, rows


def test_words_tell_the_side_and_the_vector_tells_the_kind() -> None:
    inputs, rows = taught()

    head = fit_head(inputs, rows, SETTINGS).head

    assert head.logits(given(1, 0.5, 0.5, 0.5))[0] < 0 < head.logits(given(2, 0.5, 0.5, 0.5))[0]
    for at, kind in enumerate(BAD):
        assert BAD[int(np.argmax(head.logits(given(2, *np.eye(3)[at]))[1:]))] is kind


def test_the_same_examples_give_the_same_head() -> None:
    one, other = (fit_head(*taught(), SETTINGS).head for _ in range(2))

    assert np.array_equal(one.table, other.table)
    assert np.array_equal(one.weights, other.weights)


def test_facts_tell_the_kind_too() -> None:
    inputs = [given(2, 0.5, 0.5, 0.5) for _ in range(40)]
    rows = [example(BAD[1 + at % 2], at, foreign_brand=at % 2 == 0) for at in range(40)]
    inputs.append(given(1, 0.5, 0.5, 0.5))
    rows.append(example(None, 40))

    kinds = fit_head(inputs, rows, SETTINGS).kinds

    assert set(kinds) == {"foreign_brand"}
    spam, phishing, fraud = kinds["foreign_brand"]
    assert phishing > 0 > fraud
    assert spam == 0
    assert set(kinds) <= set(FACTS)


def test_a_kind_that_nothing_taught_is_never_told() -> None:
    inputs, rows = taught()
    rows = [replace(e, kind=Label.SPAM) if e.kind else e for e in rows]

    head = fit_head(inputs, rows, SETTINGS).head

    assert int(np.argmax(head.logits(given(2, 0.0, 1.0, 0.0))[1:])) == 0


def test_a_bundle_of_the_first_format_cannot_get_another_head(tmp_path: Path) -> None:
    bundle = replace(Bundle.open(DEFAULT), files={})

    with pytest.raises(BundleError, match="train the model again"):
        with_head(bundle, fit_head(*taught(), SETTINGS).head, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_few_verdicts_join_opinion_facts_meaning_and_words() -> None:
    """Words alone cannot tell the new message, whose word nobody labelled; the stranger's opinion can."""
    texts = [given(at, 0.5, 0.5, 0.5) for at in range(8)]
    bad = np.array([at % 2 == 1 for at in range(8)])
    seen = Seen(texts, [Facts()] * 8, np.where(bad, 3.0, -3.0))
    new = Seen([given(100, 0.5, 0.5, 0.5)] * 2, [Facts()] * 2, np.array([-3.0, 3.0]))

    few = FewShot(seen, bad, 10)
    ham, evil = few.logits(new)

    assert ham < 0 < evil
    assert few.logits(seen.at([1, 0])) == pytest.approx(few.logits(seen)[[1, 0]])


def test_verdicts_of_one_class_are_refused() -> None:
    seen = Seen([given(1, 0.5)] * 3, [Facts()] * 3, np.zeros(3))

    with pytest.raises(ValueError, match="all 3 messages are ham"):
        FewShot(seen, np.zeros(3, dtype=bool), 10)


def test_a_tuned_encoder_has_its_say_by_a_fixed_share() -> None:
    """Its vectors know the training mail by heart, so nothing about them is fitted."""
    inputs, rows = taught()
    tuned = Tuned(np.full((4, 3), 2.0), np.ones(4))
    plain = fit_head(inputs, rows, SETTINGS.model_copy(update={"vector": 0.0, "kind_vector": 0.0})).head

    head = fit_head(inputs, rows, SETTINGS, tuned).head

    shares = np.array([SETTINGS.tuned, *[SETTINGS.tuned_kinds] * 3])
    assert np.all(plain.weights == 0)
    assert head.weights == pytest.approx(shares[:, None] * tuned.weights)
    assert head.bias == pytest.approx(plain.bias + shares)
    assert np.array_equal(head.table, plain.table)
