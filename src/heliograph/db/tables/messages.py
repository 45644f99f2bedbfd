"""Tables of messages and of what happens around them: queue, receipts, rules, jobs, webhooks, files."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from heliograph.db.tables.base import Id, metadata

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
    Column("parts", SmallInteger, nullable=False),
    Column("parts_left", SmallInteger, nullable=False),
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
    PrimaryKeyConstraint("channel", "user_id", "ordinal"),
    UniqueConstraint("message_id", "user_id"),
    Index(None, "msisdn", "date"),
)
"""`msisdn` is a recipient's number without the plus, null for what is none: its index is the only one that grows at
random places, so an entry must be small. The id stands before the user: while PostgreSQL has no statistics, it would
look up some ids of a user by reading everything that the user has (docs/performance.md).
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

queue = Table(
    "queue",
    metadata,
    Column("queue_id", Id, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("claimed", SmallInteger, nullable=False),
    Index(None, "channel", "lane", "due_at"),
    Index(None, "user_id", "message_id"),
)
"""Messages to hand over to a transport. A claim moves `due_at` to the end of the lease: what a lost worker had claimed
is due again then.
"""

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
    Index(None, "user_id", "channel", "unread", "inbound_id"),
    Index(None, "user_id", "message_id"),
)

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

sms_templates = Table(
    "sms_templates",
    metadata,
    Column("template_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("template_name", Text, nullable=False),
    Column("body", Text, nullable=False),
)

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
    Index(None, "lane", "due_at"),
)
"""Background work other than messages. Jobs of one `lane` (say, a webhook target) share a limit, so that they cannot
take all places."""

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

files = Table(
    "files",
    metadata,
    Column("file_id", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("ready", SmallInteger, nullable=False, server_default="1"),
)
"""`ready` is 0 while the bytes are being stored."""

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("file_id", Text, nullable=False, index=True),
    Column("target", Text, nullable=False),
    Column("pages", Integer, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)
"""Files that were made for a channel: uploaded, or fetched for a message.

A number is never given out twice: without AUTOINCREMENT, SQLite would.
"""

exports = Table(
    "exports",
    metadata,
    Column("file_id", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
)
"""Histories written to files: the messages with ordinals in (first, last], up to `done` so far."""

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
