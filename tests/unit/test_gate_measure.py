"""Evidence from real models on real mail: what is equal passes, what is worse is seen, what trained is found."""

import json
import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model.bundle import DEFAULT, MANIFEST, Bundle, Thresholds, digest
from model.domains import DomainLists
from training.evaluation.trained import FILE, TrainedOn
from training.gate.decision import decide_promotion
from training.gate.evidence import NOTHING
from training.gate.measure import Operating, Trial, gather_evidence, read_record
from training.gate.parts import Look, for_gate, part_of
from training.gate.settings import GateSettings
from training.gate.sources import SITE, GateMail, site, written
from training.reading import Reader
from training.store.adding import add
from training.store.entry import About, LabelSource, Origin, Outcome
from training.store.settings import DatasetSettings
from training.store.store import DataStore

SHIPPED = Bundle.open(DEFAULT)
POLICY = GateSettings(caught_margin=0.5, false_positive_margin=0.5, slower=9.0, slowest_ms=9000.0, attack_messages=3)


def upper(raw: bytes, _draw: random.Random) -> bytes | None:
    """An attack for tests: shouts the body."""
    head, gap, body = raw.partition(b"\r\n\r\n")
    return head + gap + body.upper()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    with Reader(tmp_path_factory.mktemp("cache"), DomainLists.load()) as made:
        yield made


@pytest.fixture(scope="module")
def mail(reader) -> list[GateMail]:
    return list(written(reader, most=12))


@pytest.fixture
def hurried(monkeypatch):
    """Speed is measured on two messages only, where a test is about something else."""
    monkeypatch.setattr("training.gate.measure.TIMED", 2)


def variant(folder: Path, version: str, thresholds: Thresholds | None = None) -> Bundle:
    shutil.copytree(DEFAULT, folder / version)
    manifest = json.loads((folder / version / MANIFEST).read_text())
    manifest["version"] = version
    if thresholds:
        manifest["thresholds"] = {"quarantine": thresholds.quarantine, "hold": thresholds.hold}
    (folder / version / MANIFEST).write_text(json.dumps(manifest))
    return Bundle.open(folder / version)


def trial(candidate: Bundle, **more) -> Trial:
    return Trial(candidate, read_record(candidate), SHIPPED, SHIPPED, POLICY, **more)


def test_the_same_model_differs_in_nothing(tmp_path, mail, reader):
    found = gather_evidence(trial(variant(tmp_path, "same-1")), mail, {"shouting": upper}, reader)

    (comparison,) = found.comparisons  # the model in place is the shipped one: once is enough
    assert (comparison.pooled.caught.gained, comparison.pooled.caught.lost) == (0, 0)
    assert comparison.pooled.false_positives.difference.value == 0
    (attack,) = found.attacks
    assert attack.others == {"in-place": attack.candidate}
    assert found.attacked["in-place"].difference.value == 0
    assert attack.n == 3
    assert found.speed.n == found.speeds["in-place"].n == len(mail)
    assert 0 < found.speed.median <= found.speed.slowest
    assert found.certified.source == NOTHING
    assert found.counts["written"][0] + found.counts["written"][1] == len(mail)


def test_a_model_that_keeps_everything_or_nothing_is_seen_to_be_worse(tmp_path, mail, reader, hurried):
    eager = variant(tmp_path, "eager", Thresholds(1e-9))
    asleep = variant(tmp_path, "asleep", Thresholds(1.0))
    keeps_all = gather_evidence(replace(trial(eager), in_place=asleep), mail, {}, reader)
    keeps_none = gather_evidence(replace(trial(asleep), in_place=eager), mail, {}, reader)

    good, bad = keeps_all.counts["written"]
    assert keeps_all.comparisons[0].pooled.false_positives.gained == good
    assert keeps_none.comparisons[0].pooled.caught.lost == bad
    assert [c.against for c in keeps_all.comparisons] == ["in-place", "shipped"]
    failed = {check.name for check in decide_promotion(keeps_none, GateSettings()).failed}
    assert "caught-against-in-place" in failed
    failed = {check.name for check in decide_promotion(keeps_all, GateSettings()).failed}
    assert "false-positives-against-in-place" in failed


def test_the_operators_thresholds_count_and_not_the_models(tmp_path, mail, reader, hurried):
    """Where quarantine_at is set, a model's own threshold changes nothing."""
    eager = variant(tmp_path, "eager", Thresholds(1e-9))

    found = gather_evidence(trial(eager, operating=Operating(0.9, 0.9)), mail, {}, reader)

    assert found.comparisons[0].pooled.false_positives.gained == 0
    assert Operating(0.9).kept_from(Thresholds(0.8, 0.7)) == 0.7
    assert Operating(0.5, None).kept_from(Thresholds(0.8, 0.7)) == 0.5
    assert Operating().kept_from(Thresholds(0.8)) == 0.8


def test_mail_that_trained_the_candidate_is_found_by_content(tmp_path, mail, reader, hurried):
    candidate = variant(tmp_path, "cheat")
    TrainedOn.of([m.example.document.text for m in mail[:5]]).write(candidate.path)
    manifest = json.loads((candidate.path / MANIFEST).read_text())
    manifest["files"][FILE] = digest(candidate.path / FILE)
    (candidate.path / MANIFEST).write_text(json.dumps(manifest))

    found = gather_evidence(trial(Bundle.open(candidate.path)), mail, {}, reader)

    assert found.trained_on >= 5
    assert "gate-mail" in {check.name for check in decide_promotion(found, POLICY).failed}


def honest(number: int) -> bytes:
    words = " ".join(random.Random(number).choices([f"{w}{n}" for w in ("river", "lunch") for n in range(40)], k=60))
    return (f"From: Ida <ida@firm{number}.example>\r\nTo: ben@here.example\r\nSubject: Note {number}\r\n\r\n"
            f"Dear Ben, {words}\r\n").encode()


def fill(store: DataStore, numbers: range, origin: Origin, weight: float = 1.0) -> None:
    about = About(label="ham", source=LabelSource.REVIEW, by="ida", at=datetime(2026, 1, 1, tzinfo=UTC),
                  origin=origin, sample_weight=weight)  # fmt: skip
    done = list(add(store, [(honest(n), about) for n in numbers], DomainLists.load()))
    assert {one.outcome for one in done} == {Outcome.ADDED}


def test_reviewed_mail_certifies_by_sender_unless_it_was_chosen_by_its_score(tmp_path, mail, reader, hurried):
    """Kept mail is compared on and certifies nothing; of sampled mail one part by sender certifies at a time."""
    policy = POLICY.model_copy(update={"false_positive_budget": 0.6})  # 4 senders are enough, so there are 3 parts
    with DataStore.open(DatasetSettings(path=tmp_path / "dataset"), create=True) as store:
        fill(store, range(60), Origin.SAMPLED, weight=50.0)
        fill(store, range(60, 80), Origin.KEPT)
        ours = list(site(store, reader, most_weight=10.0))
        theirs = [m for m in ours if m.certifies]
        found = []
        for part in range(policy.parts):
            switches = [Look(f"old-{n}", policy.parts, True) for n in range(part)]
            asked = replace(trial(variant(tmp_path, f"v{part}"), looks=switches), policy=policy)
            found.append(gather_evidence(asked, [*mail, *ours], {}, reader))

    assert 0 < len(theirs) < len(ours) < 80
    assert {m.weight for m in theirs} == {10.0}
    assert all(for_gate(m.example.group) for m in ours)
    senders = [one.certified.certificate.senders for one in found]
    assert sum(senders) == len({m.sender for m in theirs})  # the parts are all of it, and share no sender
    assert [(one.certified.source, one.certified.part) for one in found] == [("site", part) for part in range(3)]
    assert {part_of(m.sender, 3) for m in theirs} == {0, 1, 2}
    assert found[0].counts[SITE] == (len(ours), 0)
    looks = [Look(f"refused-{n}", policy.parts, False) for n in range(3)]
    asked = replace(trial(Bundle.open(tmp_path / "v0"), looks=looks), policy=policy)
    again = gather_evidence(asked, [*mail, *ours], {}, reader)
    assert again.certified.certificate.bound > found[0].certified.certificate.bound  # a fourth look costs
    whole = gather_evidence(trial(Bundle.open(tmp_path / "v0")), [*mail, *ours], {}, reader)
    assert whole.certified.parts == 1  # for a budget of 2 % all of it would be too little
    assert whole.certified.certificate.senders == sum(senders)
