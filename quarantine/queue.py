"""The order in which a reviewer goes through what is undecided, or through samples: oldest first, on from where
they stopped.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import and_, or_

from quarantine.item import REVIEWABLE, UNDECIDED
from quarantine.schema import items
from quarantine.search import ROWS, Filter, Opened, conditions, count, opened
from quarantine.store import Store

Position = tuple[datetime, str]


def undecided(wanted: Filter) -> Filter:
    """Return the filter narrowed to what can still be judged; without states, to what can be decided."""
    return replace(wanted, states=tuple(s for s in wanted.states if s in REVIEWABLE) or UNDECIDED)


def following(store: Store, wanted: Filter, position: Position | None) -> Opened | None:
    """Return the first undecided item after `position`, or the first of all; None at the end."""
    query = ROWS.where(*conditions(undecided(wanted)))
    if position is not None:
        at, item = position
        query = query.where(or_(items.c.kept_at > at, and_(items.c.kept_at == at, items.c.id > item)))
    with store.reading() as connection:
        row = connection.execute(query.order_by(items.c.kept_at, items.c.id).limit(1)).first()
    return None if row is None else opened(store, row)


def waiting(store: Store, wanted: Filter) -> int:
    """Return how many items are undecided."""
    return count(store, undecided(wanted))
