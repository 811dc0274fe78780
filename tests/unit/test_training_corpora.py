"""Reading labelled collections: a faulty index is named to the line, and rows are drawn by group."""

import tarfile
from pathlib import Path

import pytest

from model.labels import Label
from training.corpora import COLUMNS, Corpora, CorporaError, Row, read_index, wrap
from training.examples import pick_rows, trusted_kind

GOOD = dict(
    zip(COLUMNS, ["shop", "shop/a/1.eml", "train", "ham", "corpus", "2024", "en", "raw", "0", "g1"], strict=True)
)


def index(folder: Path, rows: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS) -> Path:
    path = folder / "index.csv"
    path.write_text("\n".join([",".join(columns), *(",".join(r[c] for c in columns) for r in rows)]) + "\n")
    return path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"label": "scam"}, "line 3: label: expected one of ham, spam, phishing, fraud, bad, found 'scam'"),
        ({"split": "test"}, "line 3: split: expected one of train, dev, site"),
        ({"kind": "mbox"}, "line 3: kind: expected one of raw"),
        ({"year": "last"}, "line 3: year: expected a number"),
        ({"group": ""}, "line 3: group: expected a near-duplicate key"),
    ],
)
def test_a_faulty_row_is_named(tmp_path: Path, change: dict[str, str], named: str) -> None:
    path = index(tmp_path, [GOOD, {**GOOD, **change}])

    with pytest.raises(CorporaError) as caught:
        list(read_index(path))

    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_a_missing_column_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorporaError, match="column group is missing"):
        list(read_index(index(tmp_path, [GOOD], COLUMNS[:-1])))
    with pytest.raises(CorporaError, match="No such file"):
        list(read_index(tmp_path / "none" / "index.csv"))


def test_archives_are_unpacked_once_into_the_cache(tmp_path: Path) -> None:
    folder, cache = tmp_path / "in", tmp_path / "cache"
    (folder / "shop" / "a").mkdir(parents=True)
    (folder / "shop" / "a" / "1.eml").write_bytes(b"Subject: hello\n\nbody\n")
    index(folder, [GOOD])
    with tarfile.open(folder / "shop.tar.xz", "w:xz") as tar:
        tar.add(folder / "shop", "shop")
    (folder / "shop" / "a" / "1.eml").unlink()

    opened = Corpora.open(folder, cache)

    assert opened.raw(opened.rows[0]) == b"Subject: hello\n\nbody\n"
    (folder / "shop.tar.xz").write_bytes(b"not read again")
    assert Corpora.open(folder, cache).raw(opened.rows[0]).startswith(b"Subject")


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    index(tmp_path, [GOOD])

    with pytest.raises(CorporaError, match=r"shop\.tar\.xz"):
        Corpora.open(tmp_path, tmp_path / "cache")


def test_bare_bodies_are_wrapped() -> None:
    """A text keeps its Subject line as a header; nothing is added that would tell the collection."""
    assert wrap(b"<p>hi</p>", "html").endswith(b"\r\n\r\n<p>hi</p>")
    assert b"text/html" in wrap(b"<p>hi</p>", "html")
    assert wrap(b"Subject: a\nbody", "text").startswith(b"Subject: a\r\n")
    assert wrap(b"Subject: a\nbody", "text").endswith(b"\r\n\r\nbody")
    assert wrap(b"From: x\n\nbody", "raw") == b"From: x\n\nbody"


def row(number: int, label: str = "ham", **change: object) -> Row:
    given: dict[str, object] = {
        "archive": "shop",
        "path": f"shop/a/{number}.eml",
        "split": "train",
        "label": label,
        "label_source": "corpus",
        "year": 2024,
        "lang": "en",
        "kind": "raw",
        "group": f"g{number}",
    }
    return Row(**{**given, **change})  # type: ignore[arg-type]


def test_caps_bound_a_source_and_do_not_depend_on_the_order() -> None:
    rows = [row(n, "ham" if n % 2 else "spam") for n in range(100)]

    picked = pick_rows(rows, "train", {"shop/a:good": 5, "shop:bad": 7}, 1)

    assert sum(not r.bad for r in picked) == 5
    assert sum(r.bad for r in picked) == 7
    assert {r.path for r in picked} == {
        r.path for r in pick_rows(rows[::-1], "train", {"shop/a:good": 5, "shop:bad": 7}, 1)
    }
    assert pick_rows(rows, "dev", {}, 1) == []


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (row(1), None),
        (row(1, "phishing"), None),  # one collector's label for everything it holds
        (row(1, "phishing", label_source="read-sure"), Label.PHISHING),
        (row(1, "fraud", archive="lists", label_source="rule"), Label.FRAUD),
        (row(1, "bad", split="site"), None),
        (row(1, "spam", split="dev"), Label.SPAM),
    ],
)
def test_only_read_rows_teach_the_kind(found: Row, kind: Label | None) -> None:
    assert trusted_kind(found) is kind
