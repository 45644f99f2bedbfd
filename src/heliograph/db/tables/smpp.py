"""The SMPP server for customers: who may bind, what was submitted, what waits for a bind."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, SmallInteger, Table, Text

from heliograph.db.tables.base import Id, metadata, some

smpp_logins = Table(
    "smpp_logins",
    metadata,
    Column("system_id", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("binds", Integer, nullable=False),
    Column("window", Integer, nullable=False),
    Column("rate", Float, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""`networks` are separated by blanks; empty: any. `rate` is submits a second; 0: any."""

smpp_submits = Table(
    "smpp_submits",
    metadata,
    Column("smpp_id", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("system_id", Text, nullable=False),
    Column("message_id", Text),
    Column("long_id", Text),
    Column("registered", SmallInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("dest", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    some("ix_smpp_submits_message_id", "message_id", where="message_id IS NOT NULL"),
    some("ix_smpp_submits_long_id", "long_id", where="long_id IS NOT NULL"),
    sqlite_with_rowid=False,
)
"""Ids that ESMEs were given. That of a message in one part is the id of the message, and `message_id` is null; a part
of a long message (`long_id`) has an id before there is a message. `state` is the message_state of a part whose message
never came to be, else 0. `at` is when the message is due; old ids are found by the time that they begin with. `source`
and `dest` are TON, NPI and address as the ESME wrote them.
"""

smpp_deliveries = Table(
    "smpp_deliveries",
    metadata,
    Column("delivery_id", Id, primary_key=True),
    Column("system_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("valid_until", BigInteger, nullable=False, index=True),
    Index(None, "system_id", "delivery_id"),
    sqlite_autoincrement=True,
)
"""deliver_sm that wait for a bind, in their order: the body in base64. Whoever sends one moves `due_at` to the end of
its lease; it is deleted when the ESME has acknowledged it.
"""
