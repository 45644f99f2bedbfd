"""Campaigns, and who still waits for a message of one."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, SmallInteger, Table, Text

from heliograph.db.tables.base import Id, metadata

campaigns = Table(
    "campaigns",
    metadata,
    Column("campaign_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("list_id", BigInteger, nullable=False),
    Column("list_name", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("first_sender", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("custom_string", Text),
    Column("source", Text),
    Column("country", Text, nullable=False),
    Column("url_to_shorten", Text, nullable=False),
    Column("unsubscribe_link", SmallInteger, nullable=False),
    Column("details", Text),
    Column("schedule", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("date_added", BigInteger, nullable=False),
    Column("ip_address", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("total_count", Integer, nullable=False),
    Column("refused_count", Integer, nullable=False),
    Column("reserved_micros", BigInteger, nullable=False),
    Column("slices", Integer, nullable=False),
    Column("cursor", Integer, nullable=False),
    Column("open_from", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("paused_why", Text),
    Column("forgiven", Text),
    Index(None, "user_id", "channel", "campaign_id"),
)
"""`sender` is what was asked for, `first_sender` what the first message has. `details` is what only the channel knows.

`reserved_micros` is what was paid for messages that do not exist yet. `slices` before `cursor` are messages by now. A
job works for one `run`; an edit begins another. No message with an ordinal below `open_from` waits any more; since
`closed_at` none is added. `paused_why` says why it stands still; `forgiven` is what was reported of it when it was told
to go on (JSON), which is not held against it again.
"""

campaign_bounces = Table(
    "campaign_bounces",
    metadata,
    Column("campaign_id", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("hard_bounce_count", Integer, nullable=False),
    Column("soft_bounce_count", Integer, nullable=False),
    Column("abuse_count", Integer, nullable=False),
    PrimaryKeyConstraint("campaign_id", "message_id"),
    sqlite_with_rowid=False,
)
"""Mails of campaigns of which something was heard: that they bounced, for good or for now, or were called spam."""

campaign_slices = Table(
    "campaign_slices",
    metadata,
    Column("campaign_id", BigInteger, nullable=False),
    Column("slice", Integer, nullable=False),
    Column("recipients", Text, nullable=False),
    PrimaryKeyConstraint("campaign_id", "slice"),
)
"""`recipients` are up to 200 of (contact_id, recipient, micros that are reserved), as JSON: 20,000 rows would hold the
writer for 50 ms (SQLite) to 100 ms (PostgreSQL), and nobody searches them (docs/decisions/0016)."""
