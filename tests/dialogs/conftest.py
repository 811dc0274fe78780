"""Outside cases for the dialogues; tests that want them are skipped where they are not to be had."""

import json
import os
import tarfile
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases.tar.xz"


@pytest.fixture(scope="session")
def smuggling_payloads(tmp_path_factory) -> list[bytes]:
    """Raw octets after DATA, from collected attacks (GATEPOST_CASES: an unpacked folder)."""
    folder = Path(os.environ["GATEPOST_CASES"]) if "GATEPOST_CASES" in os.environ else None
    if folder is None:
        if not SHARED.exists():
            pytest.skip("outside cases are not here (GATEPOST_CASES or ../shared/cases.tar.xz)")
        folder = tmp_path_factory.mktemp("cases")
        with tarfile.open(SHARED) as archive:
            wanted = [m for m in archive.getmembers() if "smuggling/" in m.name]
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python before 3.11.4 has none
            archive.extractall(folder, wanted, **safely)  # noqa: S202 - the maintainers' own archive
    (index,) = folder.rglob("smuggling/index.json")
    return [(index.parent / case["file"]).read_bytes() for case in json.loads(index.read_text())]
