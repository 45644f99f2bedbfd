"""Tables of emails: who must get none."""

from sqlalchemy import BigInteger, Column, Index, Table, Text, UniqueConstraint

from heliograph.db.tables.base import Id, metadata

suppressions = Table(
    "suppressions",
    metadata,
    Column("suppression_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("message_id", Text),
    Column("date_added", BigInteger, nullable=False),
    UniqueConstraint("user_id", "address", "reason"),
    Index(None, "user_id", "suppression_id"),
)
"""`address` is in the form of `mailaddress.folded`. An address has a row for each reason: some count for campaigns
only, and taking one back leaves the others.
"""
