"""Mails that were sent one by one: what a request asked for. Its recipients are messages."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint

from heliograph.db.tables.base import metadata

emails = Table(
    "emails",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("schedule", BigInteger, nullable=False),
    Column("from_email_address_id", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("from_name", Text, nullable=False),
    Column("to_array", Text, nullable=False),
    Column("cc_array", Text),
    Column("bcc_array", Text),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("body_plain_text", Text, nullable=False),
    Column("files", Text, nullable=False),
    Column("custom_string", Text),
    Column("price_micros", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("soft_bounce_count", Integer, nullable=False),
    Column("hard_bounce_count", Integer, nullable=False),
    PrimaryKeyConstraint("user_id", "channel", "ordinal"),
    UniqueConstraint("message_id", "user_id"),
    Index(None, "user_id", "first"),
)
"""`channel` is the name of the list (channels/email/sends.py). The messages of its recipients have the ordinals from
`first` on, `count` of them, in the order to, cc, bcc; suppressed ones are left out. `to_array`, `cc_array`, `bcc_array`
and `files` are JSON.
"""
