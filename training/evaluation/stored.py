"""Snapshots of the data store as samples: each way that mail came to be looked at is measured apart.

Mail that the gateway kept was chosen by a model and says nothing of what was delivered; a random sample of delivered
mail stands for all of it, each message 1/p times. To add the two up would be a figure of nothing.

A model that learnt from this store is measured on what it left alone: three in ten groups are the gate's and train
nothing, and what came after its snapshot has trained nothing either.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from model.domains import DomainLists
from training.evaluation.sets import RefusedError, Sample
from training.gate.parts import for_gate
from training.gather import Tell
from training.reading import Reader
from training.settings import TrainSettings
from training.store.entry import Origin, Snapshot
from training.store.examples import examples
from training.store.snapshots import listed, snapshot
from training.store.store import DataStore

TAKEN = {
    Origin.KEPT: "kept mail that was reviewed: chosen by a model, so it says nothing of what was delivered",
    Origin.SAMPLED: "a random sample of delivered mail, each message weighing 1/p",
    Origin.IMPORTED: "imported mail: as good a sample as whoever chose it made it",
}


def taught_by(store: DataStore, record: Mapping[str, Any]) -> frozenset[str]:
    """Return the groups of this store that trained a model, by its manifest's `training` table; empty if none did."""
    learnt = record.get("site") or {}
    name = str(learnt.get("snapshot", ""))
    known = next((s for s in listed(store) if s.name == name and s.fingerprint == learnt.get("fingerprint")), None)
    entries = snapshot(store, name).entries if known else ()
    return frozenset(e.group for e in entries if not for_gate(e.group))


def snapshot_samples(
    store: DataStore, frozen: Snapshot, settings: TrainSettings, tell: Tell, taught: frozenset[str] = frozenset()
) -> list[Sample]:
    """Return a sample for each origin that the snapshot has, without the groups of `taught`.

    Raises DataStoreError, OSError; RefusedError where nothing is left.
    """
    free = [e for e in frozen.entries if e.group not in taught]
    left = len(frozen.entries) - len(free)
    if left and not free:
        raise RefusedError(f"snapshot {frozen.name}: all of its {left} messages, or near copies, trained the model; "
                           "freeze one that has newer mail")  # fmt: skip
    apart = f"; {left} messages of the snapshot that trained the model are left out" if left else ""
    out = []
    with Reader(settings.cache, DomainLists.load()) as reader:
        for origin, taken in TAKEN.items():
            entries = [e for e in free if e.origin is origin]
            found = examples(store, frozen, reader, entries=entries, tell=tell) if entries else []
            if not found:
                continue
            stands_for = {e.digest: e.sample_weight for e in entries}
            weight = np.array([stands_for[e.key] for e in found], dtype=np.float64)
            name = f"{frozen.name} ({origin})"
            told = f"{taken}; snapshot {frozen.fingerprint[:12]}{apart}"
            out.append(Sample.of(name, found, weight=weight, taken=told))
    return out
