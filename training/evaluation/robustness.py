"""How much of what a model catches it still catches when the same mail is dressed up, through the serving code.

Every message is attacked, taken apart again in the killable child, and scored. The change is paired, message by
message, with an interval by sender. Legitimate mail that is so dressed is measured too: a tool that salts or pads is
no crime, but it must be known what it costs.
"""

import hashlib
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.domains import DomainLists
from model.score import Scorer, ScoringFailed
from training.corpora import Corpora
from training.evaluation.attacks import ATTACKS, IMAGE_ONLY, Attack
from training.evaluation.figures import Flags, share
from training.evaluation.paired import compare
from training.evaluation.report import AttackFigures
from training.evaluation.sets import HOUSEHOLD, Sample, evidence_groups, late_site
from training.examples import WRITTEN, Example
from training.gather import Tell
from training.reading import Raw, Reader
from training.settings import TrainSettings
from training.written import compose
from training.written import load as load_written

LINK_FACTS = ("unknown_links", "main_link_matches", "shortener_or_ip_link", "unknown_images")
"""Declared facts that an attack on links makes void: they are computed from the attacked mail."""
CHANGES_LINKS = ("link shorteners", IMAGE_ONLY)


@dataclass(frozen=True, slots=True)
class Message:
    """A raw message with the facts that are declared for it (written mail only), its side, and who it counts for."""

    raw: bytes
    declared: Mapping[str, bool]
    bad: bool
    group: str


def material_for(
    settings: TrainSettings, corpora: Path | None, measured: Sequence[Sample], most: int, tell: Tell = lambda _: None
) -> list[Message]:
    """Choose what to attack: at most `most` outside bad messages, each of another campaign, as many written ones.

    Outside: the later part of `site` and what else is measured. Legitimate mail, half as much: `household`, then
    written mail that was held out.
    """
    examples = {e.key: e for s in measured if not s.made_up for e in s.examples}
    if corpora is not None and not any(e.split == "site" for e in examples.values()):
        examples.update((e.key, e) for e in late_site(settings, corpora, tell))
    written = [e for e in examples.values() if e.archive == WRITTEN]
    outside = [e for e in examples.values() if e.archive != WRITTEN]
    good = [e for e in outside if not e.bad and e.archive == HOUSEHOLD]
    chosen = [
        *_one_a_campaign([e for e in outside if e.bad])[:most],
        *_drawn([e for e in written if e.bad])[:most],
        *[*_one_a_campaign(good), *_drawn([e for e in written if not e.bad])][: most // 2],
    ]
    raw = _raw(settings, corpora)
    groups = evidence_groups(chosen)
    return [
        Message(*found, bad=example.bad, group=group)
        for example, group in zip(chosen, groups, strict=True)
        if (found := raw(example)) is not None
    ]


def _drawn(examples: Sequence[Example]) -> list[Example]:
    """Return examples in a fixed order that is none of time, sender or author."""
    return sorted(examples, key=lambda e: hashlib.sha256(e.key.encode()).digest())


def _one_a_campaign(examples: Sequence[Example]) -> list[Example]:
    first: dict[str, Example] = {}
    for example in _drawn(examples):
        first.setdefault(example.group, example)
    return list(first.values())


def _raw(
    settings: TrainSettings, corpora: Path | None
) -> Callable[[Example], tuple[bytes, Mapping[str, bool]] | None]:
    """Return what gives the bytes of an example, and the facts that are declared for it."""
    written = {m.key: m for m in load_written()}
    opened = Corpora.open(corpora, settings.cache) if corpora else None
    rows = {r.path: r for r in opened.rows} if opened else {}

    def find(example: Example) -> tuple[bytes, Mapping[str, bool]] | None:
        if example.archive == WRITTEN:
            message = written.get(example.key)
            return (compose(message, settings.data.seed), message.facts) if message else None
        row = rows.get(example.key)
        return (opened.raw(row), {}) if opened and row else None

    return find


def robustness(
    scorer: Scorer,
    messages: Sequence[Message],
    *,
    seed: int,
    attacks: Mapping[str, Attack] = ATTACKS,
    tell: Tell = lambda _: None,
) -> tuple[AttackFigures, ...]:
    """Attack every message in every way and tell what is still kept. Nothing attacked outlives the call on disk."""
    with (
        tempfile.TemporaryDirectory(prefix="gatepost-attacks-") as folder,
        Reader(Path(folder), DomainLists.load()) as reader,
    ):
        before, _ = _kept(scorer, [Raw(m.raw, m.declared) for m in messages], reader)
        out = []
        for name, attack in attacks.items():
            tell(f"attack: {name}")
            out.append(_one(name, attack, scorer, messages, before, reader, seed))
    return tuple(out)


def _one(
    name: str, attack: Attack, scorer: Scorer, messages: Sequence[Message], before: Flags, reader: Reader, seed: int
) -> AttackFigures:
    dressed: list[Raw] = []
    at: list[int] = []
    for number, message in enumerate(messages):
        raw = attack(message.raw, random.Random(f"{seed}:{name}:{number}"))  # noqa: S311 - variety, not secrecy
        if raw is not None:
            void = LINK_FACTS if name in CHANGES_LINKS else ()
            dressed.append(Raw(raw, {k: v for k, v in message.declared.items() if k not in void}))
            at.append(number)
    after, failed = _kept(scorer, dressed, reader)
    was = before[at]
    bad = np.array([int(messages[n].bad) for n in at], dtype=np.int64)
    groups = [messages[n].group for n in at]
    found = compare(bad, after, was, groups)
    evil = [g for g, b in zip(groups, bad, strict=True) if b]
    return AttackFigures(
        name,
        share(was[bad == 1], evil),
        share(after[bad == 1], evil),
        found.caught,
        found.false_positives,
        len(messages) - len(at),
        failed,
    )


def _kept(scorer: Scorer, messages: Sequence[Raw], reader: Reader) -> tuple[Flags, int]:
    """Tell for each message whether it would be kept; what cannot be read or scored is not, and is counted."""
    kept, failed = [], 0
    for seen in reader.read(messages):
        if seen.fault:
            failed += 1
            kept.append(False)
            continue
        try:
            kept.append(scorer.score(seen.document, seen.facts).p_bad >= scorer.bundle.thresholds.kept)
        except ScoringFailed:
            failed += 1
            kept.append(False)
    return np.array(kept, dtype=np.bool_), failed
