"""The configuration file: where it is looked for, its defaults, and the example that ships."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from gatepost.config import ConfigError, dotted, find, load, table_of
from gatepost.example import LISTENERS, render
from gatepost.settings import Settings
from milter.endpoint import Endpoint
from milter.settings import ListenerSettings, PolicySettings, RuleSettings

EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.toml"
MINIMAL = """
[[listener]]
name = "in"
listen = "127.0.0.1:10025"
mode = "before-queue"
direction = "inbound"
next_hop = "127.0.0.1:10026"
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def tables(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a table class and all that it holds."""
    inner = [found for field in model.model_fields.values() if (found := table_of(field.annotation))]
    return [model, *(deeper for table in inner for deeper in tables(table))]


class TestExample:
    def test_it_is_what_the_settings_say(self):
        """The shipped file is the rendered one: a new key cannot be forgotten."""
        assert EXAMPLE.read_text() == render()

    def test_it_loads_and_equals_the_defaults(self):
        """With the example, everything but the listeners is as with no file at all."""
        settings = load(EXAMPLE)

        plain = Settings(listener=tuple(ListenerSettings.model_validate(values) for values in LISTENERS))
        assert settings.model_copy(update={"policy": {}}) == plain
        assert settings.policy == {"default": PolicySettings()}

    def test_every_key_of_every_table_appears_with_a_comment(self):
        """A key without a sentence, or missing from the file, fails here."""
        lines = [line.removeprefix("# ").removeprefix("# ") for line in EXAMPLE.read_text().splitlines()]

        for table in tables(Settings)[1:]:
            for key, field in table.model_fields.items():
                if table_of(field.annotation):
                    continue
                assert any(line.startswith(f"{key} = ") for line in lines), f"{table.__name__}.{key}"
                assert field.description, f"{table.__name__}.{key}"

    def test_commented_rules_are_right_once_uncommented(self):
        """Who takes the # away from the rules has a file that loads."""
        text = EXAMPLE.read_text()
        start = text.index("# [[policy.default.allow]]")
        rules = "\n".join(line.removeprefix("# ") for line in text[start : text.index("# [site]")].splitlines())

        policy = tomllib.loads(rules)["policy"]["default"]

        assert RuleSettings.model_validate(policy["allow"][0]).domain == "partner.example"
        assert [RuleSettings.model_validate(rule) for rule in policy["block"]]


class TestFind:
    def test_order(self):
        """The option wins over the variable, the variable over /etc."""
        environ = {"GATEPOST_CONFIG": "/b.toml"}

        assert find(Path("/a.toml"), environ) == Path("/a.toml")
        assert find(None, environ) == Path("/b.toml")
        assert find(None, {"GATEPOST_CONFIG": ""}) == Path("/etc/gatepost/config.toml")


class TestLoad:
    def test_minimal_file(self, tmp_path):
        """One listener is a configuration; it observes only."""
        settings = load(written(tmp_path, MINIMAL))

        assert settings.listener[0].stage == "observe"
        assert settings.policy_of(settings.listener[0]) == PolicySettings()

    def test_workers_get_the_same_settings(self, tmp_path):
        """Settings survive the way to a worker, lengths of time, networks and dates included."""
        text = MINIMAL + (
            '[quarantine]\nhold_deadline = "90s"\n[quarantine.retention]\nrows = "52w"\n'
            '[[policy.default.allow]]\nnetwork = "192.0.2.0/24"\nexpires = 2027-01-31\n'
        )
        settings = load(written(tmp_path, text))

        assert Settings.model_validate_json(settings.model_dump_json()) == settings
        assert Settings.model_validate(settings.model_dump(mode="json")) == settings

    def test_a_folder_is_no_file(self, tmp_path):
        with pytest.raises(ConfigError, match="expected a readable file: Is a directory"):
            load(tmp_path)

    def test_a_long_value_is_cut(self, tmp_path):
        """A complaint does not repeat a page of text."""
        with pytest.raises(ConfigError) as caught:
            load(written(tmp_path, MINIMAL + f'[log]\nformat = "{"x" * 5000}"\n'))

        assert len(caught.value.problems[0]) < 200


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("listener", 0, "next_hop"), "listener[0].next_hop"),
        (("policy", "default", "allow", 2), "policy.default.allow[2]"),
        ((), "(the file)"),
    ],
)
def test_dotted(location, expected):
    assert dotted(location) == expected


class TestEndpoint:
    @pytest.mark.parametrize("text", ["127.0.0.1:25", "[::1]:25", "mail.example:25", "unix:/run/gatepost/in.sock"])
    def test_is_written_as_it_was_read(self, text):
        assert str(Endpoint.parse(text)) == text

    @pytest.mark.parametrize(
        "text",
        ["", "25", ":25", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:25", "unix:x", "unix:",
         "127.0.0.1:+25", "127.0.0.1:２５", "unix:/" + "x" * 107],
    )  # fmt: skip
    def test_nonsense_is_refused(self, text):
        with pytest.raises(ValueError, match="expected "):
            Endpoint.parse(text)

    @pytest.mark.parametrize(
        ("text", "loopback"),
        [
            ("127.0.0.2:25", True),
            ("[::1]:25", True),
            ("unix:/x", True),
            ("0.0.0.0:25", False),
            ("localhost:25", False),
        ],
    )
    def test_loopback_is_certain_or_not_said(self, text, loopback):
        """A name may be anything tomorrow; only literals count as loopback."""
        assert Endpoint.parse(text).loopback is loopback
