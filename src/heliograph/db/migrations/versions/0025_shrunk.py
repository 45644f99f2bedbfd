"""Pictures as small as a carrier takes them"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "shrunk",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("largest_bytes", sa.Integer(), nullable=False),
        sa.Column("largest_side", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Text(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "largest_bytes", "largest_side", name=op.f("pk_shrunk")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_shrunk_file_id"), "shrunk", ["file_id"], unique=False)
