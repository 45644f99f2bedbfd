"""Files, and what they were made for."""

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, SmallInteger, Table, Text

from heliograph.db.tables.base import Id, metadata

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
    Column("campaign_id", BigInteger),
)
"""Histories written to files: the messages with ordinals in (first, last], up to `done` so far; those of a campaign
only if there is one."""

shrunk = Table(
    "shrunk",
    metadata,
    Column("source_id", Text, nullable=False),
    Column("largest_bytes", Integer, nullable=False),
    Column("largest_side", Integer, nullable=False),
    Column("file_id", Text, nullable=False, index=True),
    Column("refusal", Text, nullable=False),
    PrimaryKeyConstraint("source_id", "largest_bytes", "largest_side"),
    sqlite_with_rowid=False,
)
"""Pictures as small as a carrier takes them. `file_id` is the picture itself where it is small enough, and where none
could be made of it; `refusal` says why then.
"""
