"""A model as a folder: `manifest.json`, the ONNX encoder, the head, the tokenizer, window weights and a model card.

Format 2 has the head (`model.head`) as a file of its own; format 1 has it inside the encoder's file and still serves.

The manifest names every file with its SHA-256, the normaliser version that the model was trained on, and golden
inputs with the scores that this very file gave. A folder that differs in any of it is refused before it serves.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from model.encode import Shape
from model.facts import Facts
from model.head import HEAD
from model.labels import BAD, LABELS, Label
from model.normalise import VERSION, Document

FORMATS = (1, 2)
DEFAULT = Path(__file__).parent / "bundles" / "default"
MANIFEST = "manifest.json"
ENCODER = "model.onnx"
TOKENIZER = "tokenizer.json"
WEIGHTS = "window_weights.npy"
CARD = "README.md"
EVEN = 0.5
_MAX_MANIFEST = 4 << 20


class BundleError(Exception):
    """A bundle cannot serve; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class FactWeight:
    """Logit contribution of a fact: `weight` × (value − `centre`), value 0 or 1; an unknown fact gives 0."""

    weight: float
    centre: float


@dataclass(frozen=True, slots=True)
class Fusion:
    """How text and facts meet, in logits of bad against ham before calibration.

    `kinds` has what a fact says of the kind of bad mail: logits of spam, phishing and fraud × (value − ½). `site_cap`
    is the most, in calibrated logits, that a site's own head may add or take: words carry within a site.
    """

    bias: float
    text_weight: float
    text_cap: float
    facts: Mapping[str, FactWeight]
    kinds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    site_cap: float = 0.0


def log_odds(p: float) -> float:
    """Natural logarithm of the odds of a share between 0 and 1."""
    return math.log(p / (1 - p))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling of the fused logit (Platt 1999), with a term for the number of windows (the maximum over more
    windows is larger by chance), and a temperature for the kinds of bad mail (Guo et al. 2017).

    The logit is a log likelihood ratio plus the log odds of `prior`, the share of bad mail that is assumed.
    """

    slope: float
    intercept: float
    per_log2_window: float
    kind_temperature: float
    prior: float = EVEN

    def at_prior(self, prior: float) -> Self:
        """Return the same likelihood ratios under another share of bad mail. Raises ValueError outside (0, 1)."""
        if not 0 < prior < 1:
            raise ValueError(f"a prior is a share between 0 and 1, not {prior}")
        moved = log_odds(prior) - log_odds(self.prior)
        return replace(self, intercept=self.intercept + moved, prior=prior)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Probabilities of bad mail at and above which policy acts unless the operator says otherwise."""

    quarantine: float
    hold: float | None = None

    @property
    def kept(self) -> float:
        """From here on mail is kept in one way or the other."""
        return self.quarantine if self.hold is None else min(self.quarantine, self.hold)


@dataclass(frozen=True, slots=True)
class Golden:
    """A frozen input with the logit of bad mail and the probabilities that the released file gave."""

    document: Document
    facts: Mapping[str, bool | None]
    logit: float
    probabilities: Mapping[Label, float]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified folder: every hash was right when it was opened."""

    path: Path
    version: str
    created: str
    base_model: str
    data_fingerprint: str
    shape: Shape
    fusion: Fusion
    calibration: Calibration
    thresholds: Thresholds
    goldens: tuple[Golden, ...]
    golden_tolerance: float
    files: Mapping[str, str]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read and check a folder. Raises BundleError naming the file that is missing, damaged or too new."""
        manifest = _read_manifest(path)
        files = _table(manifest, "files", path)
        for name in (ENCODER, TOKENIZER, WEIGHTS):
            if name not in files:
                raise BundleError(f"{path / MANIFEST}: files.{name} is missing: restore the bundle from its source")
        _check_files(path, files)
        try:
            return cls._from(manifest, path, files)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path / MANIFEST}: {type(error).__name__}: {error}: "
                              "restore the bundle from its source") from error

    @classmethod
    def _from(cls, data: dict[str, Any], path: Path, files: dict[str, str]) -> Self:
        if data["normaliser_version"] != VERSION:
            raise ValueError(f"normaliser_version is {data['normaliser_version']}, this Gatepost has {VERSION}; "
                             "use a bundle made for this release or train it again")
        if tuple(data["labels"]) != tuple(LABELS):
            raise ValueError(f"labels are {data['labels']}, expected {[str(label) for label in LABELS]}")
        weights = {str(k): FactWeight(float(v["weight"]), float(v["centre"]))
                   for k, v in data["fusion"]["facts"].items()}
        fusion = data["fusion"]
        kinds = {str(k): tuple(map(float, v)) for k, v in fusion.get("kinds", {}).items()}
        for key, table in (("facts", weights), ("kinds", kinds)):
            if unknown := sorted(set(table) - {f.name for f in fields(Facts)}):
                raise ValueError(f"fusion.{key} has {unknown[0]!r}, which this Gatepost does not know")
        if wrong := [name for name, row in kinds.items() if len(row) != len(BAD)]:
            raise ValueError(f"fusion.kinds.{wrong[0]} has {len(kinds[wrong[0]])} numbers, expected {len(BAD)}")
        return cls(
            path, str(data["version"]), str(data["created"]), str(data["base_model"]),
            str(data["data_fingerprint"]),
            Shape(**data["shape"]),
            Fusion(float(fusion["bias"]), float(fusion["text_weight"]), float(fusion["text_cap"]), weights, kinds,
                   float(fusion.get("site_cap", 0.0))),
            Calibration(**{k: float(v) for k, v in data["calibration"].items()}),
            Thresholds(**data["thresholds"]),
            tuple(map(_golden, data["goldens"])), float(data["golden_tolerance"]), files,
        )


def _golden(data: dict[str, Any]) -> Golden:
    document = data["document"]
    return Golden(
        Document(document["subject"], tuple(document["fact_tokens"]), document["body"], tuple(document["hosts"])),
        {str(k): None if v is None else bool(v) for k, v in data["facts"].items()},
        float(data["logit"]),
        {Label(k): float(v) for k, v in data["probabilities"].items()},
    )


def golden_json(golden: Golden) -> dict[str, Any]:
    """Return a golden as the manifest keeps it."""
    document = golden.document
    return {
        "document": {"subject": document.subject, "fact_tokens": list(document.fact_tokens), "body": document.body,
                     "hosts": list(document.hosts)},
        "facts": dict(golden.facts),
        "logit": golden.logit,
        "probabilities": {str(k): v for k, v in golden.probabilities.items()},
    }


def manifest_json(bundle: Bundle, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the manifest of a bundle; `extra` holds further records (training settings, figures)."""
    fusion, calibration, shape = bundle.fusion, bundle.calibration, bundle.shape
    return {
        "format": FORMATS[-1] if HEAD in bundle.files else FORMATS[0],
        "version": bundle.version,
        "created": bundle.created,
        "base_model": bundle.base_model,
        "data_fingerprint": bundle.data_fingerprint,
        "normaliser_version": VERSION,
        "labels": [str(label) for label in LABELS],
        "shape": {name: getattr(shape, name) for name in shape.__dataclass_fields__},
        "fusion": {"bias": fusion.bias, "text_weight": fusion.text_weight, "text_cap": fusion.text_cap,
                   "facts": {k: {"weight": v.weight, "centre": v.centre} for k, v in fusion.facts.items()},
                   **({"kinds": {k: list(v) for k, v in fusion.kinds.items()}} if fusion.kinds else {}),
                   **({"site_cap": fusion.site_cap} if fusion.site_cap else {})},
        # a prior of one half goes without saying, as in the manifests of before it could be moved
        "calibration": {name: getattr(calibration, name) for name in calibration.__dataclass_fields__
                        if name != "prior" or calibration.prior != EVEN},
        "thresholds": {"quarantine": bundle.thresholds.quarantine, "hold": bundle.thresholds.hold},
        "golden_tolerance": bundle.golden_tolerance,
        "goldens": [golden_json(golden) for golden in bundle.goldens],
        "files": dict(bundle.files),
        **(extra or {}),
    }


def write_manifest(bundle: Bundle, extra: Mapping[str, Any] | None = None) -> None:
    """Write `manifest.json` into the bundle's folder, over the hashes of the files that lie there now."""
    files = {name: digest(bundle.path / name) for name in _contents(bundle.path)}
    data = manifest_json(replace(bundle, files=files), extra)
    text = json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
    (bundle.path / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _contents(path: Path) -> Iterator[str]:
    return (p.name for p in sorted(path.iterdir()) if p.is_file() and p.name != MANIFEST)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        if file.stat().st_size > _MAX_MANIFEST:
            raise BundleError(f"{file}: larger than {_MAX_MANIFEST} bytes: restore the bundle from its source")
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise BundleError(f"{file}: no such file: give the folder of a model bundle") from None
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise BundleError(f"{file}: not valid JSON ({error}): restore the bundle from its source") from error
    if not isinstance(data, dict) or data.get("format") not in FORMATS:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise BundleError(f"{file}: format is {found!r}, expected {' or '.join(map(str, FORMATS))}: "
                          "use a bundle made for this release")
    return data


def _table(data: dict[str, Any], key: str, path: Path) -> dict[str, str]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise BundleError(f"{path / MANIFEST}: {key} is missing: restore the bundle from its source")
    return {str(k): str(v) for k, v in value.items()}


def _check_files(path: Path, files: dict[str, str]) -> None:
    for name, expected in files.items():
        if "/" in name or name in {"", ".", "..", MANIFEST}:
            raise BundleError(f"{path / MANIFEST}: files.{name!r} is not a plain file name")
        try:
            found = digest(path / name)
        except OSError as error:
            raise BundleError(f"{path / name}: {error.strerror}: restore the bundle from its source") from error
        if found != expected:
            raise BundleError(f"{path / name}: SHA-256 is {found[:12]}…, the manifest says {expected[:12]}…: "
                              "the file is damaged or was changed; restore the bundle from its source")
