"""Who writes to whom here, as keyed hashes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "correspondents",
        sa.Column("local", sa.LargeBinary, nullable=False),
        sa.Column("outside", sa.LargeBinary, nullable=False),
        sa.Column("bond", sa.String(8), nullable=False),
        sa.Column("domain", sa.LargeBinary, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("local", "outside", "bond", name="pk_correspondents"),
    )
    op.create_index("ix_correspondents_last_at", "correspondents", ["last_at"])
