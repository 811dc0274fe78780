"""The first tables: vault, messages, bodies, items, reviews, positions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "vault",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_vault"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("listener", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("stored", sa.BigInteger, nullable=False),
        sa.Column("pieces", sa.Integer, nullable=False),
        sa.Column("body", sa.Boolean, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    op.create_table(
        "bodies",
        sa.Column("message_id", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_id", "number", name="pk_bodies"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_bodies_message_id", ondelete="CASCADE"),
    )
    _items()
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("item_id", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("action", sa.String(12), nullable=False),
        sa.Column("label", sa.String(12), nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("before", sa.String(12), nullable=True),
        sa.Column("after", sa.String(12), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name="fk_reviews_item_id", ondelete="CASCADE"),
    )
    op.create_index("ix_reviews_item_id", "reviews", ["item_id"])
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER reviews_are_only_added BEFORE UPDATE ON reviews "
            "BEGIN SELECT RAISE(ABORT, 'what was done is never rewritten'); END"
        )
    op.create_table(
        "positions",
        sa.Column("reviewer", sa.String(200), nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
        sa.Column("item_id", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("reviewer", name="pk_positions"),
    )


def _items() -> None:
    op.create_table(
        "items",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("message_id", sa.String(16), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("route", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("label", sa.String(12), nullable=True),
        sa.Column("p_bad", sa.Float, nullable=True),
        sa.Column("reviewed", sa.String(12), nullable=True),
        sa.Column("deadline", sa.BigInteger, nullable=True),
        sa.Column("before", sa.String(12), nullable=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_items"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name="fk_items_message_id"),
    )
    op.create_index("ix_items_state_changed_at", "items", ["state", "changed_at"])
    op.create_index("ix_items_kept_at_id", "items", ["kept_at", "id"])
    op.create_index("ix_items_message_id", "items", ["message_id"])
