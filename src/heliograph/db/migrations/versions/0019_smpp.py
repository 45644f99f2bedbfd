"""SMPP for customers: logins, what they submitted, what waits for their binds; the permission of subaccounts"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("subaccounts", sa.Column("access_smpp", sa.SmallInteger(), server_default="0", nullable=False))
    op.execute("UPDATE subaccounts SET access_smpp = 1 WHERE is_main = 1")
    op.create_table(
        "smpp_logins",
        sa.Column("system_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("subaccount_id", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("binds", sa.Integer(), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("system_id", name=op.f("pk_smpp_logins")),
    )
    op.create_index(op.f("ix_smpp_logins_user_id"), "smpp_logins", ["user_id"], unique=False)
    op.create_table(
        "smpp_submits",
        sa.Column("smpp_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("system_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("long_id", sa.Text(), nullable=True),
        sa.Column("registered", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("dest", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("smpp_id", name=op.f("pk_smpp_submits")),
        sqlite_with_rowid=False,
    )
    for column in ("message_id", "long_id"):
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_smpp_submits_{column}", "smpp_submits", [column], sqlite_where=some, postgresql_where=some)
    op.create_table(
        "smpp_deliveries",
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("system_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_smpp_deliveries")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_smpp_deliveries_system_id_delivery_id"), "smpp_deliveries", ["system_id", "delivery_id"], unique=False
    )
    op.create_index(op.f("ix_smpp_deliveries_valid_until"), "smpp_deliveries", ["valid_until"], unique=False)
