"""Parts of long messages that arrive: acknowledged ones survive the process, and meet those of other workers"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "long_inbound",
        sa.Column("long_id", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("reference", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.SmallInteger(), nullable=False),
        sa.Column("whole", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("long_id", name=op.f("pk_long_inbound")),
        sa.UniqueConstraint(
            "transport",
            "sender",
            "recipient",
            "reference",
            "total",
            "whole",
            name=op.f("uq_long_inbound_transport_sender_recipient_reference_total_whole"),
        ),
    )
    op.create_index(op.f("ix_long_inbound_whole_at"), "long_inbound", ["whole", "at"], unique=False)
    op.create_table(
        "inbound_parts",
        sa.Column("long_id", sa.Text(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("form", sa.SmallInteger(), nullable=False),
        sa.Column("octets", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("long_id", "number", name=op.f("pk_inbound_parts")),
        sqlite_with_rowid=False,
    )
