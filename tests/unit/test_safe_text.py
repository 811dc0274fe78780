"""Nothing that a terminal obeys, hides or reorders gets to the screen."""

import pytest

from model.safe_text import safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße 你好 🎉", "Grüße 你好 🎉"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\rc\td", "a\\x0ab\\x0dc\\x09d"),
        ("a\u202efdp.exe", "a\\u202efdp.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("z\u200bw", "z\\u200bw"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\udc80", "\\udc80"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
        ("family 👨\u200d👩\u200d👧, heart \u2764\ufe0f, wave 👋🏽.", "family 👨👩👧, heart \u2764, wave 👋."),
        ("a\ufe0fb\u200dc", "a\\ufe0fb\\u200dc"),
        ("", ""),
    ],
)
def test_safe(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_lines_keep_line_feeds_and_tabs_only() -> None:
    assert safe("a\tb\nc\x1b\r\nd\u202e", lines=True) == "a\tb\nc\\x1b\\x0d\nd\\u202e"
