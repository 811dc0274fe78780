"""Labels that look wrong, each with its reason: confident learning over this site's words and the model's score."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from training.store.entry import Entry, LabelChange, LabelSource
from training.triage.linear import out_of_fold, with_score
from training.triage.mislabels import suspicions
from training.triage.neighbours import nearest
from training.triage.pile import Pile
from training.triage.queue import Neighbour
from training.triage.settings import TriageSettings

SETTLED = "looked wrong, and was looked at again"
"""Reason of a label that somebody gave knowing that the one before was suspected."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A labelled message whose label looks wrong. `p_other`: probability of the other class by a fit that has not
    seen its campaign; `usual`: what messages so labelled have on average; `p_model`: bad mail, by the model alone.
    """

    entry: Entry
    subject: str
    p_other: float
    usual: float
    p_model: float
    near: tuple[Neighbour, ...]

    @property
    def reason(self) -> str:
        """Say why, in a sentence."""
        other = "ham" if self.entry.bad else "bad mail"
        against = sum((n.label == "ham") is bool(self.entry.bad) for n in self.near)
        like = f"; {against} of the {len(self.near)} messages most like it are {other}" if self.near else ""
        return (
            f"labelled {self.entry.name}, but judged by all other mail it is {self.p_other:.0%} {other} (mail "
            f"labelled so: {self.usual:.0%} on average); the model says {self.p_model:.0%} bad{like}"
        )


def settled(history: Iterable[LabelChange]) -> set[str]:
    """Return the messages whose newest label settled a suspicion: to ask again would change nothing."""
    newest = {h.digest: h for h in sorted(history, key=lambda h: h.at) if h.source is not LabelSource.DRAFT}
    return {digest for digest, line in newest.items() if line.reason == SETTLED and line.after}


def suspects(pile: Pile, settings: TriageSettings, without: Collection[str] = ()) -> list[Suspect]:
    """Return the suspected labels of a scored pile, the surest first, but not those of the messages in `without`.

    Raises ValueError if too little is labelled.
    """
    table = with_score(pile.words, np.array(pile.scores), settings.linear)
    p = out_of_fold(table, pile.bad, pile.groups, settings.linear)
    found = [s for s in suspicions(p, pile.bad) if pile.entries[s.at].digest not in without]
    near = nearest(pile.words[[s.at for s in found]], pile.words, 4 * settings.neighbours) if found else []
    return [
        Suspect(
            pile.entries[s.at], pile.subjects[s.at], s.p, s.usual, pile.scores[s.at],
            tuple(
                Neighbour(pile.entries[n].digest, pile.subjects[n], pile.entries[n].name, c)
                for n, c in line
                if pile.groups[n] != pile.groups[s.at]
            )[: settings.neighbours],
        )
        for s, line in zip(found, near, strict=True)
    ]  # fmt: skip
