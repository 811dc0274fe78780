"""Golden mail: every message in tests/mail comes out as its `.json` says, also with its line ends flipped.

The `.readme` beside a message says what it is for. After a wanted change, `GATEPOST_WRITE_GOLDEN=1 pytest
tests/unit/test_extract_golden.py` writes the results anew: read their difference before you keep it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from model.extract import extract

FOLDER = Path(__file__).parent.parent / "mail"
NAMES = sorted(path.stem for path in FOLDER.glob("*.eml"))


def result(raw: bytes) -> dict[str, Any]:
    """Return what a reader would want to know, without what is empty or long."""
    found = extract(raw)
    data = json.loads(json.dumps(found.to_json()))
    data["defects"] = sorted(d["code"] for d in data["defects"])
    for part in data["parts"]:
        part.pop("content")
    for name in ("received", "authentication_results", "to"):
        data.pop(name)
    return {key: value for key, value in data.items() if value}


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_mail_comes_out_as_written_down(name: str) -> None:
    expected = FOLDER / f"{name}.json"
    found = result((FOLDER / f"{name}.eml").read_bytes())
    if os.environ.get("GATEPOST_WRITE_GOLDEN"):
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    assert found == json.loads(expected.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_line_ends_change_nothing_but_sizes(name: str) -> None:
    expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    found = result((FOLDER / f"{name}.eml").read_bytes().replace(b"\r\n", b"\n"))
    for data in (expected, found):
        for part in data["parts"]:
            part["size"] = part["sha256"] = ""

    assert found == expected


def test_every_golden_mail_says_what_it_is_for() -> None:
    assert len(NAMES) >= 20
    for name in NAMES:
        assert len((FOLDER / f"{name}.readme").read_text(encoding="utf-8")) > 30
