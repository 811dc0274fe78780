"""The report as one HTML file: tables and drawings, nothing fetched from anywhere, no script."""

from collections.abc import Sequence
from html import escape

from model.labels import LABELS
from training.evaluation import plots
from training.evaluation.methods import GATEPOST
from training.evaluation.report import Legitimate, Report, SetReport
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

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c1c1c}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums;font-size:13px}
th,td{border:1px solid #ddd;padding:.25rem .55rem;text-align:left;vertical-align:top}
th{background:#f4f4f1}figure{display:inline-block;margin:.5rem 1rem .5rem 0}
figcaption{font-size:12px;color:#555;max-width:28rem}
.wide{overflow-x:auto}small{color:#555}
"""


def render(report: Report) -> str:
    """Return the page."""
    against = f" Compared with {escape(report.against)}." if report.against else ""
    parts = [
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Gatepost model {escape(report.model)}</title><style>{_STYLE}</style>",
        f"<h1>Gatepost model {escape(report.model)}</h1>",
        f"<p>Hold from {report.hold}, quarantine from {report.quarantine}.{against}</p>",
        f"<p>On the machine that measured, {report.speed}.</p>",
        "<p>Intervals are 95 %, by bootstrap over senders; kept is held or quarantined.</p>",
        _legitimate(report.legitimate),
        *(_set(s) for s in report.sets),
        _robustness(report),
        _notes(report),
    ]
    return "\n".join(p for p in parts if p) + "\n"


def _table(heading: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}" for cell in heading)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in body)
    return f"<div class=wide><table><tr>{head}{rows}</table></div>"


def _legitimate(found: Sequence[Legitimate]) -> str:
    if not found:
        return ""
    return "<h2>Legitimate mail, each kind apart</h2>" + _table(LEGITIMATE, legitimate_rows(found))


def _set(found: SetReport) -> str:
    methods = [
        [name, number(m.auc), percent(m.caught_at_budget), percent(m.caught), percent(m.false_positives)]
        for name, m in found.methods.items()
    ]
    parts = [
        f"<h2>{escape(found.name)}</h2>",
        f"<p>{found.good} legitimate ({found.good_senders} senders), {found.bad} bad ({found.bad_senders} senders).",
        f"<small>Sample: {escape(found.taken)}.</small></p>",
        _table(("method", "AUC", "caught at 2 % kept", "caught", "legitimate kept"), methods),
    ]
    if found.good and found.bad:
        parts.append(_drawings(found))
        parts.append(_decisions(found))
    if len(found.classes) > 1:
        body = [[k, counted(c.precision), counted(c.recall), number(c.f1)] for k, c in found.classes.items()]
        body.append(["all", "", "", f"macro {number(found.macro_f1)}"])
        parts.append(_table(("class", "precision", "recall", "F1"), body))
    parts.append(_parts(found))
    if found.against is not None:
        body = [
            [name, points(c.difference), str(c.gained), str(c.lost), f"{c.p_messages:.3f}", f"{c.p_senders:.3f}"]
            for name, c in (("caught", found.against.caught), ("legitimate kept", found.against.false_positives))
        ]
        heading = ("change", "difference", "only this keeps", "only the other", "McNemar p", "p by sender")
        parts.append(_table(heading, body))
    return "\n".join(p for p in parts if p)


def _drawings(found: SetReport) -> str:
    curves = {name: m.roc for name, m in found.methods.items()}
    names = [str(label) for label in LABELS]
    drawn = [
        (
            plots.roc(f"{found.name}: ROC at low false-positive rates", curves),
            "Bad mail caught over legitimate mail kept, logarithmic.",
        ),
        (
            plots.reliability(f"{found.name}: reliability", found.reliability),
            f"Where {found.reliability.prior:.0%} of mail is bad; calibration error {found.reliability.error:.3f}.",
        ),
    ]
    if len(found.classes) > 1:
        drawn.append(
            (plots.confusion(f"{found.name}: confusion", names, found.confusion), "Messages whose kind is told.")
        )
    return "".join(f"<figure>{svg}<figcaption>{escape(text)}</figcaption></figure>" for svg, text in drawn)


def _decisions(found: SetReport) -> str:
    b = found.band
    steps = [[f"{s.threshold:g}", percent(s.caught), percent(s.kept_ham)] for s in found.steps]
    recall = [[f"{rate:.2%}", percent(f)] for rate, f in found.recall_at.items()]
    band = [
        ["decided without a person", percent(b.automatic)],
        ["wrong of these", percent(b.wrong)],
        ["bad mail delivered", percent(b.missed)],
        ["legitimate mail quarantined", percent(b.kept_ham)],
        ["to a person", percent(b.to_person)],
        ["legitimate of that", percent(b.ham_in_band)],
    ]
    parts = [
        _table(("threshold", "caught", "legitimate kept"), steps),
        _table((f"review band {b.hold}–{b.quarantine}", "share"), band),
    ]
    if recall:
        parts.append(_table(("false-positive rate that n supports", "caught"), recall))
    return "".join(parts)


def _parts(found: SetReport) -> str:
    body = [
        [by, name, counted(part.caught), counted(part.false_positives)]
        for by, parts in found.parts.items()
        if len(parts) > 1
        for name, part in parts.items()
        if max(part.caught.n, part.false_positives.n) >= LEAST
    ]
    return _table(("by", "part", "caught", "legitimate kept"), body) if body else ""


def _robustness(report: Report) -> str:
    if not report.robustness:
        return ""
    return "<h2>Under attack</h2>" + _table(ATTACKS, attack_rows(report.robustness))


def _notes(report: Report) -> str:
    notes = [*report.notes]
    notes += [
        f"Which collection is a {name} message from? A linear model tells by its text in {a:.0%} (n={n}); guessing "
        f"gives {g:.0%}."
        for name, (a, g, n) in report.identity.items()
    ]
    notes.append(f"The first row of each method table, {GATEPOST}, is the bundle through the code that serves.")
    return "<h2>Notes</h2><ul>" + "".join(f"<li>{escape(note)}" for note in notes) + "</ul>"
