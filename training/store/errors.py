"""What can go wrong with the data store, as exceptions with texts that are safe to show.

    DataStoreError        anything: nothing was changed
    ├── DataStoreFull     no room on the disk
    └── Contradictions    one group has labels that exclude each other
"""

from collections.abc import Mapping, Sequence

from quarantine.errors import StoreError


class DataStoreError(StoreError):
    """The data store could not do it. Nothing was half done: every write is one transaction."""


class DataStoreFull(DataStoreError):
    """The disk of the data store is full."""


class Contradictions(DataStoreError):
    """Near-duplicates have labels that exclude each other. `groups` names each group with its labels and digests."""

    def __init__(self, text: str, groups: Sequence[tuple[str, Mapping[str, Sequence[str]]]]) -> None:
        super().__init__(text)
        self.groups = tuple(groups)
