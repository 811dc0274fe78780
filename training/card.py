"""The model card: what the bundle is, what it was made of, what was measured, and what is weak."""

from collections.abc import Mapping
from typing import Any

from model.bundle import Bundle
from model.labels import LABELS
from training.evaluate import HOUSEHOLD, MADE_UP, Report, SetReport
from training.metrics import Figure, no_error_bound

_METHODS = ("gatepost", "facts alone", "TF-IDF + LR")


def card(bundle: Bundle, record: Mapping[str, Any], report: Report) -> str:
    """Return the card as Markdown. `record`: the manifest's `training` table."""
    parts = [
        _head(bundle, record),
        _headline(report),
        _sets(report),
        _classes(report),
        _languages(report),
        _data_checks(report),
        _limits(bundle, record, report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(bundle: Bundle, record: Mapping[str, Any]) -> str:
    fine, counts, parity = record["settings"]["finetune"], record["messages"], record["parity"]
    origin = (
        "the `train` split of outside collections (ham against bad) and the written set of this project"
        if record["outside_collections"]
        else "the written set of this project alone: no real mail taught it anything, and all facts weigh the same"
    )
    c, f = bundle.calibration, bundle.fusion
    return f"""# Gatepost model {bundle.version}

An int8 ONNX encoder ({bundle.base_model}, method `{fine["method"]}`) joined with facts on sender and links by a
constrained logistic fusion. It gives calibrated probabilities for {", ".join(f"`{label}`" for label in LABELS)}.

- Trained on {counts["train"]:,} messages, calibrated on {counts["calibration"]:,} others: {origin}.
- Windows: {bundle.shape.max_tokens} tokens, at most {bundle.shape.windows}; the most suspicious one speaks.
- Fusion: text weight {f.text_weight}, at most ± {f.text_cap} logits; {len(f.facts)} facts with fixed signs, weights
  shrunk towards one another; bias {f.bias}.
- Calibration on int8 scores: slope {c.slope}, intercept {c.intercept}, per doubling of windows {c.per_log2_window},
  temperature of the kinds {c.kind_temperature}. Probabilities assume that half of the mail is bad.
- Thresholds: quarantine at {bundle.thresholds.quarantine}, hold at {bundle.thresholds.hold}; set on calibration mail.
- int8 against fp32: same label on {parity["same"]:,} of {parity["n"]:,} messages; text logits differ by
  {parity["worst_logit"]} at most.
- Data fingerprint `{bundle.data_fingerprint[:16]}`; all settings are in `manifest.json`."""


def _headline(report: Report) -> str:
    found = next((s for s in report.sets if s.name == HOUSEHOLD), None)
    if found is None:
        return "## Headline\n\nNo mailbox of real mail was measured; the figures below are on mail that was written."
    own = found.methods["gatepost"]
    return f"""## Headline: another household's mailbox, nothing of it trained on

{found.good} legitimate and {found.bad} bad real messages of 2023-26. It served to choose among models, so it
flatters: AUC {own.auc}; caught at 2 % kept {own.caught_at_budget}; at the shipped threshold caught {own.caught},
legitimate mail kept back {own.false_positives}."""


def _sets(report: Report) -> str:
    lines = [
        "## Per set, beside two baselines",
        "",
        (
            "Caught and false positives are at the shipped threshold (TF-IDF: at .5). Intervals are 95 % "
            "(Wilson; AUC and caught at 2 %: bootstrap by group)."
        ),
        "",
        "| set | method | AUC | caught at 2 % kept | caught | false positives |",
        "|---|---|---|---|---|---|",
    ]
    for found in report.sets:
        for method in _METHODS:
            m = found.methods[method]
            lines.append(
                f"| {found.name if method == _METHODS[0] else ''} | {method} | {_short(m.auc)} | "
                f"{_short(m.caught_at_budget)} | {_short(m.caught)} | {_short(m.false_positives)} |"
            )
    return "\n".join(lines)


def _classes(report: Report) -> str:
    lines = [
        "## Per class",
        "",
        "Over messages whose kind somebody read or wrote; rule-labelled fraud counts as read.",
        "",
        "| set | class | precision | recall | F1 |",
        "|---|---|---|---|---|",
    ]
    for found in report.sets:
        if found.name.endswith(MADE_UP) or len(found.classes) < 2:
            continue
        lines += [
            f"| {found.name} | {name} | {_short(c.precision)} | {_short(c.recall)} | {_short(c.f1)} |"
            for name, c in found.classes.items()
        ]
        lines.append(f"| {found.name} | confusion | {_confusion(found)} | | |")
    return "\n".join(lines)


def _confusion(found: SetReport) -> str:
    names = [str(label) for label in LABELS]
    rows = [
        f"{name} → " + ", ".join(f"{n} {other}" for n, other in zip(row, names, strict=True) if n)
        for name, row in zip(names, found.confusion, strict=True)
        if any(row)
    ]
    return "; ".join(rows)


def _languages(report: Report) -> str:
    lines = [
        "## Languages and lengths",
        "",
        "The base encoder is English; its vocabulary cuts other languages into small pieces.",
        "",
        "| language | unknown pieces | pieces a word | n |",
        "|---|---|---|---|",
    ]
    lines += [f"| {lang} | {u:.3%} | {p:.2f} | {n} |" for lang, (u, p, n) in report.unknown_pieces.items()]
    lines += ["", "| set | language | caught | false positives |", "|---|---|---|---|"]
    for found in report.sets:
        if found.name.endswith(MADE_UP):
            continue
        lines += [
            f"| {found.name} | {lang} | {_short(c)} | {_short(f)} |"
            for lang, (c, f) in found.by_language.items()
            if max(c.n, f.n) >= 10
        ]
    lines += ["", "| set | length | false positives |", "|---|---|---|"]
    for found in report.sets:
        lines += [f"| {found.name} | {name} | {_short(f)} |" for name, f in found.by_windows.items() if f.n]
    return "\n".join(lines)


def _data_checks(report: Report) -> str:
    lines = ["## What the data give away", ""]
    lines += [f"- {note}" for note in report.notes]
    lines += [
        f"- Which collection is a {name} message from? A linear model tells by its text in {a:.0%} (balanced, "
        f"n={n}); guessing gives {g:.0%}."
        for name, (a, g, n) in report.identity.items()
    ]
    return "\n".join(lines)


def _limits(bundle: Bundle, record: Mapping[str, Any], report: Report) -> str:
    good = sum(s.good for s in report.sets if s.name == HOUSEHOLD)
    lines = [
        "## Weak, and known to be",
        "",
        (
            "- Modern legitimate mail is rare in what it was trained on, and modern bad mail is written, not "
            "collected: the text side is capped for that reason."
        ),
        "- Thresholds travel badly. Watch in `observe` first, and set your own from your own mail.",
        f"- No error in {good or 1} legitimate messages would still allow {no_error_bound(good or 1):.1%}.",
        "- Kinds of bad mail are learnt from few messages; trust ham against bad more than the kind.",
        (
            "- Facts need a trusted `Authentication-Results` header; without one, identity is unknown, and the model "
            "leans on links and text."
        ),
    ]
    if not record["outside_collections"]:
        lines.append("- Trained without outside collections: use it to try the gateway, not to keep mail.")
    heavy = sorted(bundle.fusion.facts.items(), key=lambda kv: -abs(kv[1].weight))
    lines += [
        "",
        "## Weights of the facts (logits)",
        "",
        ", ".join(f"{name} {term.weight:+.2f}" for name, term in heavy),
    ]
    return "\n".join(lines)


def _short(figure: Figure) -> str:
    if figure.n == 0 or figure.value != figure.value:
        return "–"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] n={figure.n}"
