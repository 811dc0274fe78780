"""Models and their lineage as rows for people and programs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from milter.settings import ModelSettings
from model.bundle import DEFAULT, MANIFEST, Bundle, BundleError
from model.safe_text import safe
from model.shelf import Shelf, ShelfError, resolve, stored
from training.gate import lineage
from training.gate.lineage import SWITCHES, Action, LineageError
from training.gate.promotion import Outcome

SHOWN = 5
"""Lines of the lineage that are shown, newest last."""


def folder_of(settings: ModelSettings, wanted: str) -> Path:
    """Return the bundle that is meant: a folder, a stored version, or with "" what serves. Raises ShelfError."""
    if wanted and (Path(wanted).is_dir() or "/" in wanted):
        return Path(wanted)
    return Shelf(settings.store).folder_of(wanted) if wanted else resolve(settings)


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each bundle that lies in a folder."""
    rows = []
    for path in sorted(p.parent for p in folder.glob(f"*/{MANIFEST}")):
        try:
            rows.append(_row(path, Bundle.open(path)))
        except BundleError as error:
            rows.append(_row(path, error))
    return rows


def rows_of(settings: ModelSettings) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for the shipped model and each stored one, and what people should know beside.

    Raises ShelfError where the store cannot be read.
    """
    shelf = Shelf(settings.store)
    notes: list[str] = []
    try:
        serving = resolve(settings)
    except ShelfError as error:
        notes.append(str(error))
        serving = Path()
    rows = [_row(DEFAULT, Bundle.open(DEFAULT)) | {"shipped": True}]
    rows += [_row(shelf.path_of(version), found) | {"shipped": False} for version, found in stored(shelf)]
    if settings.path:
        notes.append(f"model.path pins {settings.path}: what is promoted in {settings.store} does not serve")
        if all(row["path"] != settings.path for row in rows):
            rows += [_row(serving, _opened(serving)) | {"shipped": False}]
    states = _states(shelf, notes)
    for row in rows:
        row["serves"] = row["path"] == str(serving)
        row["state"] = states.get(row["version"], "")
    return rows, notes


def _opened(path: Path) -> Bundle | BundleError:
    try:
        return Bundle.open(path)
    except BundleError as error:
        return error


def _row(path: Path, found: Bundle | BundleError) -> dict[str, Any]:
    if isinstance(found, BundleError):
        return {"path": str(path), "version": path.name, "error": str(found)}
    return {"path": str(path), "version": found.version, "created": found.created, "base_model": found.base_model,
            "figures": _figures(path)}  # fmt: skip


def _figures(path: Path) -> str:
    """Say in one line what the manifest records of the model's making."""
    record = json.loads((path / MANIFEST).read_text(encoding="utf-8")).get("training")
    if not isinstance(record, dict):
        return "no training record"
    parts = []
    if messages := record.get("messages"):
        parts.append(f"trained on {messages.get('train', 0)} messages")
    if site := record.get("site"):
        parts.append(f"then on {sum(site['messages'].values())} with a verdict (snapshot {site['snapshot']})")
    if (parity := record.get("parity")) and parity.get("n"):
        parts.append(f"int8 as fp32 on {parity['same'] / parity['n']:.1%} of {parity['n']}")
    return ", ".join(parts)


def _states(shelf: Shelf, notes: list[str]) -> dict[str, str]:
    """Return the last decision on each version; a faulty lineage, or a pointer that it does not explain, is noted."""
    try:
        chain = lineage.read(shelf.root)
        current = shelf.current
    except (LineageError, ShelfError) as error:
        notes.append(str(error))
        return {}
    if chain.fault:
        notes.append(f"{shelf.root / lineage.FILE}, line {chain.fault.line}: {chain.fault.why}")
    last = chain.last
    if current and (last is None or last.after != current):
        known = any(r.after == current for r in chain.records if r.action in SWITCHES)
        notes.append(f"{shelf.root}: {current} serves, and the lineage's last decision is "
                     f"{f'for {last.after}; it was not carried out' if last and known else 'not for it'}")
    return {_about(r): f"{r.action} {r.at:%Y-%m-%d %H:%M} UTC by {r.by}" for r in chain.records}


def _about(record: lineage.Record) -> str:
    return record.before if record.action is Action.RETURN else record.after


def lineage_of(store: Path, version: str) -> dict[str, Any]:
    """Return the chain as plain data: its key, first fault and the decisions about a version. Raises LineageError."""
    chain = lineage.read(store)
    mine = [r for r in chain.records if version in (r.before, r.after)]
    return {
        "file": str(store / lineage.FILE),
        "lines": len(chain.records),
        "key": chain.key,
        "fault": {"line": chain.fault.line, "why": chain.fault.why} if chain.fault else None,
        "decisions": [
            {"at": r.at.isoformat(), "by": r.by, "action": str(r.action), "from": r.before, "to": r.after,
             "reason": r.reason, "checks": [dict(c) for c in r.checks], "data": dict(r.data or {})}
            for r in mine
        ],
    }  # fmt: skip


def lineage_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lineage of a version for people; every text of it is made safe."""
    if fault := found["fault"]:
        yield f"LINEAGE IS BROKEN at line {fault['line']} of {found['file']}: {safe(fault['why'])}"
    elif found["lines"]:
        yield f"lineage      {found['lines']} lines, all right, signed with {found['key']}"
    else:
        yield "lineage      none yet: nothing was promoted here"
    for one in found["decisions"][-SHOWN:]:
        failed = [check["name"] for check in one["checks"] if not check["passed"]]
        why = f": {safe(one['reason'])}" if one["reason"] else ""
        lost = f" (failed: {', '.join(failed)})" if failed else ""
        yield f"  {one['at'][:16]}  {safe(one['by'])}  {one['action']} {one['from']} -> {one['to']}{lost}{why}"
    measured = next((one for one in reversed(found["decisions"]) if one["checks"]), None)
    if measured:
        yield f"what the gate measured at the last decision, {measured['at'][:16]}, of {measured['to']}:"
    for check in measured["checks"] if measured else ():
        word = _word(check["passed"], check.get("waived", False))
        yield f"  {word:<6}  {check['name']:<34} {safe(check['detail'])}"


def _word(passed: bool, waived: bool) -> str:
    return "FAILED" if not passed else "waived" if waived else "ok"


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """Return what came of a switch as plain data."""
    followed = outcome.followed
    return {
        "action": str(outcome.action), "from": outcome.before, "to": outcome.after, "serving": outcome.serving,
        "switched": outcome.switched,
        "passed": outcome.decision.passed if outcome.decision else None,
        "checks": [check.to_json() for check in outcome.decision.checks] if outcome.decision else [],
        "gateway": {"state": str(followed.state), "detail": followed.detail} if followed else None,
        "warnings": list(outcome.warnings),
    }  # fmt: skip


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """Yield a line a check, what was decided, and what the running gateway did."""
    for check in outcome.decision.checks if outcome.decision else ():
        yield f"{_word(check.passed, check.waived):<6}  {check.name:<34} {safe(check.detail)}"
    if outcome.action is Action.REFUSE:
        yield f"refused: {outcome.after} does not pass the gate; {outcome.serving} goes on serving"
        return
    if outcome.action is Action.FORCE:
        yield f"FORCED by a person although {len(outcome.decision.failed) if outcome.decision else 0} checks failed"
    if not outcome.switched:
        detail = safe(outcome.followed.detail) if outcome.followed else ""
        yield f"the running gateway refused {outcome.after}: {detail}; {outcome.serving} goes on serving"
        return
    yield f"{outcome.after} is the current model (before: {outcome.before})"
    if outcome.followed:
        yield safe(outcome.followed.detail)
