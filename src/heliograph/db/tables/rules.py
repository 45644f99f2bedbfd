"""Rules of accounts."""

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table, Text

from heliograph.db.tables.base import Id, metadata

rules = Table(
    "rules",
    metadata,
    Column("rule_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("family", Text, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("match_type", BigInteger, nullable=False),
    Column("dedicated_number", Text, nullable=False),
    Column("message_search_type", SmallInteger, nullable=False),
    Column("message_search_term", Text),
    Column("action", Text, nullable=False),
    Column("action_address", Text),
    Column("body", Text),
    Column("webhook_type", Text),
    Column("enabled", SmallInteger, nullable=False),
    Index(None, "user_id", "family"),
)
