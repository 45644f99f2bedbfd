"""Campaigns of mails: what is heard of them, and why one stands still"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0025"


def upgrade() -> None:
    op.create_table(
        "campaign_bounces",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("hard_bounce_count", sa.Integer(), nullable=False),
        sa.Column("soft_bounce_count", sa.Integer(), nullable=False),
        sa.Column("abuse_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "message_id", name=op.f("pk_campaign_bounces")),
        sqlite_with_rowid=False,
    )
    op.add_column("campaigns", sa.Column("paused_why", sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("forgiven", sa.Text(), nullable=True))
    op.add_column("exports", sa.Column("campaign_id", sa.BigInteger(), nullable=True))
