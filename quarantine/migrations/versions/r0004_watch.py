"""What is watched about the model that serves: epochs, tallies, trips of the breaker, drift alarms, shadow scores."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "epochs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("settings", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_epochs"),
    )
    op.create_table(
        "tallies",
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("epoch", "at", "direction", "name", "value", name="pk_tallies"),
        sa.ForeignKeyConstraint(["epoch"], ["epochs.id"], name="fk_tallies_epoch"),
    )
    op.create_index("ix_tallies_at", "tallies", ["at"])
    _trips()
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("psi", sa.Float, nullable=False),
        sa.Column("over_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alarms"),
        sa.ForeignKeyConstraint(["epoch"], ["epochs.id"], name="fk_alarms_epoch"),
    )
    _shadows()


def _trips() -> None:
    op.create_table(
        "trips",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("kept", sa.BigInteger, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.Column("kept_before", sa.BigInteger, nullable=False),
        sa.Column("messages_before", sa.BigInteger, nullable=False),
        sa.Column("cleared_at", sa.BigInteger, nullable=True),
        sa.Column("cleared_by", sa.Text, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_trips"),
        sa.ForeignKeyConstraint(["epoch"], ["epochs.id"], name="fk_trips_epoch"),
    )


def _shadows() -> None:
    op.create_table(
        "shadows",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("listener", sa.Text, nullable=False),
        sa.Column("route", sa.String(12), nullable=False),
        sa.Column("shadow_route", sa.String(12), nullable=False),
        sa.Column("p_bad", sa.Float, nullable=False),
        sa.Column("shadow_p_bad", sa.Float, nullable=False),
        sa.Column("message_id", sa.String(16), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_shadows"),
    )
    op.create_index("ix_shadows_candidate_at", "shadows", ["candidate", "at"])
