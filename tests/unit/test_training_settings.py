"""Training settings: a file overrides what it names, and a wrong key is named with its file."""

from pathlib import Path

import pytest

from training.settings import DEFAULT_CACHE, SettingsError, load


def test_defaults_need_no_file() -> None:
    assert load(None).cache == DEFAULT_CACHE.expanduser()


def test_a_file_overrides_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('cache = "/somewhere"\n[finetune]\nmethod = "lora"\nepochs = 3\n')

    found = load(path)

    assert (found.finetune.method, found.finetune.epochs, found.cache) == ("lora", 3, Path("/somewhere"))
    assert found.fusion == load(None).fusion


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[finetune]\nepoch = 3\n", "finetune.epoch: Extra inputs are not permitted"),
        ("[finetune]\nmethod = 'prayer'\n", "finetune.method: Input should be 'lora', 'head' or 'full'"),
        ("[fusion]\nshrink = -1\n", "fusion.shrink: Input should be greater than or equal to 0"),
        ("[data]\nseed = 'x'\n", "data.seed: Input should be a valid integer"),
        ("[data\n", "train.toml"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "train.toml"
    path.write_text(text)

    with pytest.raises(SettingsError) as caught:
        load(path)

    assert str(path) in str(caught.value)
    assert named in str(caught.value)
