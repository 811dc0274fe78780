"""The linear end of the text side: hashed words, weights, and the file that they are kept in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.head import TextHead, TextInput
from model.lexical import HEAD_CHARS, words

UNK = 100


def passage(*ids: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(ids, dtype=np.int64)


def head(bits: int = 12, width: int = 6) -> TextHead:
    draw = np.random.default_rng(4)
    return TextHead.of(draw.normal(size=(4, width)), draw.normal(size=4), draw.normal(size=(1 << bits, 4)))


class TestWords:
    def test_a_word_and_a_pair_count_once_each_bucket(self) -> None:
        found = words([passage(7, 8)], "", 16, UNK)

        assert len(found.buckets) == 3  # two pieces and their pair
        assert np.all(np.diff(found.buckets) > 0)
        assert found.values @ found.values == pytest.approx(1.0)

    def test_a_word_weighs_the_same_however_often_it_is_said_unless_they_are_counted(self) -> None:
        said = [passage(7), *[passage(8)] * 9]

        assert np.ptp(words(said, "", 16, UNK).values) == 0
        assert np.ptp(words(said, "", 16, UNK, counted=True).values) > 0

    def test_unknown_tokens_say_nothing(self) -> None:
        assert words([passage(UNK, UNK)], "", 16, UNK).buckets.size == 0
        assert np.array_equal(words([passage(7, UNK, 8)], "", 16, UNK).buckets,
                              np.union1d(words([passage(7)], "", 16, UNK).buckets,
                                         words([passage(8)], "", 16, UNK).buckets))  # fmt: skip

    def test_order_counts(self) -> None:
        one, other = (words([passage(*ids)], "", 16, UNK).buckets for ids in ((7, 8), (8, 7)))

        assert not np.array_equal(one, other)

    def test_letters_of_scripts_without_spaces_are_seen_though_the_vocabulary_lacks_them(self) -> None:
        blind = words([passage(UNK)], "plain", 16, UNK)
        seen = words([passage(UNK)], "发票代开", 16, UNK)

        assert blind.buckets.size == 0
        assert seen.buckets.size == 7  # four letters, three pairs

    def test_letters_deep_inside_a_long_text_are_not_looked_for(self) -> None:
        text = "a" * HEAD_CHARS + "票" + "a" * HEAD_CHARS

        assert words([passage(UNK)], text, 16, UNK).buckets.size == 0

    def test_half_a_surrogate_does_no_harm(self) -> None:
        assert np.isfinite(words([passage(7)], "票\ud800票", 16, UNK).values).all()


class TestHead:
    def test_logits_are_the_sum_of_both_parts(self) -> None:
        made = head()
        given = TextInput(np.ones(6, dtype=np.float32), words([passage(3, 4)], "", 12, UNK), 1)
        plain = made.table.astype(np.float64) * made.steps

        expected = made.weights.sum(axis=1) + made.bias + given.words.values @ plain[given.words.buckets]

        assert made.logits(given) == pytest.approx(expected, abs=1e-4)

    def test_a_message_without_words_has_the_encoders_logits(self) -> None:
        made = head()
        given = TextInput(np.zeros(6, dtype=np.float32), words([], "", 12, UNK), 1)

        assert made.logits(given) == pytest.approx(made.bias)

    def test_a_long_text_is_as_bad_as_its_opening(self) -> None:
        """Thousands of good words after a bad beginning do not take back what it said."""
        made = head()
        bad, good = (TextInput(vector.astype(np.float32), words([], "", 12, UNK), 1)
                     for vector in (made.weights[0] * 9, made.weights[0] * -9))  # fmt: skip
        long = replace(good, windows=4, opening=bad, vouches=0.1)

        assert made.logits(good)[0] < 0 < made.logits(bad)[0]
        assert made.logits(long)[0] == made.logits(bad)[0]

    def test_a_long_text_vouches_for_itself_the_less_the_more_goes_unread(self) -> None:
        made = head()
        good = TextInput((made.weights[0] * -9).astype(np.float32), words([], "", 12, UNK), 4)
        longer, longest = (replace(good, opening=good, vouches=share) for share in (1 / 2, 1 / 20))

        assert made.logits(longer)[0] == pytest.approx(made.logits(good)[0] / 2)
        assert made.logits(longest)[0] == pytest.approx(made.logits(good)[0] / 20)
        assert (made.logits(longest)[1:] == made.logits(good)[1:]).all()

    def test_it_is_read_back_and_the_same_weights_give_the_same_bytes(self, tmp_path: Path) -> None:
        made = head()
        made.save(tmp_path / "a.npz")
        made.save(tmp_path / "b.npz")

        read = TextHead.load(tmp_path / "a.npz")

        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
        assert np.array_equal(read.table, made.table)
        assert np.array_equal(read.weights, made.weights)
        assert read.bits == 12

    @pytest.mark.parametrize(
        ("change", "says"),
        [({"bias": np.zeros(3)}, "4 outputs"), ({"table": np.zeros((100, 4))}, "power of two"),
         ({"weights": np.full((4, 6), np.nan)}, "finite")],
    )  # fmt: skip
    def test_a_head_of_the_wrong_shape_is_refused(self, change: dict[str, np.ndarray], says: str) -> None:
        parts = {"weights": np.zeros((4, 6)), "bias": np.zeros(4), "table": np.zeros((1024, 4))}

        with pytest.raises(ValueError, match=says):
            TextHead.of(**{**parts, **change})
