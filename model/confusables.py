"""Characters that look like Latin letters, folded to the letters they imitate.

A small table written by hand after the idea of UTS #39 (section 4, confusable detection): Cyrillic, Greek,
Armenian, Cherokee, Lisu and Coptic look-alikes, and whatever Unicode itself calls a compatibility form of an
ASCII character (fullwidth, mathematical, circled, letter-like). It is not the full table of UTS #39: it holds
what is seen in mail, and every entry gives ASCII. Each character is folded alone, so time is linear whatever
the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# What each letter is imitated with. The cases differ: Cyrillic "В" imitates "B", "в" imitates nothing.
_LOOKALIKES = {
    "a": "аɑαᴀ⍺", "b": "ЬьƄꮟ", "c": "сϲᴄꮯⲥ", "d": "ԁɗɖᏧꓒ", "e": "еҽєɛεꬲ", "f": "ꞙẝքϝ", "g": "ɡցƍᶃ",
    "h": "һհᏂ", "i": "іιıɩɪ⍳ꙇᎥ", "j": "јϳȷ", "k": "кκĸᴋⲕ", "l": "ӏןǀƖ∣⏽", "m": "мᴍʍ", "n": "пոռηɴ",
    "o": "оοᴏᴑσօჿⲟөɵ", "p": "рρϱⲣᴩ", "q": "ԛգզ", "r": "гᴦʀꭇ", "s": "ѕꜱꮪƽ", "t": "тτᴛ", "u": "υսᴜʋ",
    "v": "νѵᴠⱱ", "w": "ԝաѡᴡω", "x": "хχᕁ×", "y": "уүγყʏ", "z": "ᴢⲍ",
    "A": "АΑᎪꓮ", "B": "ВΒᏴꓐ", "C": "СϹᏟꓚ", "D": "Ꭰꓓᗞ", "E": "ЕΕᎬꓰ", "F": "ϜꓝᖴҒ", "G": "ԌᏀꓖ",
    "H": "НΗᎻꓧ",
    "I": "ІΙӀꓲ", "J": "ЈᎫꓙͿ", "K": "КΚᏦꓗ", "L": "ᏞꓡᒪⳐ", "M": "МΜᎷꓟ", "N": "ΝꓠⲚ", "O": "ОΟՕꓳ", "P": "РΡᏢꓑ",
    "Q": "ԚႭ", "R": "ᎡᏒꓣ", "S": "ЅՏᏚꓢ", "T": "ТΤᎢꓔ", "U": "Սꓴ", "V": "ѴᏙꓦ", "W": "ԜᎳꓪ", "X": "ХΧꓫ",
    "Y": "УΥҮꓬ", "Z": "ΖᏃꓜ",
    ".": "․。｡", "-": "‐‑‒–−", "/": "⁄∕⧸", "'": "‘’ʼ",
}  # fmt: skip

# Blocks in which a compatibility form may stand for ASCII characters (NFKC of the one character).
_COMPATIBILITY = (
    (0xAA, 0xBF), (0x17F, 0x180), (0x2B0, 0x2E5), (0x1D2C, 0x1D6B), (0x2000, 0x200B), (0x2024, 0x2027),
    (0x2070, 0x20A0), (0x2100, 0x2190), (0x2460, 0x2500), (0xFB00, 0xFB07), (0xFF01, 0xFF5F),
    (0x1D400, 0x1D800), (0x1F100, 0x1F150),
)  # fmt: skip

# Letters with a stroke have no decomposition; the negative circled and squared letters have none either.
_STROKES = str.maketrans("đĐħıłŁøØŧ", "dDhilLoOt")
_PICTURED = ((0x1F150, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), (0x1F170, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))

# Digits and signs that stand for letters, and letters that look alike in many fonts. Only for comparing.
_ALIKE = str.maketrans("01358$@|!i", "olesbsalll")
_NOT_WORD = re.compile(r"[\W_]+")
_WORD = re.compile(r"\w+")


def _table() -> dict[int, str]:
    table = {ord(char): letter for letter, chars in _LOOKALIKES.items() for char in chars}
    for first, beyond in _COMPATIBILITY:
        for code in range(first, beyond):
            plain = unicodedata.normalize("NFKC", chr(code))
            if plain.isascii() and plain != chr(code):
                table.setdefault(code, plain.strip("()") or plain)
    for first, letters in _PICTURED:
        table.update({first + at: letter for at, letter in enumerate(letters)})
    return table


_TABLE = _table()
_IMITATIONS = frozenset(char for char in map(chr, _TABLE) if _WORD.match(char))
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def imitates(text: str) -> bool:
    """Whether `fold` would change any word of a text."""
    return not _IMITATIONS.isdisjoint("".join(_BEYOND_ASCII.findall(text)))


def fold(text: str) -> str:
    """Replace every look-alike by the ASCII it imitates; case, accents and everything else stay.

    Meant for text that claims to be Latin (names, host labels). Honest Cyrillic or Greek text turns into
    nonsense: use `fold_mixed` on running text.
    """
    return text if text.isascii() else text.translate(_TABLE)


def fold_mixed(text: str) -> str:
    """Fold only what no honest writer writes: words that mix Latin with look-alikes, and compatibility forms.

    A word wholly in another script is left as it is, so Russian and Greek stay readable.
    """
    return text if text.isascii() else _WORD.sub(_fold_word, text)


def _fold_word(match: re.Match[str]) -> str:
    word = match.group()
    if word.isascii():
        return word
    folded = word.translate(_TABLE)
    if folded == word or mixes_scripts(word) or not any(_script(char) in _OTHERS for char in word):
        return folded
    return word


def mixes_scripts(text: str) -> bool:
    """Whether letters of Latin and of Cyrillic, Greek, Armenian or Cherokee stand in the same text."""
    scripts = set(_scripts(text))
    return "LATIN" in scripts and bool(scripts & _OTHERS)


def skeleton(text: str) -> str:
    """Return a form in which texts that look alike are equal: for comparing names, never for showing.

    Look-alikes are folded, case, accents, spaces and punctuation dropped, digits read as letters (0 as o,
    1 and i as l, 5 as s), "rn" as m, "vv" as w. The result is lower-case letters and digits.
    """
    return text.translate(_SKELETONS).replace("rn", "m").replace("vv", "w")


class _Skeletons(dict[int, str]):
    """What each character becomes in a skeleton, worked out when first met (at most one entry a code point).

    Ligatures of whole phrases (U+FDFA) are cut at four letters, so that no text grows without bound.
    """

    def __missing__(self, code: int) -> str:
        apart = unicodedata.normalize("NFKD", fold(chr(code)))
        plain = "".join(char for char in apart if not unicodedata.combining(char))[:4]
        self[code] = _NOT_WORD.sub("", plain.translate(_STROKES).lower().translate(_ALIKE))
        return self[code]


_SKELETONS = _Skeletons()
_OTHERS = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "LISU", "COPTIC"})


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0] if char.isalpha() else ""


def _scripts(text: str) -> Iterator[str]:
    return (_script(char) for char in text)
