"""The tables, in types that SQLite and PostgreSQL share.

In clear are only the columns that lists filter and sort by: times, state, direction, listener, sizes, the
envelope's sender and recipient, the model's label, score and version, the deciding reason's code, the probability of
a sample, who reviewed what and why; and figures about the model that name nobody (`epochs` and what follows).
Everything else that comes from a message is sealed: the body, its subject and header addresses, its text, links and
file names, the client's facts, the ESMTP parameters, reasons and findings.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

HEAD = "0005"
"""The revision that this code reads and writes; the newest of `quarantine/migrations`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware UTC time as microseconds since 1970: exact, sortable and the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's
        """Turn a time into a number. Naive times are refused."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's
        """Turn the number back into a time."""
        return None if value is None else _EPOCH + int(value) * _MICROSECOND


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

vault = Table(
    "vault",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    comment="one sealed word, which tells at once whether the key file belongs to this database",
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kept_at", Moment, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("listener", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("pieces", Integer, nullable=False),
    Column("body", Boolean, nullable=False),
    Column("model", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("record", LargeBinary, nullable=False),
    comment="a message once, however many recipients; `record` is sealed",
)

bodies = Table(
    "bodies",
    metadata,
    Column("message_id", String(16), ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    comment="the pieces of a body, compressed and sealed, each under 1 MB",
)

items = Table(
    "items",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("message_id", String(16), ForeignKey("messages.id"), nullable=False),
    Column("state", String(12), nullable=False),
    Column("kept_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("route", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("label", String(12), nullable=True),
    Column("p_bad", Float, nullable=True),
    Column("reviewed", String(12), nullable=True),
    Column("deadline", Moment, nullable=True),
    Column("before", String(12), nullable=True),
    Column("attempt", Integer, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("drawn", Float, nullable=True),
    Index(None, "state", "changed_at"),
    Index(None, "kept_at", "id"),
    Index(None, "message_id"),
    comment="a message and a recipient; `record` is sealed",
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_id", String(16), ForeignKey("items.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", String(12), nullable=False),
    Column("label", String(12), nullable=True),
    Column("reason", Text, nullable=False),
    Column("before", String(12), nullable=True),
    Column("after", String(12), nullable=True),
    Index(None, "item_id"),
    comment="who did what, when and why; rows are only ever added, and go with their item",
)

positions = Table(
    "positions",
    metadata,
    Column("reviewer", String(200), primary_key=True),
    Column("kept_at", Moment, nullable=False),
    Column("item_id", String(16), nullable=False),
    comment="where each reviewer stopped",
)

correspondents = Table(
    "correspondents",
    metadata,
    Column("local", LargeBinary, primary_key=True),
    Column("outside", LargeBinary, primary_key=True),
    Column("bond", String(8), primary_key=True),
    Column("domain", LargeBinary, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Index(None, "last_at"),
    comment="who writes to whom, as keyed hashes of addresses and of the outside address's domain",
)

epochs = Table(
    "epochs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("model", Text, nullable=False),
    Column("settings", String(64), nullable=False),
    Column("gateway", Text, nullable=False, server_default=""),
    comment="a time in which one model served under one policy at one gateway; `settings` is a digest",
)

tallies = Table(
    "tallies",
    metadata,
    Column("epoch", Integer, ForeignKey("epochs.id"), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("direction", String(8), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("value", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
    Index(None, "at"),
    comment="how many messages of an hour or a day had a value: of the verdict, the score, a fact",
)

trips = Table(
    "trips",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", Integer, ForeignKey("epochs.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("kept", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("kept_before", BigInteger, nullable=False),
    Column("messages_before", BigInteger, nullable=False),
    Column("cleared_at", Moment, nullable=True),
    Column("cleared_by", Text, nullable=True),
    Column("reason", Text, nullable=True),
    comment="when the breaker tripped, on which figures, and who cleared it",
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", Integer, ForeignKey("epochs.id"), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("name", String(32), nullable=False),
    Column("at", Moment, nullable=False),
    Column("psi", Float, nullable=False),
    Column("over_at", Moment, nullable=True),
    comment="which distribution has drifted, from when to when",
)

shadows = Table(
    "shadows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("direction", String(8), nullable=False),
    Column("listener", Text, nullable=False),
    Column("route", String(12), nullable=False),
    Column("shadow_route", String(12), nullable=False),
    Column("p_bad", Float, nullable=False),
    Column("shadow_p_bad", Float, nullable=False),
    Column("message_id", String(16), nullable=True),
    Index(None, "candidate", "at"),
    comment="a message as the model that serves and as a candidate see it; its id where it was kept or sampled",
)
