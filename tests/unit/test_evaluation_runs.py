"""Evaluation from end to end: attacks through the extractor, snapshots of the data store, the command, bad input."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dataset_rig import data_store, numbered, put, said

pytest.importorskip("torch", reason="needs the training extra")

from gatepost.commands.evaluate import _RIVALS, write
from gatepost.commands.evaluate import command as evaluate
from model.bundle import DEFAULT, MANIFEST, Bundle, digest
from model.domains import DomainLists
from model.labels import Label
from model.score import Scorer
from training.corpora import COLUMNS
from training.evaluation.attacks import ATTACKS
from training.evaluation.embeddings import Embedder
from training.evaluation.leave_out import leave_out, render
from training.evaluation.methods import BASELINES
from training.evaluation.robustness import Message, material_for, robustness
from training.evaluation.sets import RefusedError, Sample
from training.evaluation.stored import snapshot_samples, taught_by
from training.evaluation.trained import FILE, TrainedOn
from training.examples import of_written
from training.gate.parts import for_gate
from training.gather import Material
from training.letter import compose
from training.reading import Reader
from training.settings import FinetuneSettings, TrainSettings
from training.store.entry import Origin
from training.store.snapshots import freeze, snapshot
from training.written import load

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cache of what was read: every run of the command reads the written set."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """The shipped model, with its hold threshold so low that all bad mail of the test is caught."""
    bundle = Bundle.open(DEFAULT)
    return Scorer(dataclasses.replace(bundle, thresholds=dataclasses.replace(bundle.thresholds, hold=0.0)))


def messages(bad: int, good: int) -> list[Message]:
    found = load()
    evil = [m for m in found if m.label is not Label.HAM][:bad]
    honest = [m for m in found if m.label is Label.HAM][:good]
    return [
        Message(compose(m, 7), m.facts, m.label is not Label.HAM, f"{m.label}{n}")
        for n, m in enumerate((*evil, *honest))
    ]


def test_an_attack_that_changes_nothing_loses_nothing(scorer: Scorer) -> None:
    (found,) = robustness(scorer, messages(3, 2), seed=1, attacks={"none": lambda raw, _: raw})

    assert (found.caught_before.value, found.caught_after.value, found.caught_after.n) == (1.0, 1.0, 3)
    assert (found.bad.difference.value, found.good.difference.value, found.good.difference.n) == (0.0, 0.0, 2)
    assert (found.not_applicable, found.failed) == (0, 0)


def test_what_cannot_be_attacked_is_counted_apart(scorer: Scorer) -> None:
    (found,) = robustness(scorer, messages(3, 2), seed=1, attacks={"nowhere": lambda raw, _: None})

    assert not found.caught_after.known
    assert found.not_applicable == 5


def test_real_attacks_go_through_the_extractor(scorer: Scorer) -> None:
    found = {a.name: a for a in robustness(scorer, messages(2, 1), seed=1)}

    assert set(found) == set(ATTACKS)
    assert all(a.failed == 0 for a in found.values())
    assert found["padding to 10,000 words"].caught_after.n == 2


def test_what_is_attacked_comes_with_its_bytes(cache: str) -> None:
    """At most two bad written messages and half as many legitimate ones, with their bytes; none that are made up."""
    settings = TrainSettings(cache=Path(cache))
    with Reader(settings.cache, DomainLists.load()) as reader:
        own = of_written(load()[:6], reader, 7)
    sample = Sample.of(
        "written", [*own, *(dataclasses.replace(own[0], key=f"made{n}", synthetic=True) for n in range(3))]
    )

    found = material_for(settings, None, [sample], 2)

    assert [m.bad for m in found] == [True, True, False]
    assert all(m.raw.startswith(b"Return-Path: ") for m in found)
    assert material_for(settings, None, [Sample.of("x (made up)", own)], 2) == []


def test_ways_of_sampling_are_measured_apart(tmp_path: Path) -> None:
    """Two kept and two sampled messages: two samples, the sampled weighing 1/p, each saying what it is."""
    with data_store(tmp_path) as store:
        put(store,
            (numbered(1), said("spam", origin=Origin.KEPT)), (numbered(2), said("ham", origin=Origin.KEPT)),
            (numbered(3), said("ham", origin=Origin.SAMPLED, sample_weight=20.0)),
            (numbered(4), said("spam", origin=Origin.SAMPLED, sample_weight=20.0)))  # fmt: skip
        freeze(store, "first", by="mona")
        found = snapshot_samples(store, snapshot(store, "first"), TrainSettings(cache=tmp_path / "c"), lambda _: None)

    assert [s.name for s in found] == ["first (kept)", "first (sampled)"]
    assert found[0].weight.tolist() == [1.0, 1.0]
    assert found[1].weight.tolist() == [20.0, 20.0]
    assert "chosen by a model" in found[0].taken
    assert "1/p" in found[1].taken


def test_a_snapshot_is_measured_by_the_command(tmp_path: Path, cache: str) -> None:
    """One sender's mail, ham alone: measured as far as it goes, and the certificate counts one sender."""
    with data_store(tmp_path) as store:
        put(store, *((numbered(n), said("ham")) for n in range(4)))
        freeze(store, "one", by="mona")
    html, card = tmp_path / "r.html", tmp_path / "card.md"

    done = CliRunner().invoke(evaluate, [
        "--dataset", "one", "--store", str(tmp_path / "dataset"), "--baseline", "none",
        "--cache", cache, "--json", "--html", str(html), "--markdown", str(card)])  # fmt: skip

    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["sets"]
    assert (told["set"], told["good"], told["bad"]) == ("one (imported)", 4, 0)
    assert told["legitimate"]["certificate"]["senders"] == 1
    assert told["methods"]["gatepost"]["caught"]["value"] is None
    assert html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert card.read_text(encoding="utf-8").startswith("# Gatepost model ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["card.md", "dataset", "r.html"]


def test_a_snapshot_that_is_not_there_is_a_plain_line(tmp_path: Path, cache: str) -> None:
    data_store(tmp_path).close()

    done = CliRunner().invoke(evaluate, [
        "--dataset", "nosuch", "--store", str(tmp_path / "dataset"),
        "--cache", cache])  # fmt: skip

    assert done.exit_code == 2
    assert "there is no snapshot nosuch" in done.output


def test_no_folder_of_collections_is_a_plain_line(tmp_path: Path, cache: str) -> None:
    done = CliRunner().invoke(evaluate, ["--corpora", str(tmp_path / "nowhere"), "--cache", cache])

    assert done.exit_code == 2
    assert "nowhere/index.csv" in done.output


def test_leaving_out_needs_collections(tmp_path: Path, cache: str) -> None:
    done = CliRunner().invoke(evaluate, ["--leave-out", "spamassassin", "--cache", cache])

    assert done.exit_code == 2
    assert "give --corpora" in done.output


def test_a_report_that_cannot_be_written_is_said_before_minutes_are_spent(tmp_path: Path, cache: str) -> None:
    out = tmp_path / "missing" / "r.html"

    done = CliRunner().invoke(evaluate, ["--cache", cache, "--html", str(out)])

    assert done.exit_code == 2
    assert f"{out}: there is no folder {out.parent} to write the report into" in done.output
    assert not done.stdout


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """What stood there stays where the new one cannot take its name, and no part of it lies about."""
    (tmp_path / "r.html").mkdir()

    with pytest.raises(OSError, match=r"r\.html"):
        write(tmp_path / "r.html", "x")

    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def bundle_that_learnt(texts: list[str], folder: Path) -> Path:
    """A copy of the shipped bundle that carries the fingerprints of other training mail."""
    shutil.copytree(DEFAULT, folder)
    TrainedOn.of(texts).write(folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][FILE] = digest(folder / FILE)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_training_mail_under_another_name_is_refused(tmp_path: Path, cache: str) -> None:
    """By content: the snapshot has a new name, and its mail is what the model learnt from."""
    with data_store(tmp_path) as store:
        put(store, *((numbered(n), said("ham" if n % 2 else "spam")) for n in range(6)))
        freeze(store, "new", by="mona")
        settings = TrainSettings(cache=Path(cache))
        (found,) = snapshot_samples(store, snapshot(store, "new"), settings, lambda _: None)
    learnt = bundle_that_learnt([e.document.text for e in found.examples[:4]], tmp_path / "bundle")

    done = CliRunner().invoke(evaluate, [
        "--model", str(learnt), "--dataset", "new", "--store", str(tmp_path / "dataset"), "--baseline", "none",
        "--cache", cache])  # fmt: skip

    assert done.exit_code == 2
    assert "new (imported): 4 of 6 messages are, or nearly are, mail that the model was trained" in done.output


def test_a_model_of_verdicts_is_measured_on_what_the_gate_kept_of_them(tmp_path: Path, cache: str) -> None:
    """On the very snapshot that it learnt from, on its three tenths alone; and on nothing where there are none."""
    with data_store(tmp_path) as store:
        put(store, *((numbered(n), said("ham" if n % 2 else "spam")) for n in range(40)))
        freeze(store, "june", by="mona")
        frozen = snapshot(store, "june")
        kept = [e for e in frozen.entries if for_gate(e.group)]
        learnt = {"site": {"snapshot": "june", "fingerprint": frozen.fingerprint}}
        taught = taught_by(store, learnt)
        assert taught_by(store, {"site": {**learnt["site"], "fingerprint": "0" * 64}}) == frozenset()
        settings = TrainSettings(cache=Path(cache))
        (found,) = snapshot_samples(store, frozen, settings, lambda _: None, taught)
        nobody = frozenset(e.group for e in frozen.entries)
        with pytest.raises(RefusedError, match="snapshot june: all of its 40 messages"):
            snapshot_samples(store, frozen, settings, lambda _: None, nobody)

    assert 0 < len(kept) < 40
    assert {e.key for e in found.examples} == {e.digest for e in kept}
    assert f"{40 - len(kept)} messages of the snapshot that trained the model are left out" in found.taken


def test_leaving_out_refuses_what_would_be_without_effect(cache: str) -> None:
    done = CliRunner().invoke(evaluate, ["--leave-out", "spamassassin", "--robustness", "9", "--set", "x"])

    assert done.exit_code == 2
    assert "--set and --robustness cannot be used with --leave-out" in " ".join(done.output.split())


def test_a_version_that_is_not_stored_is_named(tmp_path: Path, cache: str) -> None:
    done = CliRunner().invoke(evaluate, ["--model", "20200101-none", "--cache", cache])

    assert done.exit_code == 2
    assert "20200101-none: no such version" in done.output


def test_a_model_compared_with_itself_differs_in_nothing(tmp_path: Path, cache: str) -> None:
    with data_store(tmp_path) as store:
        put(store, *((numbered(n), said("ham" if n % 2 else "spam")) for n in range(6)))
        freeze(store, "new", by="mona")

    done = CliRunner().invoke(evaluate, [
        "--against", str(DEFAULT), "--dataset", "new", "--store", str(tmp_path / "dataset"), "--baseline", "none",
        "--cache", cache, "--json"])  # fmt: skip

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    (one,) = told["sets"]
    assert told["against"] == told["model"]
    assert one["auc_against"]["value"] == 0.0
    assert one["against"]["caught"]["difference"]["value"] == 0.0
    assert one["against"]["caught"]["only_candidate_keeps"] == 0
    assert any("carries no fingerprints" in note for note in told["notes"]) or TrainedOn.open(DEFAULT) is not None


def test_a_model_that_scores_nothing_is_no_report(tmp_path: Path, cache: str) -> None:
    """A fault that makes every message unscored must not read as a model that catches nothing."""
    learnt = bundle_that_learnt(["nothing"], tmp_path / "bundle")
    manifest = json.loads((learnt / MANIFEST).read_text(encoding="utf-8"))
    manifest["calibration"]["intercept"] = 1e309  # reads as infinity
    (learnt / MANIFEST).write_text(json.dumps(manifest).replace("Infinity", "1e309"), encoding="utf-8")
    with data_store(tmp_path) as store:
        put(store, (numbered(1), said("ham")), (numbered(2), said("spam")))
        freeze(store, "new", by="mona")

    done = CliRunner().invoke(evaluate, [
        "--model", str(learnt), "--dataset", "new", "--store", str(tmp_path / "dataset"), "--baseline", "none",
        "--cache", cache])  # fmt: skip

    assert done.exit_code == 2
    assert "2 of 2 messages of new (imported) could not be scored: there is nothing to measure" in done.output


def collection(folder: Path) -> Path:
    """Two collections of twelve messages, half of them bad, and one that is all ham."""
    rows = [",".join(COLUMNS)]
    for archive in ("old", "new", "lists"):
        for n in range(12):
            bad = n % 2 and archive != "lists"
            path = folder / archive / "mail" / f"{n}.eml"
            path.parent.mkdir(parents=True, exist_ok=True)
            words = "win money now claim prize" if bad else "minutes of the meeting about the garden"
            raw = f"From: a@s{n}.{archive}.example\r\nSubject: {words} {n}\r\n\r\n{words} {archive} {n} {n * n}\r\n"
            path.write_bytes(raw.encode())
            label = "bad" if bad else "ham"
            rows.append(f"{archive},{archive}/mail/{n}.eml,train,{label},corpus,2024,en,raw,0,{archive}{n}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_a_collection_is_left_out_of_training(tmp_path: Path, cache: str) -> None:
    """Trained on written mail and on the other collections; its own near-duplicates elsewhere are left out too."""
    corpora = collection(tmp_path / "corpora")
    settings = TrainSettings.model_validate({"cache": cache, "data": {"smallest_class": 2}})
    from training.gather import gather

    whole = gather(settings, corpora, lambda _: None)
    few = Material([e for e in whole.train if e.archive != "written"][:200], whole.calibration[:60], [], [], ())

    found = leave_out("old", settings, corpora, lambda _: None, material=few)

    assert (found.good, found.bad) == (6, 6)
    assert found.trained == sum(e.archive != "old" for e in few.train) - found.copies
    assert set(found.to_json()) >= {"left_out", "near_duplicates_left_out", "methods"}
    assert all(m.auc.n == 12 for m in found.methods.values())
    assert all(m.f1_by_sender.value == pytest.approx(m.f1.value) for m in found.methods.values())  # one mail each
    assert "F1, one vote a sender" in render(found)
    with pytest.raises(RefusedError, match="nosuch: no such collection to leave out; there are: lists, new, old"):
        leave_out("nosuch", settings, corpora, lambda _: None, material=few)
    with pytest.raises(RefusedError, match="lists: it has no bad mail"):
        leave_out("lists", settings, corpora, lambda _: None, material=few)


def test_embeddings_come_back_from_the_store_unchanged(tmp_path: Path) -> None:
    """The second reading is the first, and of documents of all lengths each gets its own."""
    documents = _documents()
    embedder = Embedder(tmp_path, FinetuneSettings())

    first, second = embedder.of(documents), Embedder(tmp_path, FinetuneSettings()).of(documents[::-1])[::-1]

    assert np.array_equal(first, second)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=0.01)
    assert len({row.tobytes() for row in first}) == len(documents)
    assert embedder.of([]).shape == (0, 0)


def _documents():
    from model.normalise import Document

    return [Document(f"subject {n}", (), "word " * (n * 30 + 1), ()) for n in range(4)]


def test_short_names_are_those_of_the_methods() -> None:
    assert tuple(_RIVALS.values()) == BASELINES
