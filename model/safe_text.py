"""Text from mail, made safe to print on a terminal or in a log line."""

import re
import unicodedata

# C0, DEL, C1, line and paragraph separators, bidi controls, zero-width and other format characters, the tags
# block, noncharacters and lone surrogates: whatever a terminal obeys, hides or reorders instead of showing.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
# What only styles or joins the emoji before it: left out, since terminals disagree on how wide the result is.
_EMOJI_STYLE = re.compile(
    "(?<=[\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001f3fa\U0001f400-\U0001faff])"
    "[\ufe0e\ufe0f\u200d\U0001f3fb-\U0001f3ff]+"
)
_MARKS_IN_A_ROW = 4


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def safe(text: str, *, lines: bool = False) -> str:
    """Return `text` with control, bidi and invisible characters shown as escapes.

    The result is one line; with `lines` line feeds and tabs are kept. Emoji lose skin tones and joiners. Floods of
    combining marks are cut, since they write over the lines above and below.
    """
    if text.isascii() and text.isprintable():
        return text
    if lines:
        return "\n".join("\t".join(safe(cell) for cell in line.split("\t")) for line in text.split("\n"))
    return _UNSAFE.sub(_escape, text if text.isascii() else _EMOJI_STYLE.sub("", _without_floods(text)))


def _without_floods(text: str) -> str:
    kept: list[str] = []
    row = 0
    for char in text:
        row = row + 1 if unicodedata.combining(char) else 0
        if row <= _MARKS_IN_A_ROW:
            kept.append(char)
    return "".join(kept)
