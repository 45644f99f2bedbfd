"""How many pages an uploaded document has: what a fax or a letter is charged by"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("pages", sa.Integer(), server_default="0", nullable=False))
