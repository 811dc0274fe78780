"""Octets to text: the declared charset if it is true, otherwise what the octets say.

`decode` never raises and is linear: detection looks at a sample of at most `SAMPLE` octets.
"""

import codecs
import re
from functools import lru_cache

import charset_normalizer

SAMPLE = 4096

# What senders write, and what they mean (https://encoding.spec.whatwg.org/#names-and-labels, and what is seen).
_MEANT = {
    "ansi_x3.4-1968": "us-ascii", "iso-8859-1": "cp1252", "iso8859-1": "cp1252", "latin1": "cp1252",
    "latin-1": "cp1252",
    "ascii": "us-ascii", "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "cp936": "gb18030",
    "gb_2312-80": "gb18030", "chinesebig5": "big5hkscs", "big5": "big5hkscs", "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949", "ksc5601": "cp949", "ks_c_5601": "cp949", "shift_jis": "cp932", "shift-jis": "cp932",
    "x-sjis": "cp932", "sjis": "cp932", "windows-31j": "cp932", "iso-2022-jp": "iso2022_jp_ext",
    "windows-874": "cp874", "tis-620": "cp874", "iso-8859-11": "cp874", "iso-8859-9": "cp1254",
    "unicode-1-1-utf-7": "utf-7", "unicode-1-1-utf-8": "utf-8", "x-unicode-2-0-utf-7": "utf-7", "utf8": "utf-8",
    "x-mac-roman": "mac-roman", "macintosh": "mac-roman", "iso-8859-8-i": "iso-8859-8", "iso-8859-8-e": "iso-8859-8",
    "x-user-defined": "", "unknown-8bit": "", "unknown": "", "binary": "", "8bit": "", "default": "",
    "default_charset": "", "_autodetect": "", "_iso-2022-jp$esc": "iso2022_jp_ext", "x-unknown": "",
}
# Codecs that take any octets say nothing by succeeding.
_ANYTHING = frozenset({
    "cp1252", "iso8859-15", "mac-roman", "latin-1", "iso8859-1", "cp437", "cp850", "us-ascii", "ascii",
})
_TEXT_CODECS_ONLY = frozenset({
    "base64", "bz2", "hex", "quopri", "rot13", "uu", "zlib", "idna", "punycode", "unicode_escape", "undefined",
    "raw_unicode_escape", "mbcs", "oem", "palmos",
})
_DETECTABLE = [
    "cp1251", "koi8_r", "cp1252", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp866", "cp874",
    "gb18030", "big5", "cp949", "cp932", "euc_jp",
]
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ESCAPES = re.compile(rb"\x1b(?:\$[@B)A(]|\([BJI]|\$\(D)|\x0e")
_DOUBLE = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_WORD = re.compile(rb"[\x80-\xff]{3,}")
_GB_COMMON = re.compile(rb"[\xb0-\xd7\xa1\xa3][\xa1-\xfe]")
_WESTERN = re.compile(rb"[\x80\x85\x91-\x97\xa0\xa3\xa9\xab\xae\xb4\xb7\xbb\xe0-\xff]")
_LONE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """Drop NUL and lone surrogates, which JSON, databases and tokenizers choke on."""
    return _LONE.sub("", text)


@lru_cache(maxsize=512)
def codec(name: str) -> str | None:
    """Return Python's codec for a declared charset; "" for none declared, None for one that does not exist."""
    label = name.strip().strip("'\"").lower()[:40].replace(" ", "")
    if not label:
        return ""
    label = _MEANT.get(label, label)
    if not label:
        return ""
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError, UnicodeError):
        return None
    if found.name in _TEXT_CODECS_ONLY or not getattr(found, "_is_text_encoding", True):
        return None
    return _MEANT.get(found.name, found.name)


def decode(data: bytes, declared: str = "") -> tuple[str, str, tuple[str, ...]]:
    """Return (text, charset used, defect codes). The text holds no NUL and no lone surrogate."""
    name = codec(declared[:60])
    defects: tuple[str, ...] = () if name is not None else ("charset-unknown",)
    name = name or ""
    for mark, bom_name in _BOMS:
        if data.startswith(mark):
            return clean(data.decode(bom_name, "replace")), bom_name.removesuffix("-sig"), defects
    if data.isascii() and name not in {"utf-7", "hz"} and not name.startswith(("utf-16", "utf-32", "utf_")):
        if b"\x1b" in data and _ESCAPES.search(data[: 1 << 20]):
            return _escaped(data, name, defects)
        return clean(data.decode("ascii")), name or "us-ascii", defects
    if name and name not in _ANYTHING:
        text, lost = _try(data, name)
        if not lost:
            return text, name, defects
        # A few bad octets in long text are damage; many mean that the label is a lie.
        if lost * 20 < len(_HIGH.findall(data[:SAMPLE])) + 1 or lost * 100 < len(data):
            return text, name, (*defects, "charset-undecodable")
    western = name in _ANYTHING and name not in {"us-ascii", "ascii"}
    guess = name if western and not _is_utf8(data) and not _crowded(data) else detect(data)
    lied = bool(name) and name != "us-ascii" and guess not in {name, "cp1252"}
    if guess == "cp1252" and western:
        guess = name
    text, lost = _try(data, guess)
    if lied:
        defects = (*defects, "charset-mismatch")
    if lost and guess != "cp1252":
        defects = (*defects, "charset-undecodable")
    return text, guess, defects


def _escaped(data: bytes, name: str, defects: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
    for candidate in (name if name.startswith("iso2022") else "iso2022_jp_ext", "iso2022_jp_2", "iso2022_kr"):
        text, lost = _try(data, candidate)
        if not lost:
            return text, candidate, defects
    return clean(data.decode("ascii", "replace")), name or "us-ascii", defects


def _try(data: bytes, name: str) -> tuple[str, int]:
    try:
        return clean(data.decode(name)), 0
    except (UnicodeError, ValueError):
        pass
    try:
        text = data.decode(name, "replace")
    except (UnicodeError, ValueError, LookupError):
        return clean(data.decode("latin-1")), len(data)
    return clean(text), text.count("\ufffd")


def detect(data: bytes) -> str:
    """Name the charset of octets that hold some above 127."""
    first = _HIGH.search(data)
    at = max(0, first.start() - 256) if first else 0
    if _is_utf8(data):
        return "utf-8"
    sample = data[at : at + SAMPLE]
    high = len(_HIGH.findall(sample))
    pairs = len(_DOUBLE.findall(sample))
    if high >= 8 and pairs * 2 >= high * 0.9:
        common = len(_GB_COMMON.findall(sample))
        if common >= pairs * 0.85 and not _try(sample[: len(sample) & ~1], "gb18030")[1] > 2:
            korean = _korean_share(sample)
            return "cp949" if korean > 0.9 and _hanzi_unlikely(sample) else "gb18030"
    if high * 12 < len(sample) and high == len(_WESTERN.findall(sample)):
        return "cp1252"
    found = charset_normalizer.from_bytes(sample, cp_isolation=_DETECTABLE, steps=3, chunk_size=512,
                                          preemptive_behaviour=False, enable_fallback=False).best()
    return found.encoding if found is not None else "cp1252"


def _crowded(data: bytes) -> bool:
    """Whether whole words are above 127, as in no language of western Europe."""
    first = _HIGH.search(data)
    sample = data[first.start() :][:SAMPLE] if first else b""
    high = len(_HIGH.findall(sample))
    return high >= 8 and sum(map(len, _HIGH_WORD.findall(sample))) * 2 > high


def _korean_share(sample: bytes) -> float:
    pairs = _DOUBLE.findall(sample)
    return sum(0xB0 <= p[0] <= 0xC8 for p in pairs) / len(pairs) if pairs else 0.0


def _hanzi_unlikely(sample: bytes) -> bool:
    """Whether the text has spaces between words, as Korean does and Chinese does not."""
    return sample.count(b" ") * 12 > len(_DOUBLE.findall(sample))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        # Text cut in the middle of its last character, or with one flaw far on, is still UTF-8.
        good = data[: error.start]
        return len(_HIGH.findall(good[-SAMPLE:])) >= 6 and error.start * 10 > len(data) * 9
    return True
