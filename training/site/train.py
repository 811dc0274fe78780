"""`gatepost train --dataset`: a model from this site's verdicts, in minutes, without torch.

The encoder stays; its head, facts, prior and thresholds move. The written set is replayed, so that what the model
knew is not forgotten, and what the gate keeps of the reviewed mail is never touched.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from model.bundle import ENCODER, Bundle
from model.domains import DomainLists
from model.normalise import VERSION
from model.safe_text import safe
from model.score import Scorer
from training.examples import Example, of_written
from training.gate.parts import drawn, for_gate
from training.gather import DataError
from training.holdout import reasons
from training.reading import Reader
from training.settings import TrainSettings
from training.site.bundle import check_base, moved_bundle, training_record, write
from training.site.card import card
from training.site.features import Features, features
from training.site.learn import Learnt, learn
from training.site.votes import Doubt, votes
from training.site.watch import guard_set, refuse, watch
from training.site.watch import report as report_of
from training.store.entry import Entry, Origin, Snapshot
from training.store.examples import examples
from training.store.store import DataStore
from training.triage.approval import approved, approvers, said
from training.written import load as load_written

Tell = Callable[[str], None]
CONFIRM = 2
"""People who gave a label, from which it is never doubted."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A site's own mail that may train: examples with one vote a campaign, their entries, and whether two people
    gave the label that each has.
    """

    examples: tuple[Example, ...]
    entries: tuple[Entry, ...]
    confirmed: tuple[bool, ...]

    @property
    def by(self) -> tuple[str, ...]:
        """Who reported each message, empty where nobody did."""
        return tuple(e.reporter for e in self.entries)


    @property
    def sample(self) -> list[float]:
        """How much of the site's mail each verdict stands for; all 0 where no delivered mail was sampled."""
        if not any(e.origin is Origin.SAMPLED for e in self.entries):
            return [0.0] * len(self.entries)
        drawn = (Origin.KEPT, Origin.SAMPLED)
        return [e.sample_weight if e.origin in drawn and not e.reporter else 0.0 for e in self.entries]


def verdicts_of(store: DataStore, snapshot: Snapshot, reader: Reader, tell: Tell) -> Verdicts:
    """Read what of a snapshot may train: inbound, not the gate's, and approved as `[dataset] approvals` demands.

    A snapshot may be older than that demand, so it is made here once more.
    """
    words = said(store.history())
    may_train = approved(words, store.settings.approvals)
    mine = {e.digest: e for e in snapshot.entries if may_train(e) and not for_gate(e.group)}
    waiting = sum(not may_train(e) for e in snapshot.entries)
    if waiting:
        tell(f"left out {waiting} messages that wait for {store.settings.approvals} people to give them the same "
             "label ([dataset] approvals)")  # fmt: skip
    found = examples(store, snapshot, reader, entries=mine.values(), tell=tell)
    entries = tuple(mine[e.key] for e in found)
    return Verdicts(tuple(found), entries, tuple(len(approvers(e, words)) >= CONFIRM for e in entries))


def train(
    base: Bundle, store: DataStore, snapshot: Snapshot, settings: TrainSettings, out: Path, *,
    now: datetime, tell: Tell, report: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Bundle:  # fmt: skip
    """Make a bundle at `out`, which must not exist, from `base` and a snapshot. `base` stays as it is.

    `report` hears what moved and what was left out, also where the guard refuses. Raises BatchRefusedError,
    BundleError, DataError, DataStoreError, WrittenError, ScoringFailed, OSError; nothing is written then.
    """
    if out.exists():
        raise FileExistsError(f"{out}: already exists; give a new folder, or remove this one")
    check_base(base)
    with Reader(settings.cache, DomainLists.load()) as reader:
        mine = verdicts_of(store, snapshot, reader, tell)
        _enough(mine.examples, snapshot.name, settings.site.fewest)
        tell(f"reading the written set, which is replayed beside {len(mine.examples)} messages with a verdict")
        replay = seed_set(reader, settings)
        guards = guard_set(reader, settings)
    scorer = Scorer(base)
    learnt, given = fitted(scorer, mine, replay, settings, tell)
    for line in left_out(learnt.doubted, mine):
        tell(line)
    tell(f"scoring {len(guards)} written messages that never train, before and after")
    watched = watch(scorer, learnt, guards, settings)
    report(report_of(base, snapshot.name, learnt, watched, [_doubt(d, mine) for d in learnt.doubted]))
    refuse(watched, snapshot.name)
    version = f"{now:%Y%m%d}-{_mark(base, snapshot, settings)}-n{VERSION}-site"
    made, head = moved_bundle(base, given.names, learnt, settings.site, version=version,
                              fingerprint=snapshot.fingerprint, now=now, path=out)  # fmt: skip
    counts = Counter((e.source, "bad" if e.bad else "ham") for e in mine.examples)
    record = {
        **training_record(base),
        "site": {
            "base": base.version,
            "encoder": base.files[ENCODER],
            "snapshot": snapshot.name,
            "fingerprint": snapshot.fingerprint,
            "messages": {f"{origin} {side}": n for (origin, side), n in sorted(counts.items())},
            "replayed": len(replay),
            "left_out": len(learnt.doubted),
            "kinds_told": learnt.kinds.told,
            "settings": settings.site.model_dump(mode="json"),
        },
    }
    text = card(base, made, learnt, record["site"])
    return write(base, made, head, text, record, [e.document.text for e in mine.examples])


def _mark(base: Bundle, snapshot: Snapshot, settings: TrainSettings) -> str:
    """Return eight digits of all that a model is made from, so that two of a day never share a version."""
    made_from = (base.version, snapshot.fingerprint, settings.site.model_dump_json())
    return hashlib.sha256("\n".join(made_from).encode()).hexdigest()[:8]


def fitted(
    scorer: Scorer, mine: Verdicts, replay: Sequence[Example], settings: TrainSettings, tell: Tell
) -> tuple[Learnt, Features]:
    """Fit on verdicts and replayed mail together."""
    site = settings.site
    rows = [*mine.examples, *replay]
    tell(f"reading {len(rows)} messages with the model's encoder")
    given = features(scorer, rows)
    counted = votes(
        [e.weight for e in mine.examples], [f"{e.archive}:{e.group}" for e in mine.examples], mine.by, mine.confirmed,
        [f"{e.archive}:{e.group}" for e in replay], site, mine.sample,
    )  # fmt: skip
    names = [scorer.bundle.fusion.facts[n] for n in given.names]
    tell("fitting")
    bundle = scorer.bundle
    learnt = learn(given, counted, names, bundle.thresholds, bundle.calibration, site)  # fmt: skip
    return learnt, given


def left_out(doubted: Sequence[Doubt], mine: Verdicts) -> list[str]:
    """Say of each verdict that is not believed which it is and why, one line each; nothing where there is none."""
    alone = [d for d in doubted if not d.account]
    accounts = Counter(d.account for d in doubted if d.account)
    lines = [
        f"{n} report{'s' if n > 1 else ''} by {safe(who)} left out: most of what this account reported looks wrong"
        for who, n in sorted(accounts.items())
    ]
    if alone:
        lines.append(
            f"{len(alone)} verdict{'s' if len(alone) > 1 else ''} left out: all other mail says otherwise. Look "
            "again with gatepost dataset review --suspects, or let a second person judge (--second): what two say is "
            "never left out"
        )
    return lines + [
        f"  {entry.digest[:16]} labelled {entry.name} by {safe(entry.reviewer)}: by all other mail {d.p:.0%} "
        f"{'ham' if entry.bad else 'bad'}"
        for d in alone
        for entry in (mine.entries[d.at],)
    ]


def _doubt(doubt: Doubt, mine: Verdicts) -> dict[str, Any]:
    entry = mine.entries[doubt.at]
    return {"message": entry.digest, "label": entry.name, "by": entry.reviewer, "reporter": entry.reporter,
            "p_other": round(doubt.p, 4), "account_not_believed": bool(doubt.account)}  # fmt: skip


def seed_set(reader: Reader, settings: TrainSettings) -> list[Example]:
    """Return the written mail that may train: the same for every site and every run."""
    messages = load_written()
    held = reasons(messages, settings.data.held_out)
    free = sorted((m for m in messages if m.group not in held), key=lambda m: (drawn(f"replay:{m.group}"), m.key))
    found = of_written(free[: settings.site.replay_most], reader, settings.data.seed, held)
    return [replace(e, weight=1.0) for e in found]


def _enough(mine: Sequence[Example], name: str, fewest: int) -> None:
    """Raise DataError where too little, one class, or one sender could teach."""
    groups = len({e.group for e in mine})
    where = "(inbound, labelled, and not among those that the gate keeps for itself)"
    if groups < fewest:
        raise DataError(
            f"snapshot {name}: {groups} distinct messages may train {where}; expected at least {fewest} "
            "(site.fewest): review more mail first"
        )
    for bad, what in ((False, "legitimate"), (True, "bad")):
        if not any(e.bad is bad for e in mine):
            raise DataError(
                f"snapshot {name}: 0 distinct messages that may train are {what} mail, expected at least 1 {where}: "
                "review more mail first, also delivered mail (--sampled)"
            )
    senders = {e.sender for e in mine}
    if len(senders) == 1 and (one := senders.pop()):
        raise DataError(
            f"snapshot {name}: all mail that may train is from one sender, {safe(one)}: that teaches who it is and "
            "nothing of bad mail; review other mail first"
        )
