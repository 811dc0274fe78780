"""`gatepost train` and `gatepost evaluate` on bad input: a clear line, exit 2, and nothing half-written."""

from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs the training extra")

from gatepost.commands.evaluate import command as evaluate
from gatepost.commands.train import command as train
from training import gather as gathering
from training.corpora import COLUMNS
from training.gather import DataError, gather
from training.settings import TrainSettings

pytestmark = pytest.mark.train


def config(tmp_path: Path, text: str = "") -> str:
    path = tmp_path / "train.toml"
    path.write_text(f'cache = "{tmp_path / "cache"}"\n{text}', encoding="utf-8")
    return str(path)


def collection(tmp_path: Path, rows: list[str]) -> Path:
    folder = tmp_path / "corpora"
    folder.mkdir()
    (folder / "index.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
    return folder


def test_a_wrong_setting_ends_with_file_and_key(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        train, ["--recipe", config(tmp_path, "[data]\nsed = 1\n"), "--out", str(tmp_path / "out")]
    )

    assert done.exit_code == 2
    assert "train.toml: data.sed: Extra inputs are not permitted" in done.output
    assert not (tmp_path / "out").exists()


def test_a_label_that_does_not_exist_is_named(tmp_path: Path) -> None:
    folder = collection(tmp_path, ["shop,shop/1.eml,train,scam,corpus,2024,en,raw,0,g1"])

    done = CliRunner().invoke(
        train, ["--recipe", config(tmp_path), "--corpora", str(folder), "--out", str(tmp_path / "o")]
    )

    assert done.exit_code == 2
    assert "index.csv: line 2: label: expected one of ham, spam, phishing, fraud, bad, found 'scam'" in done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "corpora", "train.toml"]


def test_an_existing_target_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    done = CliRunner().invoke(train, ["--recipe", config(tmp_path), "--out", str(tmp_path / "out")])

    assert done.exit_code == 2
    assert "already exists" in done.output


def test_an_author_who_wrote_nothing_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(train, ["--recipe", config(tmp_path), "--out", str(tmp_path / "out"),
                                      "--hold-out-author", "nobody"])  # fmt: skip

    assert done.exit_code == 2
    assert "no author 'nobody'" in done.output


def test_too_few_of_a_class_is_said_with_the_count(tmp_path: Path) -> None:
    """Ten pairs, of which some calibrate, are not enough for twenty of each."""
    source = gathering.FOLDER / "a1.toml"
    few = tmp_path / "few"
    few.mkdir()
    (few / "a1.toml").write_bytes(source.read_bytes())
    settings = TrainSettings.model_validate({"cache": tmp_path / "cache", "data": {"smallest_class": 500}})

    with pytest.raises(DataError, match=r"training messages are ham; expected at least 500 \(data.smallest_class\)"):
        gather(settings, None, lambda _: None, written=few)


def test_without_collections_the_written_set_parts_by_pair(tmp_path: Path) -> None:
    """Both sides of a pair are on the same side of the split, and what is held out is held out whole."""
    settings = TrainSettings(cache=tmp_path / "cache")

    found = gather(settings, None, lambda _: None)
    trained = (*found.train, *found.calibration)

    assert not {e.group for e in found.train} & {e.group for e in found.calibration}
    assert not {e.group for e in found.held} & {e.group for e in trained}
    assert not found.outside
    assert {e.source for e in found.held if e.held.startswith("author")} == set(settings.data.held_out.authors)
    assert not {e.source for e in trained} & set(settings.data.held_out.authors)
    assert not {e.sector for e in trained} & set(settings.data.held_out.sectors)
    assert not {e.lang for e in trained} & set(settings.data.held_out.languages)


def test_one_more_author_can_be_held_out(tmp_path: Path) -> None:
    settings = TrainSettings(cache=tmp_path / "cache")

    found = gather(settings, None, lambda _: None, hold_out_author="c")

    assert "c" not in {e.source for e in (*found.train, *found.calibration)}


def test_evaluating_on_train_is_refused(tmp_path: Path) -> None:
    """It says why, rather than that there is no such set."""
    done = CliRunner().invoke(evaluate, ["--cache", str(tmp_path / "cache"), "--set", "train"])

    assert done.exit_code == 2
    assert "the model was trained on this split" in done.output


def test_evaluating_what_is_not_there_names_what_is(tmp_path: Path) -> None:
    done = CliRunner().invoke(evaluate, ["--cache", str(tmp_path / "cache"), "--set", "household"])

    assert done.exit_code == 2
    assert "household: no such set to measure; there are: written" in done.output


def test_evaluating_no_bundle_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(evaluate, ["--model", str(tmp_path)])

    assert done.exit_code == 2
    assert "manifest.json: no such file" in done.output


def test_the_text_of_a_sites_stream_trains_only_where_asked_and_never_of_later_years(tmp_path: Path) -> None:
    corpora = tmp_path / "corpora"
    (corpora / "stream" / "mail").mkdir(parents=True)
    rows = [",".join(COLUMNS)]
    for n, year in enumerate((2023, 2024, 2025)):
        mail = f"From: a@s{n}.example\r\nDate: Mon, 3 Feb {year} 09:00:00 +0000\r\nSubject: {n}\r\n\r\nWin {n}.\r\n"
        (corpora / "stream" / "mail" / f"{n}.eml").write_bytes(mail.encode())
        rows.append(f"stream,stream/mail/{n}.eml,site,spam,corpus,{year},en,raw,0,stream{n}")
    (corpora / "index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = TrainSettings(cache=tmp_path / "cache")

    released = gather(settings, corpora, lambda _: None)
    asked = settings.model_copy(update={"data": settings.data.model_copy(update={"site_trains": True})})
    own = gather(asked, corpora, lambda _: None)

    assert not [e for e in (*released.train, *released.calibration) if e.archive == "stream"]
    assert sorted(e.year for e in own.train if e.archive == "stream") == [2023, 2024]
    assert any("not a model to release" in note for note in own.notes)
