"""Snapshots of the data store as samples: each way that mail came to be looked at is measured apart.

Mail that the gateway kept was chosen by a model and says nothing of what was delivered; a random sample of delivered
mail stands for all of it, each message 1/p times. To add the two up would be a figure of nothing.
"""

import numpy as np

from model.domains import DomainLists
from training.evaluation.sets import Sample
from training.gather import Tell
from training.reading import Reader
from training.settings import TrainSettings
from training.store.entry import Origin, Snapshot
from training.store.examples import examples
from training.store.store import DataStore

TAKEN = {
    Origin.KEPT: "kept mail that was reviewed: chosen by a model, so it says nothing of what was delivered",
    Origin.SAMPLED: "a random sample of delivered mail, each message weighing 1/p",
    Origin.IMPORTED: "imported mail: as good a sample as whoever chose it made it",
}


def snapshot_samples(store: DataStore, snapshot: Snapshot, settings: TrainSettings, tell: Tell) -> list[Sample]:
    """Return a sample for each origin that the snapshot has. Raises DataStoreError, OSError."""
    out = []
    with Reader(settings.cache, DomainLists.load()) as reader:
        for origin, taken in TAKEN.items():
            entries = [e for e in snapshot.entries if e.origin is origin]
            found = examples(store, snapshot, reader, entries=entries, tell=tell) if entries else []
            if not found:
                continue
            stands_for = {e.digest: e.sample_weight for e in entries}
            weight = np.array([stands_for[e.key] for e in found], dtype=np.float64)
            name = f"{snapshot.name} ({origin})"
            out.append(Sample.of(name, found, weight=weight, taken=f"{taken}; snapshot {snapshot.fingerprint[:12]}"))
    return out
