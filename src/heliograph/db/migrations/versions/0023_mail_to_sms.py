"""Mails that become SMS: allowed addresses, stripped strings, mails that were seen"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "email_sms_addresses",
        sa.Column("email_address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("subaccount_id", sa.BigInteger(), nullable=False),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("from_fax", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("email_address_id", name=op.f("pk_email_sms_addresses")),
        sqlite_autoincrement=True,
    )
    for column in ("user_id", "address"):
        op.create_index(op.f(f"ix_email_sms_addresses_{column}"), "email_sms_addresses", [column], unique=False)
    op.create_table(
        "email_sms_strings",
        sa.Column("rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("strip_string", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rule_id", name=op.f("pk_email_sms_strings")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_email_sms_strings_user_id"), "email_sms_strings", ["user_id"], unique=False)
    op.create_table(
        "email_sms_mails",
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_email_sms_mails")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_email_sms_mails_at"), "email_sms_mails", ["at"], unique=False)
    op.create_index(
        op.f("ix_email_sms_mails_user_id_address_at"), "email_sms_mails", ["user_id", "address", "at"], unique=False
    )
