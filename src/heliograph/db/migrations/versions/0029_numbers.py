"""The index over numbers in two parts, and the queue without its index over messages (SQLite)"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Sorted, `reached` is built in one pass; the pages that the indexes give back are taken for it."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.drop_index(op.f("ix_messages_msisdn_date"), table_name="messages")
    op.drop_index(op.f("ix_queue_user_id_message_id"), table_name="queue")
    op.create_table(
        "reached",
        sa.Column("msisdn", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("msisdn", "date", "user_id", "channel", "ordinal", name=op.f("pk_reached")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reached_through",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "channel", name=op.f("pk_reached_through")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO reached (msisdn, date, user_id, channel, ordinal)"
        " SELECT msisdn, date, user_id, channel, ordinal FROM messages WHERE msisdn IS NOT NULL ORDER BY 1, 2, 3, 4, 5"
    )
    op.execute(
        "INSERT INTO reached_through (user_id, channel, ordinal)"
        " SELECT user_id, channel, MAX(ordinal) FROM messages GROUP BY user_id, channel"
    )
