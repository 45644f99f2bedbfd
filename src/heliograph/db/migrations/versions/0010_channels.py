"""Media and channels: units apart from receipts, what one channel alone knows, campaigns; usage by medium"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.alter_column("messages", "parts", new_column_name="units")
    op.alter_column("messages", "parts_left", new_column_name="receipts_left")
    op.add_column("messages", sa.Column("campaign_id", sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("details", sa.Text(), nullable=True))
    op.create_index(
        "ix_messages_campaign_id",
        "messages",
        ["campaign_id", "ordinal"],
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.add_column("receipts", sa.Column("details", sa.Text(), nullable=True))
    op.add_column("inbound", sa.Column("details", sa.Text(), nullable=True))
    op.drop_index("ix_queue_channel_lane_due_at", "queue")
    op.alter_column("queue", "lane", new_column_name="priority")
    if op.get_bind().dialect.name == "sqlite":  # only a new table can have AUTOINCREMENT
        op.drop_index("ix_queue_user_id_message_id", "queue")
        op.rename_table("queue", "queue_before")
        op.create_table(
            "queue",
            sa.Column("queue_id", sa.Integer(), nullable=False),
            sa.Column("channel", sa.Text(), nullable=False),
            sa.Column("priority", sa.SmallInteger(), nullable=False),
            sa.Column("due_at", sa.Float(), nullable=False),
            sa.Column("user_id", sa.BigInteger(), nullable=False),
            sa.Column("message_id", sa.Text(), nullable=False),
            sa.Column("attempts", sa.SmallInteger(), nullable=False),
            sa.Column("claimed", sa.SmallInteger(), nullable=False),
            sa.PrimaryKeyConstraint("queue_id", name=op.f("pk_queue")),
            sqlite_autoincrement=True,
        )
        columns = "queue_id, channel, priority, due_at, user_id, message_id, attempts, claimed"
        op.execute(f"INSERT INTO queue ({columns}) SELECT {columns} FROM queue_before")  # noqa: S608
        op.drop_table("queue_before")
        op.create_index("ix_queue_user_id_message_id", "queue", ["user_id", "message_id"])
    op.create_index("ix_queue_channel_priority_due_at", "queue", ["channel", "priority", "due_at"])
    op.alter_column("daily_usage", "channel", new_column_name="medium")
