"""Which mail sets the numbers of a fusion: real and of today, every collection by its share, one vote a sender."""

import pytest

from model.facts import Facts
from model.normalise import Document
from training.examples import WRITTEN, Example
from training.pools import of_today, shared, votes


def example(archive: str = "modern", source: str = "", *, bad: bool = False, year: int | None = 2025,
            sender: str = "", group: str = "g", synthetic: bool = False) -> Example:  # fmt: skip
    return Example(key=f"{archive}/{source}", archive=archive, source=source, split="train", group=group, bad=bad,
                   kind=None, read=False, synthetic=synthetic, year=year, lang="en",
                   document=Document("", (), "", ()), facts=Facts(), sender=sender)  # fmt: skip


def test_old_written_and_made_up_mail_sets_no_weight() -> None:
    real, undated = example(), example(year=None)

    assert of_today([real, undated, example(year=2002), example(WRITTEN), example(synthetic=True)], 2012) == [
        real, undated]  # fmt: skip


def test_each_collection_weighs_its_share_whatever_its_size() -> None:
    rows = [*[example("a")] * 9, example("b"), *[example("c", bad=True)] * 5]

    kept, weight = shared(rows, {"a:good": 0.3, "b:good": 0.3})

    assert len(kept) == 10
    assert sum(weight) == pytest.approx(10)
    assert sum(weight[:9]) == pytest.approx(weight[9])


def test_a_source_with_a_share_of_its_own_leaves_its_archive() -> None:
    rows = [example("a", "x"), example("a", "x"), example("a", "y")]

    _, weight = shared(rows, {"a:good": 0.8, "a/x:good": 0.2})

    assert weight == [pytest.approx(0.3), pytest.approx(0.3), pytest.approx(2.4)]


def test_a_sender_has_one_vote_in_each_class() -> None:
    rows = [example(sender="s"), example(sender="s"), example(sender="s", bad=True), example(sender="t"),
            example(group="1"), example(group="1"), example(group="2")]  # fmt: skip

    assert votes(rows).tolist() == [0.5, 0.5, 1, 1, 0.5, 0.5, 1]


def test_written_mail_has_a_share_of_the_votes_only_beside_other_mail() -> None:
    rows = [*(example(sender=f"s{n}") for n in range(6)), *(example(WRITTEN, sender=f"w{n}") for n in range(6))]

    counted = votes(rows, written=0.25)
    assert counted[:6].tolist() == [1] * 6
    assert counted[6:].sum() == pytest.approx(2.0)
    assert votes(rows[6:], written=0.25).tolist() == [1] * 6
    assert votes(rows[:7], written=0.25).tolist() == [1] * 7  # fewer than their share already
