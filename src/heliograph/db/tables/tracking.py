"""Where the links of email campaigns lead, and what readers did with the mails."""

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Table, Text

from heliograph.db.tables.base import metadata

email_links = Table(
    "email_links",
    metadata,
    Column("campaign_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("url", Text, nullable=False),
    PrimaryKeyConstraint("campaign_id", "number"),
)

email_uses = Table(
    "email_uses",
    metadata,
    Column("campaign_id", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("campaign_id", "message_id", "kind", "number"),
    sqlite_with_rowid=False,
)
"""What became of one mail, by kind (mail/uses.py); `number` is a link's, 0 for other kinds."""

email_totals = Table(
    "email_totals",
    metadata,
    Column("campaign_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("mails", BigInteger, nullable=False),
    PrimaryKeyConstraint("campaign_id", "kind"),
    sqlite_with_rowid=False,
)
"""The sums of `email_uses`, so that no list of campaigns adds up thousands of rows. The row is the lock of its kind."""
