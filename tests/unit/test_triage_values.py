"""The pure parts of the review order, of confident learning, of agreement and of the guard, computed by hand."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from training.store.entry import LabelChange, LabelSource
from training.triage.agreement import agreements, kappa, words_of
from training.triage.guard import guard
from training.triage.linear import enough, out_of_fold, predicted
from training.triage.mislabels import suspicions, thresholds
from training.triage.neighbours import nearest
from training.triage.settings import LinearSettings, TriageSettings, ValueSettings
from training.triage.value import Signs, entropy, worth

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def said(digest, by, after, minute=0, source=LabelSource.REVIEW):
    return LabelChange(digest, NOON + timedelta(minutes=minute), by, "", after, source)


def test_a_value_is_the_weighted_sum_of_its_parts():
    found = worth(Signs(model=0.5, words=0.9, nearest=0.25, draft=True, confidence=0.8), ValueSettings())

    assert (found.uncertainty, found.disagreement, found.novelty, found.draft) == pytest.approx((1, 0.4, 0.75, 0.4))
    assert found.total == pytest.approx(0.4 * 1 + 0.25 * 0.4 + 0.2 * 0.75 + 0.15 * 0.4)
    assert found.why == (
        "the model is unsure (100%), unlike what was reviewed (75%), words and model disagree (40%), "
        "the draft contradicts the model (40%)"
    )


def test_what_cannot_be_told_is_worth_nothing():
    found = worth(Signs(model=0.0, words=None, nearest=1.0), ValueSettings())

    assert found.total == 0
    assert found.why == "nothing stands out"


@pytest.mark.parametrize(("p", "bits"), [(0, 0), (1, 0), (0.5, 1), (0.25, 0.811278), (math.nan, 0)])
def test_entropy(p, bits):
    assert entropy(p) == pytest.approx(bits, abs=1e-6)


def test_weights_must_add_up_to_one():
    with pytest.raises(ValidationError, match=r"the weights add up to 1\.1, expected 1"):
        ValueSettings(uncertainty=0.5)


def test_a_label_is_suspected_above_the_average_of_the_other_class_and_not_above_one_half():
    p = [0.1, 0.2, 0.9, 0.55, 0.8, 0.9, 0.1]
    bad = [False] * 4 + [True] * 3

    assert thresholds(np.array(p), np.array(bad)) == pytest.approx(((0.9 + 0.8 + 0.1 + 0.45) / 4, 0.6))
    found = suspicions(p, bad)
    assert [(s.at, pytest.approx(s.margin)) for s in found] == [(2, 0.8), (6, 0.8)]
    assert found[0].usual == pytest.approx(0.6)
    assert found[1].usual == pytest.approx(0.5625)


def test_labels_of_one_class_cannot_be_suspected():
    with pytest.raises(ValueError, match="labels of one class only"):
        suspicions([0.1, 0.2], [False, False])


def test_the_nearest_come_first_and_what_has_nothing_in_common_never():
    half = math.sqrt(0.5)
    rows = csr_matrix(np.array([[1.0, 0, 0], [0, 0, 1.0]]))
    others = csr_matrix(np.array([[half, half, 0], [1.0, 0, 0], [0, 1.0, 0]]))

    assert nearest(rows, others, 3) == [[(1, 1.0), (0, pytest.approx(half))], []]
    assert nearest(rows, others, 1)[0] == [(1, 1.0)]
    assert nearest(rows, others[:0], 3) == [[], []]


def clear_cut(wrong: int):
    """Twelve campaigns of ham in words 0, twelve of bad mail in words 1, and one bad one labelled ham, sent often."""
    rows = [[1.0, 0.0]] * 12 + [[0.0, 1.0]] * (12 + wrong)
    bad = [False] * 12 + [True] * 12 + [False] * wrong
    groups = [f"g{n}" for n in range(24)] + ["wrong"] * wrong
    return csr_matrix(np.array(rows)), bad, groups


def test_a_mislabelled_campaign_does_not_confirm_itself():
    table, bad, groups = clear_cut(20)

    found = out_of_fold(table, bad, groups, LinearSettings())

    assert found[:12].max() < 0.3
    assert found[12:].min() > 0.7  # 20 of these 32 are labelled ham, all of one campaign
    assert [s.at for s in suspicions(found, bad)] == list(range(24, 44))
    assert out_of_fold(table, bad, groups, LinearSettings()).tolist() == found.tolist()


def test_words_have_no_opinion_before_enough_campaigns_of_both_classes():
    table, bad, groups = clear_cut(0)

    assert enough(bad, groups, LinearSettings())
    assert not enough(bad[:21], groups[:21], LinearSettings())
    assert not enough(bad, ["one"] * 24, LinearSettings())
    with pytest.raises(ValueError, match="too few"):
        out_of_fold(table[:21], bad[:21], groups[:21], LinearSettings())
    assert predicted(table, bad, groups, table[:1], LinearSettings())[0] < 0.3


def test_kappa_of_the_textbook():
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15

    assert kappa(pairs) == pytest.approx(0.4)  # observed .7, by chance .5
    assert kappa([("yes", "yes")] * 9) is None
    assert kappa([]) is None


def test_agreement_counts_a_campaign_once_and_only_what_people_looked_at():
    history = [
        said("a", "mona", "spam"), said("a", "otto", "phishing"),
        said("b", "mona", "ham"), said("b", "otto", "ham"),
        said("c", "mona", "ham"), said("c", "otto", "spam"), said("c", "otto", "ham", 1),
        said("d", "mona", "ham"), said("d", "otto", "ham"),
        said("e", "mona", "ham", source=LabelSource.IMPORT), said("e", "otto", "spam"),
        said("f", "mona", "spam"), said("f", "mona", "", 1), said("f", "otto", "ham"),
        said("g", "mona", "bad"), said("g", "otto", "fraud"),
    ]  # fmt: skip

    [found] = agreements(history, {"b": "twin", "d": "twin"})

    assert (found.one, found.other, found.both, found.same) == ("mona", "otto", 4, 2)
    assert found.differ == (("a", "spam", "phishing"),)
    assert found.kappa == pytest.approx((0.5 - 0.25) / 0.75)
    assert found.kappa_bad == 1


def test_a_word_that_was_taken_back_uncovers_the_one_before_from_elsewhere():
    history = [
        said("a", "mona", "ham", source=LabelSource.IMPORT), said("a", "mona", "spam", 1), said("a", "mona", "", 2),
    ]  # fmt: skip

    assert words_of(history, tuple(LabelSource)) == {"a": {"mona": "ham"}}
    assert words_of(history, (LabelSource.REVIEW,)) == {}


def guarded(kept=0, delivered=0, missed=0, ham=100, evil=20):
    """A guard set where so many verdicts change: old and new model keep from .5 and .6."""
    old = [0.1] * (ham - delivered) + [0.9] * delivered + [0.9] * evil
    new = [0.1] * ham + [0.9] * evil
    new[:kept] = [0.7] * kept
    new[ham : ham + missed] = [0.55] * missed
    bad = [False] * ham + [True] * evil
    return guard([f"m{n}" for n in range(ham + evil)], bad, old, new, 0.5, 0.6, TriageSettings())


def test_a_batch_that_moves_little_passes():
    found = guarded(kept=2, delivered=3, missed=1)

    assert found.refused == ()
    assert (found.ham, found.bad, found.kept, found.missed) == (100, 20, ("m0", "m1"), ("m100",))


def test_a_batch_that_moves_legitimate_mail_is_refused_with_the_reason():
    [reason] = guarded(kept=3, delivered=3).refused

    assert reason == (
        "the new labels change the verdict on 6 of 100 legitimate messages that have nothing to do with them "
        "(3 newly kept, 3 no longer kept); at most 5.0% may change, such as m0, m1, m2, m97, m98"
    )


def test_a_batch_that_lets_bad_mail_through_is_refused():
    [reason] = guarded(missed=2).refused

    assert reason.startswith("with the new labels 2 of 20 bad messages that were kept would be delivered")


def test_a_guard_that_can_tell_nothing_refuses():
    assert "has 49 legitimate messages, expected at least 50" in guarded(ham=49).refused[0]
    with pytest.raises(ValueError, match="not finite"):
        guard(["a"], [False], [0.1], [math.nan], 0.5, 0.5, TriageSettings())
    with pytest.raises(ValueError, match="2 names"):
        guard(["a", "b"], [False], [0.1], [0.1], 0.5, 0.5, TriageSettings())
