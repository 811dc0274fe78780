"""How far two reviewers agree beyond chance: Cohen's kappa (Cohen 1960) over mail that both looked at. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from training.store.entry import BAD, LabelChange, LabelSource, compatible

_HAM = "ham"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two people and what they said of the same campaigns. `kappa` is over the labels as given, `kappa_bad` over ham
    against bad; None where both gave one and the same label throughout, so that chance explains everything.

    `differ`: a message of each campaign on which they contradict each other, with both labels.
    """

    one: str
    other: str
    both: int
    same: int
    kappa: float | None
    kappa_bad: float | None
    differ: tuple[tuple[str, str, str], ...]


def words_of(history: Iterable[LabelChange], sources: Sequence[LabelSource]) -> dict[str, dict[str, str]]:
    """Return by message what each person says of it now: the newest word that was not taken back."""
    newest: dict[tuple[str, str, str], LabelChange] = {}
    for line in sorted((h for h in history if h.source in sources), key=lambda h: h.at):
        newest[line.digest, line.by, line.source] = line
    found: dict[str, dict[str, str]] = {}
    for line in sorted(newest.values(), key=lambda h: h.at):
        if line.after:
            found.setdefault(line.digest, {})[line.by] = line.after
    return found


def agreements(history: Iterable[LabelChange], group_of: Mapping[str, str]) -> list[Agreement]:
    """Return one line for each two people who reviewed the same campaigns, those with most in common first.

    Only labels that people gave one message at a time count; of a campaign (`group_of`) one message does.
    """
    said = words_of(history, (LabelSource.REVIEW,))
    pairs: dict[tuple[str, str], dict[str, tuple[str, str, str]]] = {}
    for digest in sorted(said):
        for one, other in combinations(sorted(said[digest]), 2):
            lines = pairs.setdefault((one, other), {})
            lines.setdefault(group_of.get(digest, digest), (digest, said[digest][one], said[digest][other]))
    found = [_agreement(one, other, list(lines.values())) for (one, other), lines in pairs.items()]
    return sorted(found, key=lambda a: (-a.both, a.one, a.other))


def _agreement(one: str, other: str, lines: Sequence[tuple[str, str, str]]) -> Agreement:
    labels = [(a, b) for _, a, b in lines]
    sides = [(a if a == _HAM else BAD, b if b == _HAM else BAD) for a, b in labels]
    differ = tuple(line for line in lines if not compatible(line[1:]))
    return Agreement(one, other, len(lines), sum(a == b for a, b in labels), kappa(labels), kappa(sides), differ)


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa: (observed − chance) / (1 − chance); None without pairs, or where chance is 1."""
    if not pairs:
        return None
    n = len(pairs)
    observed = sum(a == b for a, b in pairs) / n
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[label] * second[label] for label in first) / n**2
    return None if chance == 1 else (observed - chance) / (1 - chance)
