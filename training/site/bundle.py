"""A bundle made from another one by a site's verdicts: other weights, the same encoder, a head of its own beside."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from model.bundle import CARD, MANIFEST, Bundle, BundleError, Calibration, FactWeight, Thresholds, write_manifest
from model.facts import Facts
from model.head import HEAD, SITE_HEAD, TextHead
from model.score import Scorer, verify
from training.evaluation.trained import TrainedOn
from training.head import golden_of
from training.site.learn import Learnt
from training.site.settings import SiteSettings

_SUREST = 0.9999


def check_base(bundle: Bundle) -> None:
    """Raise BundleError for a bundle that verdicts cannot move."""
    if SITE_HEAD in bundle.files:
        raise BundleError(f"{bundle.path}: was made from verdicts itself; start from the model that it was made from")
    if HEAD not in bundle.files:
        raise BundleError(f"{bundle.path}: its head is inside the encoder's file; train the model again")


def moved_bundle(
    base: Bundle, names: tuple[str, ...], learnt: Learnt, settings: SiteSettings, *,
    version: str, fingerprint: str, now: datetime, path: Path,
) -> tuple[Bundle, TextHead]:  # fmt: skip
    """Return the new bundle's values and the site's head; nothing is written."""
    moved, calibration, fusion, told = learnt.moved, base.calibration, base.fusion, learnt.told
    slope = moved.scale * calibration.slope
    by_fact, by_vector, by_word = moved.weights
    facts = dict(fusion.facts)
    for name, step in zip(names, by_fact, strict=True):
        term = facts[name]
        weight = term.weight + float(step) / slope
        facts[name] = FactWeight(round(weight if weight * term.weight > 0 else 0.0, 4), term.centre)
    table = np.zeros((len(by_word), 4))
    table[:, 0] = told.scale * by_word
    weights = np.zeros((4, len(by_vector)))
    weights[0], weights[1:] = told.scale * by_vector, learnt.kinds.weights
    bias = np.concatenate(([0.0], learnt.kinds.bias))
    hold, quarantine = (min(_SUREST, p_told(m.logit, learnt, calibration)) for m in (learnt.hold, learnt.quarantine))
    quarantine = max(hold, quarantine)
    return replace(
        base,
        path=path,
        version=version,
        created=now.isoformat(timespec="seconds"),
        data_fingerprint=fingerprint,
        fusion=replace(fusion, facts=facts, site_cap=round(told.scale * settings.cap, 5)),
        calibration=_rounded(told.of(replace(
            calibration,
            slope=slope,
            intercept=moved.scale * calibration.intercept + moved.intercept,
            per_log2_window=moved.scale * calibration.per_log2_window,
        ))),
        thresholds=Thresholds(round(quarantine, 4), round(hold, 4)),
    ), TextHead.of(weights, bias, table)


def p_told(logit: float, learnt: Learnt, before: Calibration) -> float:
    """Return the probability that is told for a logit of the fit."""
    return 1 / (1 + float(np.exp(-learnt.told.logits(np.array(logit), before.prior))))


def _rounded(found: Calibration) -> Calibration:
    return replace(found, slope=round(found.slope, 5), intercept=round(found.intercept, 5),
                   per_log2_window=round(found.per_log2_window, 5), prior=round(found.prior, 5))  # fmt: skip


def write(
    base: Bundle, made: Bundle, head: TextHead, card: str, record: Mapping[str, Any], texts: list[str]
) -> Bundle:
    """Write a bundle into its folder, which must not exist, and prove it. `texts`: what it was trained on anew.

    Raises BundleError, OSError; nothing is left then.
    """
    out = made.path
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        for name in base.files:
            shutil.copyfile(base.path / name, work / name)
        head.save(work / SITE_HEAD)
        (work / CARD).write_text(card, encoding="utf-8")
        before = TrainedOn.open(base.path)
        rows = TrainedOn.of(texts).rows
        TrainedOn(rows if before is None else np.concatenate((before.rows, rows))).write(work)
        whole = {"training": dict(record)}
        write_manifest(replace(made, path=work), whole)
        scorer = Scorer(Bundle.open(work))
        goldens = tuple(golden_of(scorer, g.document, Facts(**g.facts), g.facts) for g in base.goldens)
        write_manifest(replace(made, path=work, goldens=goldens), whole)
        verify(Scorer(Bundle.open(work)))
        work.rename(out)
        return Bundle.open(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def training_record(base: Bundle) -> dict[str, Any]:
    """Return the `training` table of a bundle's manifest; empty if it has none."""
    data = json.loads((base.path / MANIFEST).read_text(encoding="utf-8"))
    record = data.get("training")
    return dict(record) if isinstance(record, dict) else {}
