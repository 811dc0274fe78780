"""Copies of delivered mail: the probability with which an item was drawn, null for what was kept."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the column; everything that is there was kept."""
    op.add_column("items", sa.Column("drawn", sa.Float, nullable=True))
