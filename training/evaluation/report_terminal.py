"""The report for a terminal: plain tables, the figures that decide first."""

from collections.abc import Sequence

from training.evaluation.report import AttackFigures, Legitimate, Report, SetReport
from training.evaluation.report_rows import (
    ATTACKS,
    LEAST,
    LEGITIMATE,
    attack_rows,
    legitimate_rows,
    number,
    percent,
)


def render(report: Report) -> str:
    """Return the report as text."""
    blocks = [_head(report), *(_set(s) for s in report.sets), _legitimate(report.legitimate)]
    if report.robustness:
        blocks.append(_robustness(report.robustness))
    blocks.append("\n".join(f"note: {note}" for note in report.notes))
    return "\n\n".join(b for b in blocks if b)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Set rows in columns as wide as their widest cell; the first row is the heading."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _head(report: Report) -> str:
    lines = [
        f"model {report.model}: hold from {report.hold}, quarantine from {report.quarantine}",
        f"{report.speed}; not scored: {report.speed.failed}",
        "Shares with 95 % intervals by sender; kept = held or quarantined.",
    ]
    if report.against:
        lines.insert(1, f"compared with {report.against} on the same messages")
    return "\n".join(lines)


def _set(found: SetReport) -> str:
    sides = (
        f"{found.good} legitimate ({found.good_senders} senders)",
        f"{found.bad} bad ({found.bad_senders} senders)",
    )
    lines = [f"== {found.name}: {', '.join(sides)}; {found.taken}"]
    rows = [("method", "AUC", "caught at 2 % kept", "caught", "legitimate kept")]
    rows += [
        (name, number(m.auc), percent(m.caught_at_budget), percent(m.caught), percent(m.false_positives))
        for name, m in found.methods.items()
    ]
    lines.append(columns(rows))
    own = found.legitimate
    if own.kept.n:
        lines.append(
            f"legitimate: held {percent(own.held)}, quarantined {percent(own.quarantined)}; kept, per sender: "
            f"{own.certificate}"
        )
    if found.recall_at:
        told = ", ".join(f"{percent(f)} at {rate:.2%}" for rate, f in found.recall_at.items())
        lines.append(f"caught at the false-positive rates that n supports: {told}")
    if found.good and found.bad:
        lines += [_band(found), _calibration(found)]
    lines += [_classes(found), _parts(found), _steps(found), _against(found)]
    return "\n".join(line for line in lines if line)


def _band(found: SetReport) -> str:
    b = found.band
    return (
        f"review band {b.hold}–{b.quarantine}: decided without a person {percent(b.automatic)}, wrong of these "
        f"{percent(b.wrong)}; bad delivered {percent(b.missed)}, legitimate quarantined {percent(b.kept_ham)}; to a "
        f"person {percent(b.to_person)}, of it legitimate {percent(b.ham_in_band)}"
    )


def _calibration(found: SetReport) -> str:
    told = found.reliability
    return f"calibration error {told.error:.3f} ({len(told.bins)} bins of equal weight, {told.prior:.0%} bad)"


def _classes(found: SetReport) -> str:
    if len(found.classes) < 2:
        return ""
    rows = [("class", "precision", "recall", "F1", "n")]
    rows += [
        (name, percent(c.precision), percent(c.recall), number(c.f1), str(c.recall.n))
        for name, c in found.classes.items()
    ]
    return f"{columns(rows)}\nmacro F1 {number(found.macro_f1)}"


def _parts(found: SetReport) -> str:
    blocks = []
    for by, parts in found.parts.items():
        some = {k: p for k, p in parts.items() if max(p.caught.n, p.false_positives.n) >= LEAST}
        if len(parts) > 1 and some:
            rows = [(by, "caught", "n", "legitimate kept", "n")]
            rows += [
                (k, percent(p.caught), str(p.caught.n), percent(p.false_positives), str(p.false_positives.n))
                for k, p in some.items()
            ]
            blocks.append(columns(rows))
    return "\n".join(blocks)


def _steps(found: SetReport) -> str:
    if not (found.good and found.bad):
        return ""
    rows = [("threshold", "caught", "legitimate kept")]
    rows += [(f"{s.threshold:g}", percent(s.caught), percent(s.kept_ham)) for s in found.steps]
    return columns(rows)


def _against(found: SetReport) -> str:
    if found.against is None:
        return ""
    lines = [f"against the other model: AUC {number(found.auc_against)}" if found.auc_against else ""]
    for name, change in (("caught", found.against.caught), ("legitimate kept", found.against.false_positives)):
        if change.difference.known:
            lines.append(
                f"  {name}: {change.difference.value:+.1%} [{change.difference.low:+.1%}, "
                f"{change.difference.high:+.1%}]; only this one keeps {change.gained}, only the other {change.lost}; "
                f"McNemar p {change.p_messages:.3f}, by sender {change.p_senders:.3f}"
            )
    return "\n".join(line for line in lines if line)


def _legitimate(found: Sequence[Legitimate]) -> str:
    if not found:
        return ""
    return "== legitimate mail at the thresholds, each kind apart\n" + columns([LEGITIMATE, *legitimate_rows(found)])


def _robustness(found: Sequence[AttackFigures]) -> str:
    return "== bad mail under attack\n" + columns([ATTACKS, *attack_rows(found)])
