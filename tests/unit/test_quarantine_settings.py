"""Settings of the quarantine: lengths of time, the database's place, and what cannot be."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from quarantine.settings import StoreSettings, parse_span, span_text


@pytest.mark.parametrize(
    ("text", "span"),
    [("90s", timedelta(seconds=90)), ("15m", timedelta(minutes=15)), ("12h", timedelta(hours=12)),
     ("3d", timedelta(days=3)), ("2w", timedelta(weeks=2)), (" 0d ", timedelta(0))],
)  # fmt: skip
def test_spans_are_read_as_people_write_them(text, span):
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "3", "d", "3 d", "-1d", "1.5h", "3y", 3, None, "1d2h", "9999999d"])
def test_anything_else_is_no_span(text):
    with pytest.raises(ValueError, match="length of time"):
        parse_span(text)


@pytest.mark.parametrize("text", ["45s", "15m", "36h", "3d"])
def test_a_span_is_written_as_it_was_read(text):
    assert span_text(parse_span(text)) == text


@pytest.mark.parametrize(
    "url", ["", "sqlite://", "sqlite:///", "sqlite:////", "sqlite:///relative.db", "sqlite:///:memory:",
            "sqlite:////x.db?mode=memory", "postgresql://gatepost@db/gatepost"],
)  # fmt: skip
def test_only_a_file_with_an_absolute_path_is_a_database(url):
    with pytest.raises(ValidationError, match="absolute path"):
        StoreSettings(url=url)


def test_pending_mail_outlives_every_session():
    """Dropping it while its client still waits would make one mail of two answers."""
    with pytest.raises(ValidationError, match="at least 15m"):
        StoreSettings(pending_limit="5m")


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="hold_fates"):
        StoreSettings(hold_fates="keep")


def test_every_field_says_what_it_is():
    for name, field in StoreSettings.model_fields.items():
        assert field.description, name


def test_settings_survive_json():
    settings = StoreSettings(hold_deadline="36h", retention={"rows": "90d"})

    assert StoreSettings.model_validate_json(settings.model_dump_json()) == settings
