"""A model from a site's verdicts: it learns what they teach, keeps what it knew, and starts from the same place."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from dataset_rig import data_store, letter, put, said

from model.bundle import DEFAULT, MANIFEST, Bundle, BundleError, log_odds
from model.domains import DomainLists
from model.head import SITE_HEAD
from model.labels import Label
from model.score import Scorer, verify
from training.evaluation.trained import TrainedOn
from training.gate.parts import for_gate
from training.gate.sources import site as gate_mail
from training.gather import DataError
from training.reading import Raw, Reader
from training.settings import TrainSettings
from training.site.train import train, verdicts_of
from training.store.entry import LabelSource, Origin
from training.store.labelling import give
from training.store.snapshots import freeze

pytestmark = pytest.mark.train
SMALL = {"replay_most": 40, "patience": 20, "guard_most": 140}
WORDS = ("harbour", "ladder", "violet", "cellar", "bracket", "meadow", "copper", "pencil", "harvest", "window")


def mail(number: int, *, bad: bool) -> bytes:
    """A message of its own; bad ones speak of a club that no honest one names."""
    own = " ".join(WORDS[(number * 7 + at * at) % len(WORDS)] + str(number + at) for at in range(30))
    club = "Join the hopfengold circle, the hopfengold club of brewers." if bad else "The minutes are in the folder."
    return letter(f"{club} {own}", sender=f"post@house{number}.example", subject=f"Note {number}",
                  date=f"Mon, 02 Feb 2026 10:{number % 60:02}:00 +0000")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle, str]:
    """Sixty verdicts of a site, learnt once for all tests."""
    folder = tmp_path_factory.mktemp("site")
    loose = {"guard_ham": 0.5, "guard_bad": 0.5}  # of a few dozen messages, three are a twentieth
    settings = TrainSettings.model_validate({"cache": folder / "cache", "site": SMALL, "triage": loose})
    with data_store(folder) as store:
        named = ("spam", "ham", "phishing", "ham")
        put(store, *((mail(n, bad=n % 2 == 0), said(named[n % 4])) for n in range(60)))
        frozen = freeze(store, "first", by="mona")
        made = train(Bundle.open(DEFAULT), store, frozen, settings, folder / "out",
                     now=datetime(2026, 2, 3, tzinfo=UTC), tell=lambda _: None)  # fmt: skip
    return folder, made, frozen.fingerprint


def scores(bundle: Bundle, folder: Path, *messages: bytes) -> list[float]:
    scorer = Scorer(bundle)
    with Reader(folder / "cache", DomainLists.load()) as reader:
        return [scorer.score(s.document, s.facts).p_bad for s in reader.read(Raw(m, {}) for m in messages)]


def test_mail_like_what_was_judged_bad_scores_higher_and_honest_mail_does_not(run: tuple[Path, Bundle, str]) -> None:
    folder, made, _ = run
    unseen = (mail(900, bad=True), mail(901, bad=False))

    before = scores(Bundle.open(DEFAULT), folder, *unseen)
    after = scores(made, folder, *unseen)

    assert logit(after[0]) > logit(before[0]) + 1
    assert logit(after[1]) < logit(before[1]) + 0.5


def test_a_kind_that_no_reviewer_named_is_rarer_than_before(run: tuple[Path, Bundle, str]) -> None:
    """Half of the bad mail was called spam, half phishing, none fraud; served, it shows."""
    folder, made, _ = run
    unseen = mail(902, bad=True)
    shares = []
    for bundle in (Bundle.open(DEFAULT), made):
        with Reader(folder / "cache", DomainLists.load()) as reader:
            [seen] = reader.read([Raw(unseen, {})])
        score = Scorer(bundle).score(seen.document, seen.facts)
        shares.append(score.probabilities[Label.FRAUD] / score.p_bad)

    assert shares[1] < 0.8 * shares[0]


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_the_bundle_proves_itself_and_says_what_made_it(run: tuple[Path, Bundle, str]) -> None:
    """Golden scores come out again; data, base and the verdicts' fingerprints are in it."""
    _, made, fingerprint = run
    record = json.loads((made.path / MANIFEST).read_text())["training"]
    trained, before = TrainedOn.open(made.path), TrainedOn.open(DEFAULT)

    assert verify(Scorer(made)) < 1e-4
    assert made.data_fingerprint == fingerprint
    assert record["site"]["base"] == Bundle.open(DEFAULT).version
    assert record["site"]["fingerprint"] == fingerprint
    assert "held_out_pairs" in record
    assert trained is not None
    assert len(trained.rows) > (0 if before is None else len(before.rows))


def test_probabilities_are_the_sites_where_its_mail_was_sampled_and_routes_stay(tmp_path: Path) -> None:
    """One message of five is bad: kept ones are all reviewed, of delivered ones every fourth."""
    base, folder = Bundle.open(DEFAULT), tmp_path
    with data_store(folder) as store:
        chosen = {True: {"origin": Origin.KEPT}, False: {"origin": Origin.SAMPLED, "sample_weight": 4.0}}
        put(store, *((mail(n, bad=n % 2 == 0), said("spam" if n % 2 == 0 else "ham", **chosen[n % 2 == 0]))
                     for n in range(60)))  # fmt: skip
        frozen = freeze(store, "first", by="mona")
        made = {}
        for fewest in (10, 10_000):
            settings = TrainSettings.model_validate({
                "cache": folder / "cache", "site": {**SMALL, "told_fewest": fewest},
                "triage": {"guard_ham": 0.9, "guard_bad": 0.9},
            })  # fmt: skip
            made[fewest] = train(base, store, frozen, settings, folder / str(fewest),
                                 now=datetime(2026, 2, 3, tzinfo=UTC), tell=lambda _: None)  # fmt: skip
    told, untold = made[10], made[10_000]

    assert untold.calibration.prior == base.calibration.prior
    assert told.calibration.prior == pytest.approx(0.2, abs=0.08)
    assert told.version != untold.version
    messages = [mail(n, bad=n % 2 == 0) for n in range(60, 80)]
    before, after = scores(untold, folder, *messages), scores(told, folder, *messages)
    near = [abs(log_odds(p) - log_odds(untold.thresholds.kept)) < 0.02 for p in before]
    assert sum(near) < 3
    for p, q, close in zip(before, after, near, strict=True):
        assert close or (p >= untold.thresholds.kept) == (q >= told.thresholds.kept)
    assert before != pytest.approx(after, abs=0.01)


def test_weights_of_facts_keep_their_sign(run: tuple[Path, Bundle, str]) -> None:
    _, made, _ = run
    before = Bundle.open(DEFAULT).fusion.facts

    assert all(term.weight * before[name].weight >= 0 for name, term in made.fusion.facts.items())
    assert any(term.weight != before[name].weight for name, term in made.fusion.facts.items())


def test_the_gates_own_mail_is_not_learnt_from(run: tuple[Path, Bundle, str]) -> None:
    """Of sixty messages some three in ten are the gate's; the record counts the others."""
    _, made, _ = run
    record = json.loads((made.path / MANIFEST).read_text())["training"]["site"]

    assert 30 <= sum(record["messages"].values()) < 55


def test_a_model_of_verdicts_is_not_started_from(run: tuple[Path, Bundle, str], tmp_path: Path) -> None:
    """What was unlearnt must leave no trace, so every run starts from the same model."""
    _, made, _ = run
    assert SITE_HEAD in made.files
    with data_store(tmp_path) as store:
        put(store, (mail(1, bad=False), said("ham")), (mail(2, bad=True), said("spam")))
        frozen = freeze(store, "s", by="mona")
        with pytest.raises(BundleError, match="was made from verdicts itself"):
            train(made, store, frozen, TrainSettings(cache=tmp_path / "c"), tmp_path / "out",
                  now=datetime(2026, 2, 3, tzinfo=UTC), tell=lambda _: None)  # fmt: skip


def test_too_few_verdicts_are_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    with data_store(tmp_path) as store:
        put(store, (mail(1, bad=False), said("ham")), (mail(2, bad=True), said("spam")))
        frozen = freeze(store, "s", by="mona")
        with pytest.raises(DataError, match=r"expected at least 10 \(site.fewest\)"):
            train(Bundle.open(DEFAULT), store, frozen, TrainSettings(cache=tmp_path / "c"), tmp_path / "out",
                  now=datetime(2026, 2, 3, tzinfo=UTC), tell=lambda _: None)  # fmt: skip
    assert not list(tmp_path.glob("*out*"))


def test_what_one_person_judged_does_not_train_where_two_are_asked_for(tmp_path: Path) -> None:
    """The snapshot was frozen before the second approval was asked for; the demand holds all the same."""
    with data_store(tmp_path) as store:
        put(store, *((mail(n, bad=n % 2 == 0), said("spam" if n % 2 == 0 else "ham")) for n in range(30)))
        frozen = freeze(store, "s", by="mona")
        four = [e for e in frozen.entries if not for_gate(e.group)][:4]
        give(store, {e.digest: e.name for e in four}, source=LabelSource.REVIEW, by="ben")
    told: list[str] = []
    with data_store(tmp_path, approvals=2) as store, pytest.raises(DataError, match=r"4 distinct messages may train"):
        train(Bundle.open(DEFAULT), store, frozen, TrainSettings(cache=tmp_path / "c"), tmp_path / "out",
              now=datetime(2026, 2, 3, tzinfo=UTC), tell=told.append)  # fmt: skip

    assert told[0].startswith("left out 26 messages that wait for 2 people to give them the same label")


def test_a_label_that_two_people_gave_is_known_as_confirmed(tmp_path: Path) -> None:
    with data_store(tmp_path) as store, Reader(tmp_path / "c", DomainLists.load()) as reader:
        put(store, *((mail(n, bad=False), said("ham")) for n in range(12)))
        frozen = freeze(store, "s", by="mona")
        twice = next(e for e in frozen.entries if not for_gate(e.group))
        give(store, {twice.digest: "ham"}, source=LabelSource.REVIEW, by="ben")

        found = verdicts_of(store, frozen, reader, lambda _: None)

    assert [e.digest for e, sure in zip(found.entries, found.confirmed, strict=True) if sure] == [twice.digest]


def test_the_gate_takes_no_label_either_that_waits_for_a_second_person(tmp_path: Path) -> None:
    with data_store(tmp_path) as store:
        put(store, *((mail(n, bad=n % 2 == 0), said("spam" if n % 2 == 0 else "ham")) for n in range(30)))
        mine = [e for e in store.entries() if for_gate(e.group)]
        give(store, {mine[0].digest: mine[0].name}, source=LabelSource.REVIEW, by="ben")
    with data_store(tmp_path, approvals=2) as store, Reader(tmp_path / "c", DomainLists.load()) as reader:
        found = [m.example.key for m in gate_mail(store, reader)]

    assert len(mine) > 1
    assert found == [mine[0].digest]
