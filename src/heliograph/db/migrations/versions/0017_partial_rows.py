"""Rows of imports of which something was left out"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("imports", sa.Column("rows_partial", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("import_refusals", sa.Column("partial", sa.SmallInteger(), server_default="0", nullable=False))
