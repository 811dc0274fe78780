"""The model card: what the bundle is, what it was made of, what was measured, and what is weak."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.bundle import Bundle
from model.head import HEAD
from model.labels import LABELS
from training.evaluation.methods import GATEPOST
from training.evaluation.report import Report, SetReport
from training.evaluation.report_rows import (
    ATTACKS,
    LEAST,
    LEGITIMATE,
    attack_rows,
    counted,
    legitimate_rows,
    number,
    percent,
    points,
)
from training.evaluation.sets import HOUSEHOLD


def _weighed(bundle: Bundle) -> str:
    if HEAD in bundle.files:
        return "the mean of what the encoder says of them, and all their words, are weighed"
    return "the most suspicious one speaks"


def card(bundle: Bundle, record: Mapping[str, Any], report: Report) -> str:
    """Return the card as Markdown. `record`: the manifest's `training` table."""
    parts = [
        _head(bundle, record),
        _headline(report),
        _legitimate(report),
        _sets(report),
        _thresholds(report),
        _classes(report),
        _calibration(report),
        _parts(report),
        _robustness(report),
        _against(report),
        _data_checks(report),
        _limits(bundle, record, report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def rows(heading: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heading, ["---"] * len(heading), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


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
- Windows: {bundle.shape.max_tokens} tokens, at most {bundle.shape.windows}; {_weighed(bundle)}.
- Fusion: text weight {f.text_weight}, at most ± {f.text_cap} logits; {len(f.facts)} facts with fixed signs, weights
  shrunk towards one another; bias {f.bias}.
- Calibration on int8 scores: slope {c.slope}, intercept {c.intercept}, per doubling of windows {c.per_log2_window},
  temperature of the kinds {c.kind_temperature}. Probabilities assume that {c.prior:.0%} of the mail is bad.
- Thresholds: quarantine at {bundle.thresholds.quarantine}, hold at {bundle.thresholds.hold}; set on calibration mail.
- int8 against fp32: same label on {parity["same"]:,} of {parity["n"]:,} messages; text logits differ by
  {parity["worst_logit"]} at most.
- Data fingerprint `{bundle.data_fingerprint[:16]}`; all settings are in `manifest.json`."""


def _headline(report: Report) -> str:
    found = next((s for s in report.sets if s.name == HOUSEHOLD), None)
    how = (
        "Every figure is of the int8 file, through the serving code, on mail that it was not trained on. Intervals "
        "are 95 %, by bootstrap over senders. `kept` is held or quarantined.\n"
        f"On the machine that measured, {report.speed}."
    )
    if found is None:
        return f"## Headline\n\nNo mailbox of real mail was measured; the figures below are on other mail.\n{how}"
    own, sure = found.methods[GATEPOST], found.legitimate
    return f"""## Headline: another household's mailbox, nothing of it trained on

{found.good} legitimate ({found.good_senders} senders) and {found.bad} bad real messages of 2023-26. It served to
choose among models, so it flatters: AUC {number(own.auc)}; caught at 2 % kept {percent(own.caught_at_budget)}; at the
shipped thresholds caught {percent(own.caught)}, legitimate mail held {percent(sure.held)} and quarantined
{percent(sure.quarantined)}; per sender, that proves {sure.certificate}.

{how}"""


def _legitimate(report: Report) -> str:
    if not report.legitimate:
        return ""
    table = rows(LEGITIMATE, legitimate_rows(report.legitimate))
    return f"## Legitimate mail at the shipped thresholds, each kind apart\n\n{table}"


def _sets(report: Report) -> str:
    body = [
        [
            f"{found.name} ({found.good} + {found.bad})" if name == GATEPOST else "",
            name,
            number(m.auc),
            percent(m.caught_at_budget),
            percent(m.caught),
            percent(m.false_positives),
        ]
        for found in report.sets
        for name, m in found.methods.items()
    ]
    heading = ["set (legitimate + bad)", "method", "AUC", "caught at 2 % kept", "caught", "legitimate kept"]
    samples = sorted({f"{s.name}: {s.taken}" for s in report.sets})
    return (
        "## Per set, beside baselines trained on the same messages\n\n"
        "Caught and kept are at each method's own threshold, set on calibration mail at one budget.\n\n"
        + rows(heading, body)
        + "\n\nSamples: "
        + "; ".join(samples)
        + "."
    )


def _both(report: Report) -> list[SetReport]:
    return [s for s in report.sets if s.good and s.bad]


def _thresholds(report: Report) -> str:
    found = _both(report)
    if not found:
        return ""
    names = [s.name for s in found]
    steps = [[f"{at.threshold:g}"] for at in found[0].steps]
    for line, number_of in zip(steps, range(len(steps)), strict=True):
        line += [f"{percent(s.steps[number_of].caught)} / {percent(s.steps[number_of].kept_ham)}" for s in found]
    recall = [
        [s.name, ", ".join(f"{percent(f)} at {rate:.2%}" for rate, f in s.recall_at.items()) or "n supports none"]
        for s in found
    ]
    band = [
        [
            s.name,
            percent(s.band.automatic),
            percent(s.band.wrong),
            percent(s.band.missed),
            percent(s.band.kept_ham),
            percent(s.band.to_person),
            percent(s.band.ham_in_band),
        ]
        for s in found
    ]
    return "\n\n".join(
        [
            "## Thresholds\n\nCaught / legitimate mail kept at each:",
            rows(["threshold", *names], steps),
            "Caught at the false-positive rates that the number of legitimate senders supports:",
            rows(["set", "caught at rate"], recall),
            "With the review band, from hold to quarantine, a person decides:",
            rows(
                ["set", "decided alone", "wrong of these", "bad delivered", "legitimate quarantined", "to a person",
                 "legitimate of the band"],
                band,
            ),
        ]
    )  # fmt: skip


def _classes(report: Report) -> str:
    body = []
    for found in report.sets:
        if found.name.endswith(")") or len(found.classes) < 2:
            continue
        body += [
            [found.name, name, counted(c.precision), counted(c.recall), counted(c.f1, share=False)]
            for name, c in found.classes.items()
        ]
        body.append([found.name, "all", "", "", f"macro {number(found.macro_f1)}"])
        body.append([found.name, "confusion", _confusion(found), "", ""])
    if not body:
        return ""
    return (
        "## Per class\n\nOver messages whose kind somebody read or wrote; rule-labelled fraud counts as read.\n\n"
        + rows(["set", "class", "precision", "recall", "F1"], body)
    )


def _confusion(found: SetReport) -> str:
    names = [str(label) for label in LABELS]
    told = [
        f"{name} → " + ", ".join(f"{n} {other}" for n, other in zip(row, names, strict=True) if n)
        for name, row in zip(names, found.confusion, strict=True)
        if any(row)
    ]
    return "; ".join(told)


def _calibration(report: Report) -> str:
    found = _both(report)
    if not found:
        return ""
    prior = found[0].reliability.prior
    body = [[s.name, f"{s.reliability.error:.3f}", str(len(s.reliability.bins))] for s in found]
    return (
        f"## Calibration\n\nExpected calibration error over bins of equal weight, where {prior:.0%} of the mail is "
        "bad.\n\n" + rows(["set", "error", "bins"], body)
    )


def _parts(report: Report) -> str:
    body = [
        [found.name, by, name, counted(part.caught), counted(part.false_positives)]
        for found in report.sets
        if not found.name.endswith(")")
        for by, parts in found.parts.items()
        if len(parts) > 1
        for name, part in parts.items()
        if max(part.caught.n, part.false_positives.n) >= LEAST
    ]
    pieces = [[lang, f"{u:.3%}", f"{p:.2f}", str(n)] for lang, (u, p, n) in report.pieces.items()]
    blocks = ["## Languages, years, lengths, senders"]
    if body:
        blocks.append(rows(["set", "by", "part", "caught", "legitimate kept"], body))
    if pieces:
        blocks.append(
            "The base encoder is English; its vocabulary cuts other languages into small pieces.\n\n"
            + rows(["language", "unknown pieces", "pieces a word", "n"], pieces)
        )
    return "\n\n".join(blocks) if len(blocks) > 1 else ""


def _robustness(report: Report) -> str:
    if not report.robustness:
        return ""
    table = rows(ATTACKS, attack_rows(report.robustness))
    return f"## Under attack\n\nBad mail changed by each transform, read again and scored.\n\n{table}"


def _against(report: Report) -> str:
    if not report.against:
        return ""
    body = []
    for s in report.sets:
        if s.against is None:
            continue
        caught, kept = s.against.caught, s.against.false_positives
        body.append(
            [
                s.name,
                f"{points(caught.difference)} n={caught.difference.n}",
                f"{caught.gained} / {caught.lost}, p {caught.p_messages:.3f}",
                f"{points(kept.difference)} n={kept.difference.n}",
                f"{kept.gained} / {kept.lost}, p {kept.p_messages:.3f}",
            ]
        )
    heading = ["set", "caught, change", "gained / lost, McNemar", "legitimate kept, change", "gained / lost, McNemar"]
    return f"## Against model {report.against}, on the same messages\n\n" + rows(heading, body)


def _data_checks(report: Report) -> str:
    lines = ["## What the data give away", ""]
    lines += [f"- {note}" for note in report.notes]
    lines += [
        f"- Which collection is a {name} message from? A linear model tells by its text in {a:.0%} (balanced, "
        f"n={n}); guessing gives {g:.0%}."
        for name, (a, g, n) in report.identity.items()
    ]
    return "\n".join(lines) if len(lines) > 2 else ""


def _limits(bundle: Bundle, record: Mapping[str, Any], report: Report) -> str:
    lines = [
        "## Weak, and known to be",
        "",
        (
            "- Modern legitimate mail is rare in what it was trained on, and modern bad mail is written, not "
            "collected: the text side is capped for that reason."
        ),
        "- Thresholds travel badly. Watch in `observe` first, and set your own from your own mail.",
        "- Kinds of bad mail are learnt from few messages; trust ham against bad more than the kind.",
        (
            "- Facts need a trusted `Authentication-Results` header; without one, identity is unknown, and the model "
            "leans on links and text."
        ),
        "- Written mail is told apart well since its authors knew the answer: its figures are a floor, not a boast.",
    ]
    if not record["outside_collections"]:
        lines.append("- Trained without outside collections: use it to try the gateway, not to keep mail.")
    lines += _beaten(report)
    heavy = sorted(bundle.fusion.facts.items(), key=lambda kv: -abs(kv[1].weight))
    weights = ", ".join(f"{name} {term.weight:+.2f}" for name, term in heavy)
    return "\n".join([*lines, "", "## Weights of the facts (logits)", "", weights])


def _beaten(report: Report) -> list[str]:
    """Say where a baseline ranks a set better, and where legitimate mail is kept beyond the promise."""
    lines = []
    for s in _both(report):
        own = s.methods[GATEPOST].auc
        better = [n for n, m in s.methods.items() if n != GATEPOST and m.auc.value > own.value]
        if better:
            lines.append(f"- On {s.name}, {' and '.join(better)} rank better than this model.")
    over = [one for one in report.legitimate if one.kept.known and one.kept.value > 0.02]
    if over:
        told = ", ".join(f"{one.name} {one.kept.value:.1%}" for one in over)
        lines.append(f"- More than 2 % of this legitimate mail is kept: {told}.")
    return lines
