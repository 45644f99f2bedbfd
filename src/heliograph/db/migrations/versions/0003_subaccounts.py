"""Subaccounts with passwords and old keys, resellers, referrals and their commission, cards and payments, numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "cards",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("display_number", sa.Text(), nullable=False),
        sa.Column("expiry_month", sa.SmallInteger(), nullable=False),
        sa.Column("expiry_year", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_cards")),
    )
    op.create_table(
        "clients",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reseller_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_clients")),
    )
    op.create_index(op.f("ix_clients_reseller_id"), "clients", ["reseller_id"], unique=False)
    op.create_table(
        "commission_balances",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "currency", name=op.f("pk_commission_balances")),
    )
    op.create_table(
        "commissions",
        sa.Column("source_user_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("percent", sa.SmallInteger(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source_user_id", "day", "user_id", "kind", name=op.f("pk_commissions")),
    )
    op.create_table(
        "number_pool",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_number_pool")),
    )
    op.create_index(op.f("ix_number_pool_country"), "number_pool", ["country"], unique=False)
    op.create_table(
        "owned_numbers",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("subaccount_id", sa.BigInteger(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("monthly_micros", sa.BigInteger(), nullable=False),
        sa.Column("bought_at", sa.BigInteger(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("unpaid_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_owned_numbers")),
    )
    op.create_index(op.f("ix_owned_numbers_due_at"), "owned_numbers", ["due_at"], unique=False)
    op.create_index(op.f("ix_owned_numbers_user_id"), "owned_numbers", ["user_id"], unique=False)
    op.create_table(
        "payments",
        sa.Column("payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_number", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("package_id", sa.BigInteger(), nullable=True),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("aud_micros", sa.BigInteger(), nullable=True),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payments")),
        sa.UniqueConstraint("invoice_number", name=op.f("uq_payments_invoice_number")),
        sa.UniqueConstraint("user_id", "request_key", name=op.f("uq_payments_user_id_request_key")),
    )
    op.create_index(op.f("ix_payments_user_id_state"), "payments", ["user_id", "state"], unique=False)
    op.create_table(
        "referrals",
        sa.Column("referral_rule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("referred_user_id", sa.BigInteger(), nullable=False),
        sa.Column("date_referred", sa.BigInteger(), nullable=False),
        sa.Column("percentage", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("referral_rule_id", name=op.f("pk_referrals")),
        sa.UniqueConstraint("referred_user_id", name=op.f("uq_referrals_referred_user_id")),
    )
    op.create_index(op.f("ix_referrals_user_id"), "referrals", ["user_id"], unique=False)
    op.create_table(
        "resellers",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("margin_percent", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_resellers")),
    )
    op.add_column("subaccounts", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column("subaccounts", sa.Column("old_key_hash", sa.Text(), nullable=True))
    op.add_column("subaccounts", sa.Column("old_key_until", sa.BigInteger(), nullable=True))
    op.add_column("subaccounts", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_subaccounts_old_key_hash"), "subaccounts", ["old_key_hash"], unique=False)
