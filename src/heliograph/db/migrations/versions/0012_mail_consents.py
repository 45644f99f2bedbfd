"""Owners of addresses agree before an account's mails go there"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "mail_consents",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "address", name=op.f("pk_mail_consents")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_mail_consents_token_hash")),
    )
    op.create_index(op.f("ix_mail_consents_asked_at"), "mail_consents", ["asked_at"], unique=False)
