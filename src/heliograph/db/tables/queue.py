"""Work that waits: messages to hand over, jobs; and answers that are kept for repeated requests."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, PrimaryKeyConstraint, SmallInteger, Table, Text

from heliograph.db.tables.base import POSTGRESQL_ONLY, Id, metadata, some

queue = Table(
    "queue",
    metadata,
    Column("queue_id", Id, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("claimed", SmallInteger, nullable=False),
    Index(None, "channel", "priority", "due_at", "queue_id"),
    Index(None, "user_id", "message_id", info=POSTGRESQL_ONLY),
    some("ix_queue_bulk", "channel", "user_id", "due_at", "queue_id", where="priority > 1"),
    sqlite_autoincrement=True,
)
"""A number is never given out twice (without AUTOINCREMENT, SQLite would), so a late outcome finds no other row.

Work to hand over, in the order of `due_at`, and of `queue_id` where that is alike: so it is for the messages of one
request. Claiming moves `due_at` to the end of the lease: what a lost worker held comes back by itself. By
`ix_queue_bulk` accounts take turns in the bulk lane (claim.BULK); single messages are not in it, and cost no more. On
SQLite a message's row is found by the order of `queue_id` (queue/seek.py).
"""

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("due_at", Float, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("payload", Text, nullable=False),
    Column("last_error", Text),
    Column("claimed", SmallInteger, nullable=False, server_default="0"),
    Index(None, "lane", "due_at"),
)
"""Background work other than messages. `lane` groups what must not crowd out others (one webhook target). `claimed` is
1 while a process has a job in hand: `due_at` is the end of its lease then.
"""

idempotency = Table(
    "idempotency",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    PrimaryKeyConstraint("user_id", "key"),
)
