"""Who was told of low credit, and indexes for what is looked up of accounts"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SOME = (
    ("ix_users_low_credit", "user_id", "low_credit_micros > 0"),
    ("ix_users_low_credit_told", "user_id", "low_credit_told = 1"),
    ("ix_users_with_origins", "cors_origins", "cors_origins <> ''"),
)


def upgrade() -> None:
    op.add_column("users", sa.Column("low_credit_told", sa.SmallInteger(), server_default="0", nullable=False))
    for name, column, where in SOME:
        op.create_index(name, "users", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_index("ix_subaccounts_email", "subaccounts", [sa.text("lower(email)")])
    op.create_index(op.f("ix_subaccounts_phone_number"), "subaccounts", ["phone_number"], unique=False)
