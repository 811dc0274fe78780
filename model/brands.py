"""Whose name a text carries: the names that thieves borrow, and the domains that may speak for them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from model.confusables import skeleton

_WORD = re.compile(r"[^\W_]+(?:[$@!|'\u2019][^\W_]+)*")
_MAX_WORDS = 12
_LONGEST = 4  # words in the longest name that is looked for
_PREFIX = 3
_SHORT = 4  # letters in a name that other words may hold by chance
_BANK_LABEL = 8  # shorter ones ("mybank") are words
_BANK = re.compile(r"bank|banc|banque|sparkasse|caixa|kasse")

@dataclass(frozen=True, slots=True)
class Brand:
    """A name and its domains. `common`: an everyday word, which counts only when nothing else stands beside it."""

    name: str
    domains: frozenset[str]
    common: bool


class Brands:
    """Names by skeleton, so that "paypa1" and "РayPal" find "paypal"."""

    def __init__(self, brands: Iterable[Brand], beside: Iterable[str] = ()) -> None:
        self._beside = frozenset(map(skeleton, beside))
        self._by_skeleton = {skeleton(brand.name): brand for brand in brands}
        self._lengths = sorted({len(key) for key in self._by_skeleton if len(key) >= _PREFIX}, reverse=True)

    @classmethod
    def load(cls, path: Path, banks: Iterable[str] = (), beside: Iterable[str] = ()) -> Self:
        """Read `NAME: DOMAIN…` lines; `=NAME` marks a common word. Bank domains add names that say "bank".

        `beside` are the words that thieves, and firms themselves, put beside a name: "security", "support".
        """
        brands = []
        labels: dict[str, set[str]] = {}
        for domain in banks:
            label = domain.partition(".")[0]
            if len(label) >= _BANK_LABEL and _BANK.search(label):
                labels.setdefault(label, set()).add(domain)
        brands += [Brand(label, frozenset(domains), common=False) for label, domains in labels.items()]
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, domains_text = line.partition("#")[0].partition(":")
            if name.strip():
                name = name.strip()
                brands.append(Brand(name.lstrip("="), frozenset(domains_text.split()), name.startswith("=")))
        return cls(brands, beside)

    def __len__(self) -> int:
        return len(self._by_skeleton)

    def named(self, text: str) -> Brand | None:
        """Return the brand whose name stands in a short text (a display name, a host with dots), if any."""
        words = [skeleton(word) for word in _WORD.findall(text[:200])[:_MAX_WORDS]]
        words = [word for word in words if word]
        for size in range(min(_LONGEST, len(words)), 0, -1):
            for at in range(len(words) - size + 1):
                brand = self._by_skeleton.get("".join(words[at : at + size]))
                if brand and (not brand.common or self._alone(words, at, size)):
                    return brand
        for word in words:
            brand = self._glued(word)
            if brand and (not brand.common or len(words) == 1):
                return brand
        return None

    def _alone(self, words: list[str], at: int, size: int) -> bool:
        return all(word in self._beside for word in words[:at] + words[at + size :])

    def _glued(self, word: str) -> Brand | None:
        """Find a name glued to one of the words that are put beside it: paypalsecurity, dhlexpress."""
        for length in self._lengths:
            # a short name and a country's two letters make up other words: Nidhi is nl and dhl, if i looks like l
            shortest = _PREFIX if length <= _SHORT else 1
            if len(word) - length < shortest:
                continue
            brand = self._by_skeleton.get(word[:length])
            if brand and word[length:] in self._beside:
                return brand
            brand = self._by_skeleton.get(word[-length:])
            if brand and word[:-length] in self._beside:
                return brand
        return None
