"""Ways to dress bad mail so that a filter does not know it while a person still does: raw bytes in, raw bytes out.

Each transform leaves who sent the message alone, keeps what a person sees (padding adds to it, an image replaces it)
and returns None where it has nothing to work on. The short links are made up and nothing here follows them.
"""

import html as entities
import random
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from model.labels import Label
from training.evaluation.mime_edit import base64_lines, replaced, rewritten, texts
from training.written import load as load_written

Attack = Callable[[bytes, random.Random], bytes | None]

LETTERS_SHARE = 0.3
"""Share of letters that get a look-alike: more, and a reader stumbles."""
WORDS_SHARE = 0.5
"""Share of longer words that are broken by something unseen."""
PADDING_WORDS = 10_000
SOME_WORDS = 250
HIDDEN_WORDS = 400
SHORTENERS = ("bit.ly", "tinyurl.com", "t.ly", "rb.gy", "is.gd", "cutt.ly")

LOOK_ALIKES = {
    "a": "а", "c": "с", "e": "е", "i": "і", "j": "ј", "o": "оο", "p": "рρ", "s": "ѕ", "x": "х", "y": "у", "h": "һ",
    "d": "ԁ", "v": "ν", "A": "АΑ", "B": "ВΒ", "C": "С", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ", "K": "КΚ", "M": "МΜ",
    "N": "Ν", "O": "ОΟ", "P": "РΡ", "S": "Ѕ", "T": "ТΤ", "X": "ХΧ", "Y": "ҮΥ", "Z": "Ζ",
}  # fmt: skip
"""Cyrillic and Greek letters that look like Latin ones in common typefaces (Unicode UTS 39)."""
_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_URL = re.compile(r"https?://[^\s<>\"')\]]+", re.IGNORECASE)
_HREF = re.compile(r"(\bhref\s*=\s*[\"']?)(https?://[^\s\"'>]+)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{4,}")
_KEEP = re.compile(r"(<!--.*?-->|<(script|style|title)\b.*?</\2\s*>|<[^>]*>|&#?\w{1,32};)", re.IGNORECASE | re.DOTALL)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


def homoglyph(raw: bytes, draw: random.Random) -> bytes | None:
    """Put look-alike letters of other scripts for some Latin ones, in text and subject."""

    def swap(text: str) -> str:
        return "".join(
            draw.choice(LOOK_ALIKES[c]) if c in LOOK_ALIKES and draw.random() < LETTERS_SHARE else c for c in text
        )

    def words(text: str) -> str:
        return _outside(_URL, text, swap)

    return rewritten(raw, plain=words, html=_in_html(words), subject=swap)


def zero_width(raw: bytes, draw: random.Random) -> bytes | None:
    """Put characters without width into words, in text and subject."""
    words = _in_words(draw, lambda: draw.choice(_UNSEEN))
    return rewritten(raw, plain=words, html=_in_html(words), subject=words)


def hidden_text(raw: bytes, draw: random.Random) -> bytes | None:
    """Add honest text that no reader sees, in one of the usual ways."""
    styles = (
        "display:none",
        "font-size:0;line-height:0",
        "color:#ffffff;background:#ffffff",
        "position:absolute;left:-9999px",
        "max-height:0;overflow:hidden",
    )

    def hide(text: str) -> str:
        block = f'<div style="{draw.choice(styles)}">{entities.escape(good_words(draw, HIDDEN_WORDS))}</div>'
        return block + text if draw.random() < 0.3 and "<html" not in text.lower() else _at_end(text, block)

    return rewritten(raw, html=hide, plain_as_html=True)


def padding(raw: bytes, draw: random.Random) -> bytes | None:
    """Add honest text that a reader sees, below what matters, to ten thousand words."""
    return _padded(raw, lambda text: good_words(draw, max(0, PADDING_WORDS - len(text.split()))))


def some_padding(raw: bytes, draw: random.Random) -> bytes | None:
    """Add as much honest text as a short letter has: too little to make a long text of it."""
    words = good_words(draw, SOME_WORDS)
    return _padded(raw, lambda _: words)


def _padded(raw: bytes, more: Callable[[str], str]) -> bytes | None:
    def plain(text: str) -> str:
        return text.rstrip() + "\r\n" * 30 + more(text) + "\r\n"

    def rich(text: str) -> str:
        return _at_end(text, "<br>" * 30 + f"<p>{entities.escape(more(text))}</p>")

    return rewritten(raw, plain=plain, html=rich)


def html_salting(raw: bytes, draw: random.Random) -> bytes | None:
    """Break words with comments and empty elements, and write letters as character references."""

    def salt() -> str:
        return draw.choice(("<!-- {} -->", "<span></span>", "<b></b>", "<wbr>", "<!--{}-->", "<i></i>")).format(
            draw.randint(1, 9999)
        )

    def word(match: re.Match[str]) -> str:
        text = match[0]
        if draw.random() >= WORDS_SHARE:
            return text
        at = draw.randint(1, len(text) - 1)
        head = "".join(f"&#{ord(c)};" if draw.random() < 0.3 else c for c in text[:at])
        return head + salt() + text[at:]

    def words(text: str) -> str:
        return _outside(_URL, text, lambda part: _WORD.sub(word, part))

    return rewritten(raw, html=_in_html(words), plain_as_html=True)


def link_shorteners(raw: bytes, draw: random.Random) -> bytes | None:
    """Hide every link behind a shortener."""

    def short(_: str) -> str:
        code = "".join(draw.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=7))
        return f"https://{draw.choice(SHORTENERS)}/{code}"

    def plain(text: str) -> str:
        return _URL.sub(lambda m: short(m[0]), text)

    def rich(text: str) -> str:
        return _in_html(plain)(_HREF.sub(lambda m: m[1] + short(m[2]), text))

    return rewritten(raw, plain=plain, html=rich)


def image_only(raw: bytes, draw: random.Random) -> bytes | None:
    """Send all text as a picture that is a link to where the first link led; nothing is left to read."""
    found = texts(raw)
    if not any(text.strip() for _, text in found):
        return None
    links = [m[2] for kind, text in found if kind == "html" for m in _HREF.finditer(text)]
    links += [m[0] for kind, text in found if kind == "plain" for m in _URL.finditer(text)]
    name, mark = f"{draw.getrandbits(48):x}", f"=_{draw.getrandbits(80):x}"
    picture = f'<img src="cid:{name}" width="600" height="800">'
    page = f'<a href="{links[0]}">{picture}</a>' if links else picture
    lines = [
        f"--{mark}", "Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: base64", "",
        base64_lines(f"<html><body>{page}</body></html>".encode()).decode("ascii").rstrip(),
        f"--{mark}", "Content-Type: image/png", f"Content-ID: <{name}>", "Content-Transfer-Encoding: base64", "",
        base64_lines(_png(draw)).decode("ascii").rstrip(), f"--{mark}--", "",
    ]  # fmt: skip
    fields = ["MIME-Version: 1.0", f'Content-Type: multipart/related; boundary="{mark}"']
    return replaced(raw, fields, "\r\n".join(lines).encode("ascii"))


IMAGE_ONLY = "image only"
ATTACKS: Mapping[str, Attack] = MappingProxyType({
    "homoglyphs": homoglyph,
    "zero-width characters": zero_width,
    "hidden text": hidden_text,
    "padding to 10,000 words": padding,
    "padding with 250 words": some_padding,
    "HTML salting": html_salting,
    "link shorteners": link_shorteners,
    IMAGE_ONLY: image_only,
})  # fmt: skip


def good_words(draw: random.Random, count: int) -> str:
    """Return so many words of honest prose, whole paragraphs in random order."""
    pool, words = _honest(), 0
    out: list[str] = []
    while words < count:
        paragraph = draw.choice(pool)
        out.append(paragraph)
        words += len(paragraph.split())
    return "\n\n".join(out)


@cache
def _honest() -> tuple[str, ...]:
    """Return paragraphs of the written set's honest messages: what a thief would copy from real senders."""
    found = [
        paragraph.strip()
        for message in load_written()
        if message.label is Label.HAM and message.lang == "en"
        for paragraph in message.text.split("\n\n")
        if len(paragraph.split()) >= 8 and not _URL.search(paragraph)
    ]
    return tuple(dict.fromkeys(found))


def _outside(kept: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """Change a text but for what matches `kept`."""
    out, at = [], 0
    for match in kept.finditer(text):
        out += [change(text[at : match.start()]), match[0]]
        at = match.end()
    return "".join([*out, change(text[at:])])


def _in_html(change: Callable[[str], str]) -> Callable[[str], str]:
    """Return a change of HTML that leaves tags, comments, scripts, styles and character references alone."""
    return lambda text: _outside(_KEEP, text, change)


def _in_words(draw: random.Random, unseen: Callable[[], str]) -> Callable[[str], str]:
    def word(match: re.Match[str]) -> str:
        text = match[0]
        if draw.random() >= WORDS_SHARE:
            return text
        at = draw.randint(1, len(text) - 1)
        return text[:at] + unseen() + text[at:]

    return lambda text: _outside(_URL, text, lambda part: _WORD.sub(word, part))


def _at_end(text: str, block: str) -> str:
    found = list(_BODY_END.finditer(text))
    at = found[-1].start() if found else len(text)
    return text[:at] + block + text[at:]


def _png(draw: random.Random) -> bytes:
    """Return a small grey picture, another one each time (PNG, RFC 2083)."""
    side = 8
    rows = b"".join(b"\0" + draw.randbytes(side) for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
