"""Events that are pushed to URLs, and the tries."""

from sqlalchemy import BigInteger, Column, Float, Integer, Table, Text

from heliograph.db.tables.base import Id, metadata

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("event_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("webhook_type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("attempt_id", Id, primary_key=True),
    Column("delivery_id", BigInteger, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("status", Integer),
    Column("seconds", Float, nullable=False),
    Column("answer", Text, nullable=False),
    Column("error", Text),
)
