"""A snapshot becomes examples: read by the code that serves, one vote a campaign, raw bytes by key."""

import pytest
from dataset_rig import data_store, letter, lists, numbered, put, said

from model.labels import Label
from model.mail import Direction
from training.reading import Reader
from training.store.entry import LabelSource, Snapshot
from training.store.errors import DataStoreError
from training.store.examples import examples
from training.store.parts import parts
from training.store.snapshots import freeze, snapshot


@pytest.fixture
def data(tmp_path, clock):
    with data_store(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def reader(tmp_path):
    with Reader(tmp_path / "cache", lists()) as opened:
        yield opened


def test_examples_carry_what_is_known(data, reader):
    put(data, (letter(), said("fraud", collection="c1")), (numbered(1), said("bad")),
        (numbered(2), said("ham", source=LabelSource.REVIEW)))  # fmt: skip
    freeze(data, "first", by="mona")

    found = {e.key: e for e in examples(data, snapshot(data, "first"), reader)}

    assert len(found) == 3
    fraud = next(e for e in found.values() if e.kind is Label.FRAUD)
    assert (fraud.archive, fraud.source, fraud.bad, fraud.year, fraud.read) == ("c1", "imported", True, 2026, False)
    assert fraud.sender == "shop.example"
    assert "parcel" in fraud.document.text
    assert data.raw(fraud.key) == letter()
    assert sorted((e.bad, str(e.kind)) for e in found.values()) == [(False, "None"), (True, "None"), (True, "fraud")]
    assert next(e for e in found.values() if not e.bad).read


def test_a_campaign_has_one_vote_and_parts_can_be_taken_alone(data, reader):
    put(data, *((letter(date=f"Mon, 02 Feb 2026 10:00:{n:02} +0000"), said("spam")) for n in range(4)),
        (numbered(1, date="Tue, 03 Feb 2026 10:00:00 +0000"), said("ham", sample_weight=50.0)))  # fmt: skip
    made = freeze(data, "first", by="mona")

    found = examples(data, made, reader)
    assert sorted(e.weight for e in found) == [0.25, 0.25, 0.25, 0.25, 10.0]

    halves = parts(made.entries, calibration=0, test=0.2)
    assert [e.bad for e in examples(data, made, reader, entries=halves.test)] == [False]


def test_outbound_mail_and_drafts_never_become_examples(data, reader, clock):
    put(data, (numbered(1), said("ham", direction=Direction.OUTBOUND)),
        (numbered(2), said("spam", source=LabelSource.DRAFT)))  # fmt: skip
    forged = Snapshot("x", "", clock.now, "mona", "", None, tuple(data.entries()))

    with pytest.raises(DataStoreError, match="has no label that may train"):
        examples(data, forged, reader)

    assert examples(data, forged, reader, entries=forged.entries[:1]) == []
