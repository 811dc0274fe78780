"""Several gateways on one database: each has epochs of its own, and with them counts, trips and alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the column; what is there belongs to the first gateway that opens it (`tallies.adopt`)."""
    op.add_column("epochs", sa.Column("gateway", sa.Text, nullable=False, server_default=""))
