"""What can go wrong with the store, as exceptions with texts that are safe to show.

    StoreError            anything: the mail was not kept, or the action was not done
    ├── StoreFull         no room on the disk
    ├── NotFound          no such item, or a prefix that fits several
    └── WrongState        the move is not legal from the item's state, or somebody else was faster

No text quotes a message, a query or its parameters.
"""


class StoreError(Exception):
    """The store could not do it. Nothing was half done: every write is one transaction."""


class StoreFull(StoreError):
    """The disk of the database is full."""


class NotFound(StoreError):
    """No item has this id."""


class WrongState(StoreError):
    """The item is in a state that does not allow this."""
