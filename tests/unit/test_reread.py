"""Labels of collections that were found wrong by reading."""

from pathlib import Path

import pytest

from model.labels import Label
from training import reread
from training.corpora import COLUMNS, Corpora
from training.reread import RereadError, load


def written(folder: Path, *messages: str) -> Path:
    file = folder / "reread.toml"
    file.write_text("".join(f"[[message]]\n{message}\n" for message in messages), encoding="utf-8")
    return file


def test_a_corrected_message_has_the_label_that_was_read_and_the_rest_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    rows = []
    for name in ("1.eml", "2.eml"):
        (shop / name).write_text("Subject: hello\n\nbody\n")
        rows.append(",".join(["shop", f"shop/{name}", "dev", "ham", "corpus", "2024", "en", "raw", "0", name]))
    (tmp_path / "index.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    file = written(tmp_path, 'path = "shop/2.eml"\nlabel = "fraud"\nreason = "advance fee"',
                   'path = "elsewhere/9.eml"\nlabel = "spam"\nreason = "not in this collection"')  # fmt: skip
    corrections = load(file)
    monkeypatch.setattr(reread, "load", lambda: corrections)

    opened = Corpora.open(tmp_path, tmp_path / "cache")

    assert [(row.label, row.read) for row in opened.rows] == [("ham", False), (Label.FRAUD, True)]
    assert opened.corrected == 1


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        (['path = "a"\nlabel = "scam"\nreason = "x"'], "message 1: label: expected one of ham, spam"),
        (['path = "a"\nlabel = "spam"'], "message 1: expected path, label and reason"),
        (['path = "a"\nlabel = "spam"\nreason = "x"'] * 2, "message 2: path: a is there twice"),
        (["path ="], "reread.toml"),
    ],
)
def test_a_faulty_list_is_named(tmp_path: Path, messages: list[str], says: str) -> None:
    with pytest.raises(RereadError, match=says):
        load(written(tmp_path, *messages))


def test_what_is_shipped_can_be_read_and_calls_nothing_ham() -> None:
    assert {found.label for found in load().values()} == {Label.SPAM, Label.FRAUD}
