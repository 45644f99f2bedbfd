"""The queue is searched in the order in which its rows came, where they are due at once"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """PostgreSQL has no order of its own among rows that an index knows by the same values."""
    op.drop_index("ix_queue_channel_priority_due_at", "queue")
    op.drop_index("ix_queue_bulk", "queue")
    op.create_index("ix_queue_channel_priority_due_at_queue_id", "queue", ["channel", "priority", "due_at", "queue_id"])
    bulk = sa.text("priority > 1")
    columns = ["channel", "user_id", "due_at", "queue_id"]
    op.create_index("ix_queue_bulk", "queue", columns, sqlite_where=bulk, postgresql_where=bulk)
