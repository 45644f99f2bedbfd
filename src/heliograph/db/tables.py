"""All tables. Text is text, times are Unix seconds, money is integers of 1/1,000,000 (column names say `_micros`)."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
"""A generated key: INTEGER PRIMARY KEY is what SQLite numbers by itself."""

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
    Column("auto_recharge", SmallInteger, nullable=False),
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
    UniqueConstraint("username"),
)

subaccounts = Table(
    "subaccounts",
    metadata,
    Column("subaccount_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("is_main", SmallInteger, nullable=False),
    Column("api_username", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("phone_number", Text, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("key_sealed", Text, nullable=False),
    *(Column(f"access_{flag}", SmallInteger, nullable=False) for flag in ACCESS_FLAGS),
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
"""A deleted one stays as a row without credentials: its messages keep its name. The old key works until its time."""

epochs = Table(
    "epochs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counters that move when something cached in a process has changed: `access`, `rates`."""

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
"""How many rows a list has, so that a page never counts them. Ordinals run from 1 to `count` without a gap."""

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
"""Work to hand over. Claiming moves `due_at` to the end of the lease: what a lost worker held comes back by itself."""

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
"""Background work other than messages. `lane` groups what must not crowd out others (one webhook target)."""

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
    sqlite_autoincrement=True,
)
"""Files that came by upload. A number is never given out twice: without AUTOINCREMENT, SQLite would."""

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
"""Secrets sent to users; an empty hash opens nothing any more. Rows stay for as long as they count against a limit."""

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

daily_usage = Table(
    "daily_usage",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("day", BigInteger, nullable=False),
    Column("subaccount_id", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id", "channel", "day", "subaccount_id"),
)
"""Counters per day (midnight UTC): messages sent and what they cost, messages received, messages that failed."""

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

contact_lists = Table(
    "contact_lists",
    metadata,
    Column("list_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("list_name", Text, nullable=False),
    Column("list_email_id", Text, nullable=False),
    Column("is_opt_out", SmallInteger, nullable=False),
    Column("contacts_count", BigInteger, nullable=False),
    Column("next_place", BigInteger, nullable=False),
    Column("imports_running", Integer, nullable=False),
    Column("opting_out_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger, index=True),
    UniqueConstraint("list_email_id"),
    sqlite_autoincrement=True,
)
"""`deleted_at` set: gone for everyone; its contacts are removed little by little. `opting_out_until` lapses by itself
when the process that removes opted-out contacts dies."""

contact_blocks = Table(
    "contact_blocks",
    metadata,
    Column("list_id", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("list_id", "block"),
    sqlite_with_rowid=False,
)
"""How many contacts of a list have places in each thousand: where a page begins is found without counting rows."""

contacts = Table(
    "contacts",
    metadata,
    Column("contact_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("list_id", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("msisdn", BigInteger),
    Column("phone_number", Text),
    Column("phone_original", Text),
    Column("fax_number", Text),
    Column("fax_original", Text),
    Column("email", Text),
    *(Column(name, Text, nullable=False) for name in ("first_name", "last_name")),
    *(Column(f"custom_{number}", Text, nullable=False) for number in (1, 2, 3, 4)),
    Column("organization_name", Text),
    *(Column(f"address_{part}", Text) for part in ("line_1", "line_2", "city", "state", "postal_code", "country")),
    Column("keywords", Text, nullable=False),
    Column("date_added", BigInteger, nullable=False),
    Column("date_updated", BigInteger, nullable=False),
    UniqueConstraint("list_id", "place"),
    Index(None, "msisdn", "list_id"),
    Index(None, "list_id", "date_updated"),
    sqlite_autoincrement=True,
)
"""`place` only grows within a list and has gaps where contacts were removed. `keywords` is what a search looks in, in
small letters, since SQLite knows only those of ASCII."""

imports = Table(
    "imports",
    metadata,
    Column("import_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("list_id", BigInteger, nullable=False, index=True),
    Column("file_url", Text, nullable=False),
    Column("field_order", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("source", Text),
    Column("file_id", Text),
    Column("position", BigInteger, nullable=False),
    Column("rows_done", BigInteger, nullable=False),
    Column("rows_added", BigInteger, nullable=False),
    Column("rows_updated", BigInteger, nullable=False),
    Column("rows_refused", BigInteger, nullable=False),
    Column("error", Text),
    Column("error_file_id", Text),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("finished_at", BigInteger),
)
"""`position` moves in the transaction that stores the rows before it. `source` is the kind of the file once it is here,
`file_id` our copy of it."""

import_refusals = Table(
    "import_refusals",
    metadata,
    Column("import_id", BigInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("import_id", "line"),
    sqlite_with_rowid=False,
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
"""What `user_id` earns by the spending of `source_user_id` on a day, in the currency of the latter."""

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
"""A card as its gateway knows it; its number is with the gateway alone."""

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
