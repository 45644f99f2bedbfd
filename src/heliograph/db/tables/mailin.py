"""Mails that become SMS: who may write them, what is cut out of them, which were seen."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from heliograph.db.tables.base import Id, metadata

email_sms_addresses = Table(
    "email_sms_addresses",
    metadata,
    Column("email_address_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("email_address", Text, nullable=False),
    Column("address", Text, nullable=False, index=True),
    Column("sender", Text, nullable=False),
    Column("from_fax", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Addresses whose mails become SMS at the cost of a subaccount; one may be there twice. `address` is in small letters,
`sender` is what the SMS come from; empty: a shared number.
"""

email_sms_strings = Table(
    "email_sms_strings",
    metadata,
    Column("rule_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("strip_string", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Texts that are cut out of an account's mails."""

email_sms_mails = Table(
    "email_sms_mails",
    metadata,
    Column("mark", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Index(None, "user_id", "address", "at"),
    sqlite_with_rowid=False,
)
"""Mails that became SMS, a row for each recipient: `mark` is a hash of Message-ID and recipient, `address` wrote it."""
