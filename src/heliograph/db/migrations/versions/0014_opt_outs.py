"""Opt-outs are on record"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "opt_outs",
        sa.Column("opt_out_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("msisdn", sa.BigInteger(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("list_id", sa.BigInteger(), nullable=True),
        sa.Column("date_added", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("opt_out_id", name=op.f("pk_opt_outs")),
    )
    op.create_index(op.f("ix_opt_outs_user_id_opt_out_id"), "opt_outs", ["user_id", "opt_out_id"], unique=False)
    op.create_index(op.f("ix_opt_outs_user_id_msisdn"), "opt_outs", ["user_id", "msisdn"], unique=False)
