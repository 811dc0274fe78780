"""From labelled mail to a bundle: gather, fine-tune, export, fuse, calibrate, prove, write.

Everything is written into a temporary folder beside the target, and only a bundle that was proved gets its name.
"""

import copy
import json
import operator
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from model.bundle import (
    CARD,
    ENCODER,
    MANIFEST,
    Bundle,
    BundleError,
    Calibration,
    Fusion,
    Golden,
    Thresholds,
    write_manifest,
)
from model.head import HEAD, OUTPUTS, TextHead, TextInput
from model.labels import BAD, Label
from model.normalise import VERSION
from model.score import Scorer, fuse, kind_logits, verify
from model.text import TextReader
from training import calibrate, fusion
from training.calibrate import CalibrationData
from training.evaluation.trained import TrainedOn
from training.examples import WRITTEN, Example, data_fingerprint, set_apart
from training.export import ExportError, write_files
from training.gather import Material, Tell, gather
from training.head import fit_head, golden_of
from training.plot import draw
from training.pools import of_today, shared, votes
from training.record import PICTURE, RECORD, RunRecord, curve, versions
from training.settings import DEFAULT_CACHE, TrainSettings
from training.texts import fit_window_weights, for_tuning, labelled, opened, read, shape

GOLDENS = 12
"""Golden inputs in a manifest: one of each class and language that the written set has, up to this many."""
PARITY_SAMPLE = 1_000
"""Messages of dev on which a run compares int8 and fp32 (they lie in a drawn order); the bench compares all."""
PROBES = 96
"""Messages on which activations are looked at before they are quantised."""


@dataclass(frozen=True, slots=True)
class Parity:
    """On how many messages int8 gave the label of fp32, and by how much the text's logit differs.

    `worst` is the greatest difference, `p99` is what 99 % of messages stay below.
    """

    same: int
    n: int
    worst: float
    p99: float = 0.0

    @property
    def share(self) -> float:
        """Share of messages with the same label."""
        return self.same / self.n if self.n else 1.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run gave, for the card and the log."""

    bundle: Bundle
    material: Material
    parity: Parity


def train(
    settings: TrainSettings,
    corpora: Path | None,
    out: Path,
    *,
    now: datetime,
    tell: Tell,
    finish: Callable[[Trained], str],
    keep_fp32: Path | None = None,
    hold_out_author: str = "",
) -> Trained:
    """Train and write a bundle to `out`, which must not exist; `finish` measures it and returns the model card.

    Raises DataError, CorporaError, WrittenError, ExportError, OSError.
    """
    if out.exists():
        raise FileExistsError(f"{out}: already exists; give a new folder, or remove this one")
    material = gather(settings, corpora, tell, hold_out_author=hold_out_author)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".gatepost-train-", dir=out.parent))
    try:
        folder = work / "bundle"
        folder.mkdir()
        trained = _into(folder, settings, material, now, tell)
        (folder / CARD).write_text(finish(trained), encoding="utf-8")
        _write(trained.bundle, settings, material, trained.parity)
        if keep_fp32:
            shutil.copyfile(work / "bundle.fp32.onnx", keep_fp32)
        folder.rename(out)
        return replace(trained, bundle=Bundle.open(out))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _into(folder: Path, settings: TrainSettings, material: Material, now: datetime, tell: Tell) -> Trained:
    from training.finetune import own_head  # torch is loaded only where something is trained
    from training.finetune import train as fine_tune

    tell(f"training on {len(material.train)} messages, calibrating on {len(material.calibration)}")
    weights = fit_window_weights(material.train, settings.finetune)
    mark = data_fingerprint([*material.train, *material.calibration])
    record = RunRecord(folder / RECORD)
    record.note({"event": "start", "time": now.isoformat(timespec="seconds"), "data_fingerprint": mark,
                 "versions": versions(), "settings": settings.model_dump(mode="json", exclude={"cache"})})
    taught = for_tuning(material.train, settings.finetune)
    lessons, watched = (labelled(part, weights, settings.finetune)
                        for part in set_apart(taught, settings.finetune.watched, settings.finetune.seed))
    tuned = fine_tune(lessons, settings.finetune, tell, watched=watched, note=record.note,
                      checkpoints=settings.cache / "checkpoints")
    draw(folder / PICTURE, *curve(folder / RECORD))
    opinion = None if settings.finetune.method == "head" else own_head(tuned, lessons)
    tell("exporting")
    probes = [row.windows[0] for row in labelled(_probes(material), weights, settings.finetune)]
    fp32 = write_files(tuned, weights, folder, settings.finetune.base, settings.export, probes)
    TrainedOn.of(e.document.text for e in (*material.train, *material.calibration)).write(folder)
    reader = opened(folder / ENCODER, weights, settings.finetune)
    tell("fitting the head on what the exported encoder gives")
    threads = settings.finetune.threads
    head = fit_head(read(reader, material.train, settings.head.bits, threads), material.train, settings.head, opinion)
    head.head.save(folder / HEAD)
    site_fit, site_apart = set_apart(material.site, settings.data.calibration_share, settings.data.seed)
    fitted = _fusion(settings, material, site_fit, tell)
    bundle = Bundle(
        path=folder,
        version=f"{now:%Y%m%d}-{mark[:8]}-n{VERSION}",
        created=now.isoformat(timespec="seconds"),
        base_model=settings.finetune.base or "sentence-transformers/all-MiniLM-L6-v2",
        data_fingerprint=mark,
        shape=shape(settings.finetune),
        fusion=Fusion(fitted.bias, settings.fusion.text_weight, settings.fusion.text_cap, fitted.facts, head.kinds),
        calibration=Calibration(1.0, 0.0, 0.0, 1.0),
        thresholds=Thresholds(0.99, 0.9),
        goldens=(),
        golden_tolerance=settings.export.golden_tolerance,
        files={},
    )
    bundle = _calibrated(bundle, settings, material, fitted, reader, head.head, site_apart)
    rows = (material.dev or [*material.calibration, *material.train])[:PARITY_SAMPLE]
    parity = compare(bundle, head.head, opened(fp32, weights, settings.finetune), reader, rows, threads)
    tell(f"int8 gives the label of fp32 on {parity.same} of {parity.n} messages; "
         f"99 % of text logits differ by less than {parity.p99:.3f}")
    record.note({"event": "exported", "same_label": parity.same, "n": parity.n, "p99_logit": round(parity.p99, 4)})
    if parity.share < settings.export.parity:
        raise ExportError(
            f"int8 gives the label of fp32 on {parity.share:.2%} of messages, "
            f"expected at least {settings.export.parity:.2%} (export.parity)"
        )
    _write(bundle, settings, material, parity)
    bundle = replace(bundle, goldens=_goldens(Scorer(Bundle.open(folder)), material))
    _write(bundle, settings, material, parity)
    try:
        verify(Scorer(Bundle.open(folder)))
    except BundleError as error:
        raise ExportError(f"the finished bundle does not prove itself: {error}") from error
    return Trained(Bundle.open(folder), material, parity)  # as it lies there: with all its files


def _probes(material: Material) -> list[Example]:
    """Every few training messages, the written ones first: enough to see which channels reach far."""
    rows = sorted(material.train, key=lambda e: (e.archive != WRITTEN, e.key))
    return rows[:: max(1, len(rows) // PROBES)][:PROBES]


def _fusion(settings: TrainSettings, material: Material, site: Sequence[Example], tell: Tell) -> fusion.Fitted:
    """Fit fact weights where mail with real facts is at hand; written mail is no evidence about facts."""
    rows, weight = shared(of_today((*site, *material.train), settings.fusion.first_year), settings.fusion.shares)
    if min(sum(e.bad for e in rows), sum(not e.bad for e in rows)) < settings.data.smallest_class:
        tell("no mail whose facts can be trusted: all facts get equal weights")
        return fusion.equal(settings.fusion)
    return fusion.fit([e.facts for e in rows], [e.bad for e in rows], weight, settings.fusion, settings.data.seed)


def _calibrated(bundle: Bundle, settings: TrainSettings, material: Material, fitted: fusion.Fitted,
                reader: TextReader, head: TextHead, site: Sequence[Example]) -> Bundle:  # fmt: skip
    """Fit probabilities and thresholds on the int8 scores of the mail that was kept back.

    A site's mail is in it with its facts alone: its text may not shape the released model.
    """
    written = [e for e in material.calibration if e.archive == WRITTEN]
    pool = [*of_today(material.calibration, settings.fusion.first_year), *written, *site]
    rows, weight = shared(pool, settings.calibration.shares)
    if not rows:
        return bundle
    silent = {e.key for e in site}
    given = read(reader, [e for e in rows if e.key not in silent], head.bits, settings.finetune.threads)
    spoken = iter(given)
    texts = [None if e.key in silent else next(spoken) for e in rows]
    logits = np.stack([_text_logits(bundle, head, text, e) for text, e in zip(texts, rows, strict=True)])
    f = bundle.fusion
    data = CalibrationData(
        raw=fusion.raw_logits(fitted, [e.facts for e in rows], logits[:, 0], f.text_weight, f.text_cap),
        windows=np.array([text.windows if text else 0 for text in texts]),
        bad=np.array([e.bad for e in rows]),
        weight=np.array(weight),
        kind_logits=logits[:, 1:],
        kind=np.array([BAD.index(e.kind) if e.kind and text else -1 for e, text in zip(rows, texts, strict=True)]),
    )
    calibration = calibrate.platt(data, settings.calibration)
    # For thresholds a few dozen senders are too few: legitimate mail of training votes too, by its facts alone, since
    # its text was learnt by heart.
    more = [e for e in of_today(material.train, settings.fusion.first_year) if not e.bad]
    none = np.zeros(len(more))
    quiet = fusion.raw_logits(fitted, [e.facts for e in more], none, f.text_weight, f.text_cap)
    told = np.concatenate([calibrate.p_bad(data, calibration),
                           calibrate.p_of(quiet, none.astype(np.int64), calibration)])  # fmt: skip
    bad = np.concatenate([data.bad, none.astype(np.bool_)])
    voters = votes([*rows, *more], settings.calibration.written_votes)
    limits = calibrate.thresholds(told, bad, voters, settings.calibration)
    return replace(bundle, calibration=calibration, thresholds=limits)


def _text_logits(bundle: Bundle, head: TextHead, text: TextInput | None, example: Example) -> NDArray[np.float64]:
    """Logits of a message's text [4], the kinds with what its facts say of them; zeros where its text is silenced."""
    if text is None:
        return np.zeros(OUTPUTS)
    logits = head.logits(text).astype(np.float64)
    logits[1:] += kind_logits(bundle.fusion, example.facts)
    return logits


def compare(bundle: Bundle, head: TextHead, fp32: TextReader, int8: TextReader, rows: Sequence[Example],
            threads: int) -> Parity:  # fmt: skip
    """Compare labels and text logits of two encoders under one head on the same messages."""
    same, apart = 0, [0.0]
    both = (read(reader, rows, head.bits, threads) for reader in (fp32, int8))
    for example, one, other in zip(rows, *both, strict=True):
        a, b = head.logits(one), head.logits(other)
        apart.append(abs(float(a[0] - b[0])))
        labels = {fuse(bundle, logits, example.facts, one.windows).label for logits in (a, b)}
        same += len(labels) == 1
    return Parity(same, len(rows), max(apart), float(np.quantile(apart, 0.99)))


def _goldens(scorer: Scorer, material: Material) -> tuple[Golden, ...]:
    """Freeze scores of written messages: of each class and language one, so that no outside text is shipped."""
    chosen: dict[tuple[Label | None, str], Example] = {}
    for example in (*material.calibration, *material.train):
        if example.archive == WRITTEN:
            chosen.setdefault((example.kind, example.lang), example)
    out = []
    for example in list(chosen.values())[:GOLDENS]:
        values = {name: getattr(example.facts, name) for name in example.facts.__dataclass_fields__}
        out.append(golden_of(scorer, example.document, example.facts, values))
    return tuple(out)


def record_of(settings: TrainSettings, material: Material, parity: Parity) -> dict[str, Any]:
    """Return the manifest's `training` table: how the model came to be."""
    return {
        "settings": settings.model_dump(mode="json", exclude={"cache"}),
        "messages": {"train": len(material.train), "calibration": len(material.calibration)},
        "outside_collections": material.outside,
        "held_out_pairs": sorted({e.group for e in material.held}),
        "calibration_pairs": sorted({e.group for e in material.calibration if e.archive == WRITTEN}),
        "notes": list(material.notes),
        "parity": {"same": parity.same, "n": parity.n, "worst_logit": round(parity.worst, 4),
                   "p99_logit": round(parity.p99, 4)},
    }


def read_record(path: Path) -> dict[str, Any]:
    """Return the `training` table of a bundle's manifest. Raises BundleError if it has none."""
    data = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    record = data.get("training")
    if not isinstance(record, dict):
        raise BundleError(
            f"{path / MANIFEST}: training is missing, so nobody can tell what the model was trained on; "
            "it cannot be measured honestly"
        )
    return record


def settings_of(record: dict[str, Any], cache: Path | None) -> TrainSettings:
    """Return the settings that a bundle was trained with, without what this release no longer knows.

    Raises BundleError.
    """
    try:
        data = {**copy.deepcopy(record["settings"]), "cache": cache or DEFAULT_CACHE}
        try:
            return TrainSettings.model_validate(data)
        except ValidationError as error:
            for found in error.errors():
                if found["type"] == "extra_forbidden":
                    *above, name = found["loc"]
                    reduce(operator.getitem, above, data).pop(name)
            return TrainSettings.model_validate(data)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"training.settings of the manifest: {error}") from error


def _write(bundle: Bundle, settings: TrainSettings, material: Material, parity: Parity) -> None:
    write_manifest(bundle, {"training": record_of(settings, material, parity)})
