"""What a snapshot cannot teach or tell, said when it is frozen and not after an hour of training. Pure."""

from collections import Counter
from collections.abc import Sequence

from training.store.entry import Entry, LabelSource, Origin

FEW = 10
"""Groups of a class below which nothing is learnt but the messages themselves."""
MUCH = 0.5
"""Share of a class that one sender's domain may have before a model learns the sender."""


def shortcomings(entries: Sequence[Entry]) -> list[str]:
    """Return what is wrong with a set of labelled messages, a sentence each; empty if nothing stands out."""
    found = []
    for name, bad in (("ham", False), ("bad mail", True)):
        side = [e for e in entries if e.bad is bad]
        groups = len({e.group for e in side})
        if not side:
            found.append(f"there is no {name} in it: a model needs both, or other data beside it")
            continue
        if groups < FEW:
            found.append(f"only {groups} distinct {'message' if groups == 1 else 'messages'} of {name} in it")
        domain, most = Counter(e.sender_domain for e in side).most_common(1)[0]
        if domain and most > MUCH * len(side) and len(side) > 1:
            found.append(f"{most} of {len(side)} {name} are from {domain}: a model would learn the sender")
    origins = {e.origin for e in entries}
    if origins == {Origin.KEPT}:
        found.append("all of it was kept by the gateway: how often that errs on what it delivers cannot be told")
    if entries and all(e.label_source is LabelSource.RULE for e in entries):
        found.append("no person has looked at any of it: every label is a bulk rule's")
    return found
