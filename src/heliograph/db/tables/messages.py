"""Messages (MT), what became of them, and messages that arrived (MO)."""

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, SmallInteger, Table, Text, UniqueConstraint

from heliograph.db.tables.base import POSTGRESQL_ONLY, Id, metadata, some

counters = Table(
    "counters",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("read_through", BigInteger, nullable=False),
    Column("last_date", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id", "name"),
)
"""Number of rows of each list of an account, so that a page never counts them. Ordinals run from 1 to `count` without a
gap.
"""

messages = Table(
    "messages",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("schedule", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("msisdn", BigInteger),
    Column("country", Text, nullable=False),
    Column("carrier", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("encoding", Text, nullable=False),
    Column("units", SmallInteger, nullable=False),
    Column("receipts_left", SmallInteger, nullable=False),
    Column("price_micros", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_code", Text),
    Column("status_text", Text),
    Column("error_code", Text),
    Column("error_text", Text),
    Column("custom_string", Text, nullable=False),
    Column("from_email", Text),
    Column("list_id", BigInteger),
    Column("contact_id", BigInteger),
    Column("source", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("campaign_id", BigInteger),
    Column("details", Text),
    PrimaryKeyConstraint("channel", "user_id", "ordinal"),
    UniqueConstraint("message_id", "user_id"),
    Index(None, "msisdn", "date", info=POSTGRESQL_ONLY),
    some("ix_messages_campaign_id", "campaign_id", "ordinal", where="campaign_id IS NOT NULL"),
)
"""`details` is what only the channel of the message knows, as JSON (null for SMS).

`msisdn` is a recipient's number without the plus, null for what is none: its index is the only one that grows at
random places, so an entry must be small. SQLite has `reached` in its place. Whoever changes `msisdn` or `date`, or
deletes messages, tells db/reached.py. The id stands before the user: while PostgreSQL has no statistics, it would look
up some ids of a user by reading everything that the user has (docs/performance.md).
"""

message_events = Table(
    "message_events",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("detail", Text, nullable=False),
    PrimaryKeyConstraint("user_id", "message_id", "seq"),
    sqlite_with_rowid=False,
)
"""The timeline: `seq` is the time in nanoseconds. The acceptance stands in the message itself."""

handovers = Table(
    "handovers",
    metadata,
    Column("transport", Text, nullable=False),
    Column("remote_id", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    PrimaryKeyConstraint("remote_id", "transport"),
    sqlite_with_rowid=False,
)

parked_receipts = Table(
    "parked_receipts",
    metadata,
    Column("parked_id", Id, primary_key=True),
    Column("transport", Text, nullable=False),
    Column("remote_id", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "transport", "remote_id"),
)
"""Receipts whose message is not known (yet): a receipt may overtake the record of the hand-over."""

receipts = Table(
    "receipts",
    metadata,
    Column("receipt_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("ordinal", BigInteger),
    Column("message_id", Text, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("timestamp_send", BigInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_code", Text, nullable=False),
    Column("status_text", Text, nullable=False),
    Column("error_code", Text),
    Column("error_text", Text),
    Column("custom_string", Text, nullable=False),
    Column("details", Text),
    Index(None, "user_id", "channel", "ordinal"),
    Index(None, "user_id", "message_id"),
)
"""`ordinal` is the place in the polled list; null when no POLL rule asked for it."""

inbound = Table(
    "inbound",
    metadata,
    Column("inbound_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("original_message_id", Text, nullable=False),
    Column("original_body", Text, nullable=False),
    Column("custom_string", Text, nullable=False),
    Column("unread", SmallInteger, nullable=False),
    Column("details", Text),
    Index(None, "user_id", "channel", "unread", "inbound_id"),
    Index(None, "user_id", "message_id"),
    Index(None, "user_id", "original_message_id"),
)

long_inbound = Table(
    "long_inbound",
    metadata,
    Column("long_id", Text, primary_key=True),
    Column("transport", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("reference", BigInteger, nullable=False),
    Column("total", SmallInteger, nullable=False),
    Column("whole", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("transport", "sender", "recipient", "reference", "total", "whole"),
    Index(None, "whole", "at"),
)
"""Long messages that arrive in parts: those that are incomplete, since their first part, and with `whole` 1 those that
were stored lately, since then. The row is the lock of its parts: two workers may store the last two at one moment.
"""

inbound_parts = Table(
    "inbound_parts",
    metadata,
    Column("long_id", Text, nullable=False),
    Column("number", SmallInteger, nullable=False),
    Column("form", SmallInteger, nullable=False),
    Column("octets", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("long_id", "number"),
    sqlite_with_rowid=False,
)
"""`octets` are base64. The parts of a whole message stay for a while, to know one that the carrier sends again."""

sms_templates = Table(
    "sms_templates",
    metadata,
    Column("template_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("template_name", Text, nullable=False),
    Column("body", Text, nullable=False),
)
