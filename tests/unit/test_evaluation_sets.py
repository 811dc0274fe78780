"""Which mail may be measured: sets, copies of training mail by content, groups of evidence."""

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest

from model.bundle import BundleError
from model.facts import Facts
from model.labels import Label
from model.normalise import Document
from training.evaluation.sets import RefusedError, Sample, evidence_groups, samples, slices, without_copies
from training.evaluation.trained import FILE, HASHES, TrainedOn, signatures
from training.examples import WRITTEN, Example
from training.gather import Material
from training.settings import TrainSettings

WORDS = [f"word{n}" for n in range(400)]


def text(seed: int, length: int = 120) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def example(key: str, *, bad: bool = False, archive: str = "household", sender: str = "", group: str = "",
            body: str = "", **more: object) -> Example:  # fmt: skip
    whole = Example(
        key=key, archive=archive, source="", split="dev", group=group or key, bad=bad,
        kind=Label.SPAM if bad else None, read=True, synthetic=False, year=2025, lang="en",
        document=Document("", (), body or key, ()), facts=Facts(), sender=sender,
    )  # fmt: skip
    return dataclasses.replace(whole, **more)


def material(**parts: list[Example]) -> Material:
    empty: dict[str, list[Example]] = {"train": [], "calibration": [], "dev": [], "site": [], "held": []}
    return Material(**{**empty, **parts}, notes=())


def quiet(_: str) -> None:
    return None


def test_senders_and_near_duplicates_are_one_piece_of_evidence() -> None:
    """a and b share a sender, b and c a campaign: all three are one; d is alone, and so is another set's group."""
    found = evidence_groups([
        example("a", sender="shop.example", group="1"), example("b", sender="shop.example", group="2"),
        example("c", group="2"), example("d", group="3"), example("e", group="3", archive="lists"),
    ])  # fmt: skip

    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 3


def test_a_copy_of_training_mail_is_found_by_its_content() -> None:
    """One changed word of 120 leaves the Jaccard index at .93; another text shares nothing."""
    changed = text(1).split()
    changed[60] = "other"
    trained = TrainedOn.of([text(1), text(2), ""])

    assert trained.near([text(1), " ".join(changed), text(3), ""]).tolist() == [True, True, False, False]
    assert trained.rows.shape == (2, HASHES)


def test_common_phrases_do_not_make_a_copy() -> None:
    """Half of the text is the same: an index of about a third."""
    trained = TrainedOn.of([text(1)])

    assert not trained.near([" ".join([*text(1).split()[:60], *text(4).split()[:60]])]).any()


def test_fingerprints_come_back_from_a_bundle(tmp_path: Path) -> None:
    made = TrainedOn.of([text(n) for n in range(5)])
    made.write(tmp_path)
    found = TrainedOn.open(tmp_path)

    assert found is not None
    assert sorted(map(bytes, found.rows)) == sorted(map(bytes, made.rows))
    assert found.near([text(3)]).all()
    assert (tmp_path / FILE).stat().st_size == 128 + 5 * HASHES


def test_a_bundle_without_fingerprints_says_so(tmp_path: Path) -> None:
    assert TrainedOn.open(tmp_path) is None


@pytest.mark.parametrize("content", [b"no array", b""])
def test_damaged_fingerprints_name_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(BundleError, match=r"trained\.npy"):
        TrainedOn.open(tmp_path)


def test_fingerprints_of_another_form_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / FILE, np.zeros((3, 8), dtype=np.uint8))

    with pytest.raises(BundleError, match=r"expected uint8 \[n, 64\], found uint8 \[3, 8\]"):
        TrainedOn.open(tmp_path)


def test_no_text_no_fingerprint() -> None:
    assert signatures(["", "  "]).shape == (0, HASHES)


def test_copies_are_left_out_and_counted() -> None:
    sample = Sample.of("mine", [example(str(n), body=text(n)) for n in range(4)], weight=np.arange(4.0))

    kept, copies = without_copies(sample, TrainedOn.of([text(1)]))

    assert copies == 1
    assert [e.key for e in kept.examples] == ["0", "2", "3"]
    assert kept.weight.tolist() == [0.0, 2.0, 3.0]
    assert len(kept.groups) == 3


def test_training_mail_under_another_name_is_refused() -> None:
    sample = Sample.of("mine", [example(str(n), body=text(n)) for n in range(4)])

    with pytest.raises(
        RefusedError, match="mine: 3 of 4 messages are, or nearly are, mail that the model was trained"
    ):
        without_copies(sample, TrainedOn.of([text(n) for n in range(3)]))


def test_the_written_set_is_what_this_model_was_not_trained_on() -> None:
    """By its record where content cannot tell; with fingerprints, whatever is held out today too."""
    mail = material(
        train=[example("t", archive=WRITTEN, group="old")],
        held=[example("h", archive=WRITTEN, group="new", held="author b")],
    )
    record = {"held_out_pairs": ["old"]}
    settings = TrainSettings()

    by_record = samples(record, settings, mail, None, quiet)[WRITTEN]
    by_content = samples(record, settings, mail, None, quiet, by_content=True)[WRITTEN]

    assert [e.key for e in by_record.examples] == ["t"]
    assert sorted(e.key for e in by_content.examples) == ["h", "t"]


def test_made_up_mail_is_a_set_of_its_own() -> None:
    mail = material(dev=[example("a"), example("b", synthetic=True)])

    found = samples({}, TrainSettings(), mail, None, quiet)

    assert list(found) == ["household", "household (made up)"]
    assert found["household (made up)"].made_up


def test_an_unknown_set_names_those_there_are() -> None:
    with pytest.raises(RefusedError, match="nosuch: no such set to measure; there are: household"):
        samples({}, TrainSettings(), material(dev=[example("a")]), None, quiet, ["nosuch"])


def test_slices_know_real_commercial_mail_by_its_source() -> None:
    which = slices(TrainSettings())
    shop = example("a", archive="modern_ham", source="phillybike")
    list_mail = example("b", archive="modern_ham", source="openbmc_list")

    assert [n for n, wanted in which.items() if wanted(shop)] == [
        "real commercial mail", "sender in no list (since 2018)"]  # fmt: skip
    assert which["engineers' HTML mail (openbmc_list)"](list_mail)
    assert not which["sender in no list (since 2018)"](dataclasses.replace(shop, facts=Facts(sender_known=True)))
    assert not which["sender in no list (since 2018)"](dataclasses.replace(shop, year=2002))
