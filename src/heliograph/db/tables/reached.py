"""Messages by number, on SQLite (db/reached.py)."""

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table, Text

from heliograph.db.tables.base import sqlite_metadata

reached = Table(
    "reached",
    sqlite_metadata,
    Column("msisdn", BigInteger, nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    PrimaryKeyConstraint("msisdn", "date", "user_id", "channel", "ordinal"),
    sqlite_with_rowid=False,
)
"""All messages that have a number, but for the newest: those are in memory until they are merged."""

reached_through = Table(
    "reached_through",
    sqlite_metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id", "channel"),
    sqlite_with_rowid=False,
)
"""The ordinal up to which all messages of a list are in `reached`, if they have a number; later ones may be."""
