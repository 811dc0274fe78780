"""From labelled mail to a bundle: gather, fine-tune, export, fuse, calibrate, prove, write.

Everything is written into a temporary folder beside the target, and only a bundle that was proved gets its name.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from model.labels import BAD, Label
from model.normalise import VERSION
from model.score import Scorer, fuse, verify
from training import calibrate, fusion
from training.calibrate import CalibrationData
from training.evaluation.trained import TrainedOn
from training.examples import WRITTEN, Example, data_fingerprint, set_apart
from training.export import ExportError, run, session, write_files
from training.gather import Material, Tell, gather
from training.pools import of_today, shared, votes
from training.settings import DEFAULT_CACHE, TrainSettings
from training.texts import cut, fit_window_weights, labelled, shape

GOLDENS = 12
"""Golden inputs in a manifest: one of each class and language that the written set has, up to this many."""
PARITY_SAMPLE = 1_000
"""Messages of dev on which a run compares int8 and fp32 (they lie in a drawn order); the bench compares all."""
PROBES = 96
"""Messages on which activations are looked at before they are quantised."""

Windows = Sequence[tuple[NDArray[np.int64], ...]]


@dataclass(frozen=True, slots=True)
class Parity:
    """On how many messages int8 gave the label of fp32, and the greatest difference of the text's logit."""

    same: int
    n: int
    worst: float

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
    from training.finetune import train as fine_tune  # torch is loaded only where something is trained

    tell(f"training on {len(material.train)} messages, calibrating on {len(material.calibration)}")
    weights = fit_window_weights(material.train, settings.finetune)
    tuned = fine_tune(labelled(material.train, weights, settings.finetune), settings.finetune, tell)
    tell("exporting")
    probes = [ids[0] for ids in cut(_probes(material), weights, settings.finetune)]
    fp32 = write_files(tuned, weights, folder, settings.finetune.base, settings.export, probes)
    TrainedOn.of(e.document.text for e in (*material.train, *material.calibration)).write(folder)
    site_fit, site_apart = set_apart(material.site, settings.data.calibration_share, settings.data.seed)
    fitted = _fusion(settings, material, site_fit, tell)
    mark = data_fingerprint([*material.train, *material.calibration])
    bundle = Bundle(
        path=folder,
        version=f"{now:%Y%m%d}-{mark[:8]}-n{VERSION}",
        created=now.isoformat(timespec="seconds"),
        base_model=settings.finetune.base or "sentence-transformers/all-MiniLM-L6-v2",
        data_fingerprint=mark,
        shape=shape(settings.finetune),
        fusion=Fusion(fitted.bias, settings.fusion.text_weight, settings.fusion.text_cap, fitted.facts),
        calibration=Calibration(1.0, 0.0, 0.0, 1.0),
        thresholds=Thresholds(0.99, 0.9),
        goldens=(),
        golden_tolerance=settings.export.golden_tolerance,
        files={},
    )
    bundle = _calibrated(bundle, settings, material, fitted, weights, site_apart)
    parity = _parity(bundle, fp32, material, weights, settings)
    tell(f"int8 gives the label of fp32 on {parity.same} of {parity.n} messages")
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
    return Trained(bundle, material, parity)


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
                weights: NDArray[np.float16], site: Sequence[Example]) -> Bundle:  # fmt: skip
    """Fit probabilities and thresholds on the int8 scores of the mail that was kept back.

    A site's mail is in it with its facts alone: its text may not shape the released model.
    """
    written = [e for e in material.calibration if e.archive == WRITTEN]
    pool = [*of_today(material.calibration, settings.fusion.first_year), *written, *site]
    rows, weight = shared(pool, settings.calibration.shares)
    if not rows:
        return bundle
    opened = session(bundle.path / ENCODER)
    silent = {e.key for e in site}
    windows = [() if e.key in silent else ids
               for e, ids in zip(rows, cut(rows, weights, settings.finetune), strict=True)]  # fmt: skip
    logits = np.stack([run(opened, ids) if ids else np.zeros(1 + len(BAD)) for ids in windows]).astype(np.float64)
    f = bundle.fusion
    data = CalibrationData(
        raw=fusion.raw_logits(fitted, [e.facts for e in rows], logits[:, 0], f.text_weight, f.text_cap),
        windows=np.array([len(ids) for ids in windows]),
        bad=np.array([e.bad for e in rows]),
        weight=np.array(weight),
        kind_logits=logits[:, 1:],
        kind=np.array([BAD.index(e.kind) if e.kind and ids else -1 for e, ids in zip(rows, windows, strict=True)]),
    )
    calibration = calibrate.platt(data, settings.calibration)
    told = calibrate.p_bad(data, calibration)
    return replace(bundle, calibration=calibration,
                   thresholds=calibrate.thresholds(told, data.bad, votes(rows), settings.calibration))  # fmt: skip


def _parity(
    bundle: Bundle, fp32: Path, material: Material, weights: NDArray[np.float16], settings: TrainSettings
) -> Parity:
    rows = (material.dev or [*material.calibration, *material.train])[:PARITY_SAMPLE]
    return compare(bundle, session(fp32), session(bundle.path / ENCODER), rows, cut(rows, weights, settings.finetune))


def compare(bundle: Bundle, fp32: object, int8: object, rows: Sequence[Example], windows: Windows) -> Parity:
    """Compare labels and text logits of two opened files on the same messages."""
    same, worst = 0, 0.0
    for example, ids in zip(rows, windows, strict=True):
        one, other = run(fp32, ids), run(int8, ids)
        worst = max(worst, abs(float(one[0] - other[0])))
        count = len(ids)
        same += fuse(bundle, one, example.facts, count).label == fuse(bundle, other, example.facts, count).label
    return Parity(same, len(rows), worst)


def _goldens(scorer: Scorer, material: Material) -> tuple[Golden, ...]:
    """Freeze scores of written messages: of each class and language one, so that no outside text is shipped."""
    chosen: dict[tuple[Label | None, str], Example] = {}
    for example in (*material.calibration, *material.train):
        if example.archive == WRITTEN:
            chosen.setdefault((example.kind, example.lang), example)
    out = []
    for example in list(chosen.values())[:GOLDENS]:
        score = scorer.score(example.document, example.facts)
        p = min(max(score.p_bad, 1e-15), 1 - 1e-15)
        values = {name: getattr(example.facts, name) for name in example.facts.__dataclass_fields__}
        out.append(
            Golden(
                example.document,
                values,
                round(float(np.log(p / (1 - p))), 5),
                {k: round(v, 6) for k, v in score.probabilities.items()},
            )
        )
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
        "parity": {"same": parity.same, "n": parity.n, "worst_logit": round(parity.worst, 4)},
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
    """Return the settings that a bundle was trained with. Raises BundleError."""
    try:
        return TrainSettings.model_validate({**record["settings"], "cache": cache or DEFAULT_CACHE})
    except (KeyError, ValueError) as error:
        raise BundleError(f"training.settings of the manifest: {error}") from error


def _write(bundle: Bundle, settings: TrainSettings, material: Material, parity: Parity) -> None:
    write_manifest(bundle, {"training": record_of(settings, material, parity)})
