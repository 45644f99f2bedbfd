"""Released numbers, the last package of an account, an index of accounts that are recharged by themselves"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "released_numbers",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_released_numbers")),
    )
    op.add_column("users", sa.Column("package_id", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_users_auto_recharge"), "users", ["auto_recharge"], unique=False)
