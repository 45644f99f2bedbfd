"""Who mails come from: verified addresses of accounts, and the domains that the house signs for."""

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table, Text

from heliograph.db.tables.base import Id, metadata

email_addresses = Table(
    "email_addresses",
    metadata,
    Column("email_address_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("email_address", Text, nullable=False),
    Column("folded", Text, nullable=False),
    Column("verified", SmallInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "user_id", "folded", unique=True),
    sqlite_autoincrement=True,
)
"""Addresses that accounts may send from once they are verified. `folded` is what they are compared by."""

sending_domains = Table(
    "sending_domains",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("selector", Text, nullable=False),
    Column("key_sealed", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Domains, in ASCII and small letters, and the key that signs their mails: PEM (PKCS #8) sealed by the vault. The
public key is in base64 (DER), as the DKIM record has it.
"""
