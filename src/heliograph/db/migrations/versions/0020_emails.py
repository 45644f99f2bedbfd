"""Mails that are sent one by one"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "emails",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("subaccount_id", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.BigInteger(), nullable=False),
        sa.Column("schedule", sa.BigInteger(), nullable=False),
        sa.Column("from_email_address_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("from_name", sa.Text(), nullable=False),
        sa.Column("to_array", sa.Text(), nullable=False),
        sa.Column("cc_array", sa.Text(), nullable=True),
        sa.Column("bcc_array", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_plain_text", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("custom_string", sa.Text(), nullable=True),
        sa.Column("price_micros", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("soft_bounce_count", sa.Integer(), nullable=False),
        sa.Column("hard_bounce_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "channel", "ordinal", name=op.f("pk_emails")),
        sa.UniqueConstraint("message_id", "user_id", name=op.f("uq_emails_message_id_user_id")),
    )
    op.create_index(op.f("ix_emails_user_id_first"), "emails", ["user_id", "first"], unique=False)
