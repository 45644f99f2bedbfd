"""Tables of users: accounts, subaccounts, permissions, referrals, resellers, delivery issues."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
)

from heliograph.db.tables.base import Id, metadata, some

ACCESS_FLAGS = (
    "users",
    "billing",
    "reporting",
    "contacts",
    "settings",
    "sms",
    "email",
    "voice",
    "fax",
    "post",
    "reseller",
    "mms",
    "smpp",
)

users = Table(
    "users",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("username", Text, nullable=False),
    Column("password_hash", Text),
    Column("email", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("account_name", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("default_country_sms", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("reply_to", Text, nullable=False),
    Column("delivery_to", Text),
    Column("active", SmallInteger, nullable=False),
    Column("banned", SmallInteger, nullable=False),
    Column("auto_recharge", SmallInteger, nullable=False, index=True),
    Column("auto_recharge_micros", BigInteger, nullable=False),
    Column("low_credit_micros", BigInteger, nullable=False),
    Column("setting_unicode_sms", SmallInteger, nullable=False),
    Column("setting_email_sms_subject", SmallInteger, nullable=False),
    Column("setting_fix_sender_id", SmallInteger, nullable=False),
    Column("char_limit", SmallInteger, nullable=False),
    Column("cors_origins", Text, nullable=False),
    Column("throttle_seconds", Integer),
    Column("webhook_secret", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("strict_opt_out", SmallInteger, nullable=False, server_default="0"),
    Column("package_id", BigInteger),
    Column("low_credit_told", SmallInteger, nullable=False, server_default="0"),
    Column("email_tracking", SmallInteger),
    UniqueConstraint("username"),
    some("ix_users_low_credit", "user_id", where="low_credit_micros > 0"),
    some("ix_users_low_credit_told", "user_id", where="low_credit_told = 1"),
    some("ix_users_with_origins", "cors_origins", where="cors_origins <> ''"),
)
"""`package_id` is the last package that was bought and not given back: messages are priced by it.

`low_credit_told`: the owner has been told that the credit is low, and it has not been above the mark since.

`email_tracking` is null for an account that has not chosen.
"""

subaccounts = Table(
    "subaccounts",
    metadata,
    Column("subaccount_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("is_main", SmallInteger, nullable=False),
    Column("api_username", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("phone_number", Text, nullable=False, index=True),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("key_sealed", Text, nullable=False),
    *(Column(f"access_{flag}", SmallInteger, nullable=False) for flag in ACCESS_FLAGS if flag != "smpp"),
    Column("access_smpp", SmallInteger, nullable=False, server_default="0"),
    Column("share_campaigns", SmallInteger, nullable=False),
    Column("notes", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("password_hash", Text),
    Column("old_key_hash", Text, index=True),
    Column("old_key_until", BigInteger),
    Column("deleted_at", BigInteger),
    UniqueConstraint("api_username"),
    UniqueConstraint("key_hash"),
)
Index("ix_subaccounts_email", func.lower(subaccounts.c.email))
"""The row of a deleted subaccount stays, without credentials, since its messages show its name. `old_key_*` is a
replaced key that works until it expires.
"""

epochs = Table(
    "epochs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counters that move when something cached in a process has changed: `access`, `rates`."""

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("target", Text, nullable=False, index=True),
    Column("hash", Text, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Index(None, "user_id", "purpose"),
)
"""Secrets sent to users; an empty hash is that of a used one. Rows stay for as long as they count against a limit."""

mail_consents = Table(
    "mail_consents",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("token_hash", Text),
    Column("asked_at", BigInteger, nullable=False, index=True),
    Column("confirmed_at", BigInteger),
    PrimaryKeyConstraint("user_id", "address"),
    UniqueConstraint("token_hash"),
)
"""Addresses, in small letters, whose owners were asked for an account's mails, or, with the mark of another purpose
before them, for something else; without `confirmed_at` the answer is awaited. A link that was used has no hash any
more.
"""

audit = Table(
    "audit",
    metadata,
    Column("audit_id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "user_id", "audit_id"),
)

user_countries = Table(
    "user_countries",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("country", Text, nullable=False),
    Column("agreed_at", BigInteger),
    PrimaryKeyConstraint("user_id", "country"),
)

delivery_issues = Table(
    "delivery_issues",
    metadata,
    Column("issue_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("message_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("client_comments", Text),
    Column("support_comments", Text),
    Column("status", Text),
    Column("date_added", BigInteger, nullable=False),
    Column("resolved", SmallInteger, nullable=False),
    Column("email_address", Text, nullable=False),
)

clients = Table(
    "clients",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reseller_id", BigInteger, nullable=False, index=True),
)

resellers = Table(
    "resellers",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("margin_percent", SmallInteger, nullable=False),
)
"""Settings of resellers; without a row there is no margin."""

referrals = Table(
    "referrals",
    metadata,
    Column("referral_rule_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("referred_user_id", BigInteger, nullable=False),
    Column("date_referred", BigInteger, nullable=False),
    Column("percentage", SmallInteger, nullable=False),
    UniqueConstraint("referred_user_id"),
)
