"""What a verdict counts for, and which are not believed."""

import numpy as np
import pytest

from training.site.settings import SiteSettings
from training.site.votes import Votes, doubts, vote_weights, votes

SETTINGS = SiteSettings()


def judged(n: int, *, by: dict[int, str] | None = None, confirmed: set[int] | None = None) -> Votes:
    """So many verdicts of as many campaigns, and four replayed messages."""
    names = by or {}
    return votes([1.0] * n, [f"g{at}" for at in range(n)], [names.get(at, "") for at in range(n)],
                 [at in (confirmed or set()) for at in range(n)], ["a", "a", "b", "b"], SETTINGS)  # fmt: skip


def honest(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Half bad, and probabilities that agree; the replayed four at the end agree as well."""
    bad = np.array([at % 2 == 0 for at in range(n)] + [True, False] * 2)
    return np.where(bad, 0.95, 0.05), bad


def test_one_reporter_weighs_a_few_votes_whatever_he_reports() -> None:
    """A sampled verdict is cut; what nobody reported is not."""
    weight, by = [1.0] * 1000 + [20.0] + [1.0] * 99, ["mallory"] * 1000 + ["ann"] + [""] * 49 + ["bo"] * 50

    found = vote_weights(weight, by, SETTINGS)

    assert found[:1000].sum() == pytest.approx(SETTINGS.reporter_votes)
    assert found[1000] == SETTINGS.reporter_votes
    assert found[1001:1050] == pytest.approx(1.0)
    assert vote_weights([1.0] * 9, [""] * 9, SETTINGS).sum() == 9


def test_where_little_is_judged_a_reporter_has_a_tenth() -> None:
    assert vote_weights([1.0] * 20, ["ann"] * 10 + [""] * 10, SETTINGS)[:10].sum() == pytest.approx(2.0)


def test_reports_of_one_account_hardly_count_for_the_threshold_either() -> None:
    """Bad mail that one account calls wanted a thousand times must not pass for the site's legitimate mail."""
    found = judged(1010, by=dict.fromkeys(range(1000), "mallory"))

    assert found.stands_for[:1000].sum() <= SETTINGS.reporter_votes + 1e-9
    assert found.stands_for[1000:1010] == pytest.approx(1.0)
    assert found.stands_for[1010:] == pytest.approx(SETTINGS.replay_stands)


def test_all_that_one_account_reported_is_in_one_part() -> None:
    """Else its other reports would vouch for each."""
    found = judged(40, by=dict.fromkeys(range(20), "mallory")).folds(5)

    assert len(set(found[:20])) == 1
    assert len(set(found[20:40])) > 1


def test_verdicts_that_agree_with_all_other_mail_are_believed() -> None:
    p, bad = honest(100)

    assert doubts(p, bad, judged(100), SETTINGS) == []


def test_a_verdict_that_all_other_mail_speaks_against_is_doubted() -> None:
    """Bad mail called legitimate, and the other way round; the surest comes first."""
    p, bad = honest(100)
    bad[[10, 21]] ^= True
    p[10], p[21] = 0.99, 0.02

    found = doubts(p, bad, judged(100), SETTINGS)

    assert [(d.at, d.account) for d in found] == [(10, ""), (21, "")]
    assert [d.p for d in found] == pytest.approx([0.99, 0.98])


def test_what_two_people_said_is_never_doubted() -> None:
    p, bad = honest(100)
    bad[[10, 12]] ^= True

    found = doubts(p, bad, judged(100, confirmed={10}), SETTINGS)

    assert [d.at for d in found] == [12]


def test_only_a_share_of_the_verdicts_is_ever_left_out() -> None:
    """Reviewers who agree with each other against the model are right: the model has to learn it."""
    p, bad = honest(200)
    bad[:40:2] ^= True
    p[:40:2] = 0.97

    assert len(doubts(p, bad, judged(200), SETTINGS)) == int(SETTINGS.doubt_most * 200)
    assert doubts(p, bad, judged(200), SETTINGS.model_copy(update={"doubt_most": 0.0})) == []


def test_an_account_whose_reports_mostly_look_wrong_is_not_believed_in_anything() -> None:
    """Twelve reports, of which seven look wrong; another account with one wrong of six loses only that."""
    p, bad = honest(100)
    by = {**dict.fromkeys(range(12), "mallory"), **dict.fromkeys(range(20, 26), "ann")}
    bad[[*range(7), 20]] ^= True

    found = doubts(p, bad, judged(100, by=by), SETTINGS)

    assert {d.at for d in found if d.account == "mallory"} == set(range(12))
    assert [d.at for d in found if not d.account] == [20]


def test_where_one_class_is_missing_nothing_is_doubted() -> None:
    two = votes([1.0, 1.0], ["a", "b"], ["", ""], [False, False], [], SETTINGS)

    assert doubts(np.array([0.9, 0.2]), np.array([True, True]), two, SETTINGS) == []
