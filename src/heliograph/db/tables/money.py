"""Tables of money: the ledger, prices, usage, commission, cards and payments, dedicated numbers."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from heliograph.db.tables.base import Id, metadata

balances = Table(
    "balances",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("micros", BigInteger, nullable=False),
    CheckConstraint("micros >= 0", name="not_negative"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("entry_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("balance_micros", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Index(None, "user_id", "entry_id"),
)

rates = Table(
    "rates",
    metadata,
    Column("rates_id", Id, primary_key=True),
    Column("version", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("imported_at", BigInteger, nullable=False),
)

daily_usage = Table(
    "daily_usage",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("medium", Text, nullable=False),
    Column("day", BigInteger, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id", "medium", "day", "subaccount_id"),
)
"""Counters per day (midnight UTC): messages sent and what they cost, messages received, messages that failed."""

commissions = Table(
    "commissions",
    metadata,
    Column("source_user_id", BigInteger, nullable=False),
    Column("day", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("percent", SmallInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("source_user_id", "day", "user_id", "kind"),
)
"""What `user_id` earns by what `source_user_id` spends on a day, in the currency of `source_user_id`."""

commission_balances = Table(
    "commission_balances",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id", "currency"),
)

cards = Table(
    "cards",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("gateway", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("display_number", Text, nullable=False),
    Column("expiry_month", SmallInteger, nullable=False),
    Column("expiry_year", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""Stored cards: the gateway's token and the masked number. The number itself is stored by the gateway only."""

payments = Table(
    "payments",
    metadata,
    Column("payment_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("invoice_number", Text, nullable=False),
    Column("request_key", Text),
    Column("package_id", BigInteger),
    Column("micros", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("aud_micros", BigInteger),
    Column("gateway", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("charge_id", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    UniqueConstraint("invoice_number"),
    UniqueConstraint("user_id", "request_key"),
    Index(None, "user_id", "state"),
)
"""Charges of cards: written before the gateway is asked. The invoice number is the gateway's idempotency key too."""

number_pool = Table(
    "number_pool",
    metadata,
    Column("number", Text, primary_key=True),
    Column("country", Text, nullable=False, index=True),
    Column("added_at", BigInteger, nullable=False),
)

owned_numbers = Table(
    "owned_numbers",
    metadata,
    Column("number", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("country", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("monthly_micros", BigInteger, nullable=False),
    Column("bought_at", BigInteger, nullable=False),
    Column("months", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),
    Column("unpaid_since", BigInteger),
)
"""Dedicated numbers: `months` are paid from `bought_at` on, and `due_at` is when the next payment is (again) tried."""

released_numbers = Table(
    "released_numbers",
    metadata,
    Column("number", Text, primary_key=True),
    Column("released_at", BigInteger, nullable=False),
)
"""Dedicated numbers that were released at least once; one may have been bought again since. A message to a released
number without a new owner must not reach the old one.
"""
