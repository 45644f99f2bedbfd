"""All tables. Text is text, times are Unix seconds, money is integers of 1/1,000,000 (column names say `_micros`)."""

from heliograph.db.tables.accounts import (
    ACCESS_FLAGS,
    audit,
    clients,
    delivery_issues,
    epochs,
    mail_consents,
    referrals,
    resellers,
    subaccounts,
    tokens,
    user_countries,
    users,
)
from heliograph.db.tables.base import metadata, sqlite_metadata
from heliograph.db.tables.campaigns import campaign_bounces, campaign_slices, campaigns
from heliograph.db.tables.contacts import contact_blocks, contact_lists, contacts, import_refusals, imports, opt_outs
from heliograph.db.tables.emails import emails
from heliograph.db.tables.files import exports, files, shrunk, uploads
from heliograph.db.tables.links import clicks, links, long_urls
from heliograph.db.tables.mail import suppressions
from heliograph.db.tables.mailin import email_sms_addresses, email_sms_mails, email_sms_strings
from heliograph.db.tables.messages import (
    counters,
    handovers,
    inbound,
    inbound_parts,
    long_inbound,
    message_events,
    messages,
    parked_receipts,
    receipts,
    sms_templates,
)
from heliograph.db.tables.money import (
    balances,
    cards,
    commission_balances,
    commissions,
    daily_usage,
    ledger,
    number_pool,
    owned_numbers,
    payments,
    rates,
    released_numbers,
)
from heliograph.db.tables.queue import idempotency, jobs, queue
from heliograph.db.tables.reached import reached, reached_through
from heliograph.db.tables.rules import rules
from heliograph.db.tables.senders import email_addresses, sending_domains
from heliograph.db.tables.smpp import smpp_deliveries, smpp_logins, smpp_submits
from heliograph.db.tables.templates import email_templates
from heliograph.db.tables.tracking import email_links, email_totals, email_uses
from heliograph.db.tables.webhooks import webhook_attempts, webhook_deliveries

__all__ = [
    "ACCESS_FLAGS",
    "audit",
    "balances",
    "campaign_bounces",
    "campaign_slices",
    "campaigns",
    "cards",
    "clicks",
    "clients",
    "commission_balances",
    "commissions",
    "contact_blocks",
    "contact_lists",
    "contacts",
    "counters",
    "daily_usage",
    "delivery_issues",
    "email_addresses",
    "email_links",
    "email_sms_addresses",
    "email_sms_mails",
    "email_sms_strings",
    "email_templates",
    "email_totals",
    "email_uses",
    "emails",
    "epochs",
    "exports",
    "files",
    "handovers",
    "idempotency",
    "import_refusals",
    "imports",
    "inbound",
    "inbound_parts",
    "jobs",
    "ledger",
    "links",
    "long_inbound",
    "long_urls",
    "mail_consents",
    "message_events",
    "messages",
    "metadata",
    "number_pool",
    "opt_outs",
    "owned_numbers",
    "parked_receipts",
    "payments",
    "queue",
    "rates",
    "reached",
    "reached_through",
    "receipts",
    "referrals",
    "released_numbers",
    "resellers",
    "rules",
    "sending_domains",
    "shrunk",
    "smpp_deliveries",
    "smpp_logins",
    "smpp_submits",
    "sms_templates",
    "sqlite_metadata",
    "subaccounts",
    "suppressions",
    "tokens",
    "uploads",
    "user_countries",
    "users",
    "webhook_attempts",
    "webhook_deliveries",
]
