"""Short links, where they lead, and their clicks."""

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, SmallInteger, Table, Text

from heliograph.db.tables.base import Id, metadata

long_urls = Table(
    "long_urls",
    metadata,
    Column("long_url_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Index(None, "user_id", "source", "source_id"),
)
"""What one campaign leads to (`source_id`: its id), or one quick send (its message_id): statistics are kept of each."""

links = Table(
    "links",
    metadata,
    Column("code", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("long_url_id", BigInteger),
    Column("disabled", SmallInteger, nullable=False),
    PrimaryKeyConstraint("code"),
    Index(None, "long_url_id", "code"),
    sqlite_with_rowid=False,
)
"""`long_url_id` is null for a StopMsg link, which leads to a page of the house."""

clicks = Table(
    "clicks",
    metadata,
    Column("click_id", Id, primary_key=True),
    Column("long_url_id", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("country", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("os", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Index(None, "long_url_id", "code"),
)
"""No address is kept, only the country that it belongs to. What is not known is empty."""
