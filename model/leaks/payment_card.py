"""Payment card numbers (ISO/IEC 7812): issuer range, length, check digit, and how people write them.

One in ten random numbers passes the check digit, so a bare number is not enough: it must be written in a card's
groups, or words about cards must stand near it. Order and parcel numbers, parts of links and of longer runs of
digits are not cards.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

NAME = "payment-card"

_RUN = re.compile(r"(?<![\w.,/=&?#%+@-])[0-9]{1,19}(?:[ .-][0-9]{1,19}){0,40}(?![\w/=@])")
_GROUP = re.compile("[0-9]{4}")
_IBAN_BEFORE = re.compile(r"\b[A-Z]{2}[0-9]{2}[ -]?\Z")
_NEAR = 60  # characters looked at on both sides of a number
_ABOUT_CARDS = re.compile(
    r"card|karte|carte\b|carta\b|cartão|tarjeta|kaart|visa|master|amex|american express|maestro|diners|unionpay|"
    r"\bcvv|\bcvc|\bcvn|expir|\bexp\b|gültig bis|valid thru|valid until|scadenza|caduc",
    re.IGNORECASE,
)
_ABOUT_OTHERS = re.compile(
    r"order|bestell|tracking|parcel|paket|sendung|shipment|invoice|rechnung|kunden|customer|ticket|reference|"
    r"referenz|\bref\b|imei|isbn|ean\b|serial|serien|tel\b|phone|telefon|fax|pedido|commande|ordine|account no",
    re.IGNORECASE,
)

# How cards are printed, as lengths of groups; a bare number is one group.
_GROUPS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13), (4, 4, 4, 1), (4, 4, 5)})
_SOLID = range(13, 20)

# Numbers that payment services publish for testing.
_PUBLISHED = frozenset({
    "4111111111111111", "4242424242424242", "4012888888881881", "4000056655665556", "4000000000000002",
    "4222222222222", "4000000000003220", "4917610000000000", "4917300800000000", "4484070000000000",
    "4462030000000000", "5555555555554444", "5105105105105100", "5200828282828210", "5454545454545454",
    "2223003122003222", "2222400070000005", "2223000048400011", "378282246310005", "371449635398431",
    "378734493671000", "341111111111111", "6011111111111117", "6011000990139424", "6011000400000000",
    "30569309025904", "38520000023237", "36148900647913", "3056930009020004", "36227206271667",
    "3530111333300000", "3566002020360505", "3569990010095841", "6200000000000005", "6205500000000000004",
    "6759649826438453", "6799990100000000019", "5019717010103742",
})  # fmt: skip

_DOT = "•"
_SURE, _LIKELY, _BARE, _TEST = 0.97, 0.9, 0.4, 0.2

_DIGITS = {zero + digit: str(digit) for zero in (0xFF10, 0x0660, 0x06F0) for digit in range(10)}
_SPACES = {0xA0: " ", 0x202F: " ", 0x2009: " ", 0x2007: " ", 0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-"}
_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_PLAIN = {**_DIGITS, **_SPACES, **_INVISIBLE}


@dataclass(frozen=True, slots=True)
class _Issuer:
    name: str
    first: int  # of the range of leading six digits
    last: int
    lengths: frozenset[int]
    rare: bool = False  # wide ranges that many other numbers fall into: words about cards are needed


_ISSUERS = (
    _Issuer("Visa", 400000, 499999, frozenset({13, 16, 19})),
    _Issuer("Mastercard", 510000, 559999, frozenset({16})),
    _Issuer("Mastercard", 222100, 272099, frozenset({16})),
    _Issuer("American Express", 340000, 349999, frozenset({15})),
    _Issuer("American Express", 370000, 379999, frozenset({15})),
    _Issuer("Discover", 601100, 601199, frozenset({16, 19})),
    _Issuer("Discover", 644000, 659999, frozenset({16, 19})),
    _Issuer("JCB", 352800, 358999, frozenset({16, 19})),
    _Issuer("Diners Club", 300000, 305999, frozenset({14, 16})),
    _Issuer("Diners Club", 309500, 309599, frozenset({14, 16})),
    _Issuer("Diners Club", 360000, 369999, frozenset({14, 16})),
    _Issuer("Diners Club", 380000, 399999, frozenset({14, 16})),
    _Issuer("UnionPay", 620000, 629999, frozenset({16, 17, 18, 19})),
    _Issuer("Maestro", 500000, 509999, frozenset(range(13, 20)), rare=True),
    _Issuer("Maestro", 560000, 589999, frozenset(range(13, 20)), rare=True),
    _Issuer("Maestro", 630000, 639999, frozenset(range(13, 20)), rare=True),
    _Issuer("Maestro", 670000, 679999, frozenset(range(13, 20)), rare=True),
)


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1 annex B)."""
    total = 0
    for at, char in enumerate(reversed(digits)):
        value = int(char) * (1 + at % 2)
        total += value - 9 * (value > 9)  # the digits of a two-digit product are added
    return total % 10 == 0


def find(text: str) -> Iterator[tuple[str, float]]:
    """Yield (issuer and last four digits, confidence) for each card number in the text."""
    for _, _, told, confidence in _matches(text if text.isascii() else text.translate(_PLAIN)):
        if confidence:
            yield told, confidence


def mask(text: str) -> str:
    """Return the text with every card number, however unsure, reduced to its last four digits."""
    plain = text if text.isascii() else text.translate(_PLAIN)
    kept, at = [], 0
    for start, end, _, _ in _matches(plain):
        kept += [plain[at:start], re.sub("[0-9]", _DOT, plain[start : end - 4])]
        at = end - 4
    return "".join([*kept, plain[at:]]) if kept else text


def _matches(text: str) -> Iterator[tuple[int, int, str, float]]:
    """Yield (start, end, what is told, confidence) of each card number in a text of plain digits and spaces."""
    for run in _RUN.finditer(text):
        if run.end() - run.start() < min(_SOLID) or not _GROUP.search(run.group()):
            continue
        if _IBAN_BEFORE.search(text, max(0, run.start() - 6), run.start()):
            continue
        around = text[max(0, run.start() - _NEAR) : run.start()] + " " + text[run.end() : run.end() + _NEAR]
        for start, end, digits, grouped, crowded in _candidates(run.group()):
            issuer = _issuer(digits)
            if issuer and luhn(digits):
                yield (run.start() + start, run.start() + end, f"{issuer.name} ending in {digits[-4:]}",
                       _confidence(digits, grouped, crowded, issuer.rare, around))


def _candidates(run: str) -> Iterator[tuple[int, int, str, bool, bool]]:
    """Yield (start, end, digits, grouped, crowded) in a run of digit groups.

    crowded: it stands among more groups of a card's length.
    """
    groups = re.split("[ .-]", run)
    lengths = tuple(map(len, groups))
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length + 1)
    at = 0
    while at < len(groups):
        size = next((n for n in (5, 4, 3, 2) if at + n <= len(groups) and lengths[at : at + n] in _GROUPS), 0)
        if size:
            beside = lengths[max(0, at - 1) : at] + lengths[at + size : at + size + 1]
            yield starts[at], starts[at + size] - 1, "".join(groups[at : at + size]), True, 4 in beside
        elif lengths[at] in _SOLID:
            yield starts[at], starts[at + 1] - 1, groups[at], False, False
            size = 1
        at += size or 1


def _issuer(digits: str) -> _Issuer | None:
    lead, length = int(digits[:6]), len(digits)
    return next((i for i in _ISSUERS if i.first <= lead <= i.last and length in i.lengths), None)


def _confidence(digits: str, grouped: bool, crowded: bool, rare: bool, around: str) -> float:
    """Return how sure we are; 0 where there is nothing to tell."""
    about_cards = _ABOUT_CARDS.search(around) is not None
    about_others = _ABOUT_OTHERS.search(around) is not None
    if digits in _PUBLISHED:
        return _TEST
    if about_cards:
        return _SURE if grouped and not about_others else _LIKELY
    if rare or crowded or about_others:
        return _BARE if grouped and not (rare or crowded) else 0.0
    return _LIKELY if grouped else _BARE
