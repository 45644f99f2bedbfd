"""Opt-outs are on record; replies are found by what they answer; contacts are searched in the form of texts.folded"""

import sqlalchemy as sa
from alembic import op

from heliograph.texts import folded

revision = "0014"
down_revision = "0013"


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
    op.create_index(
        op.f("ix_inbound_user_id_original_message_id"), "inbound", ["user_id", "original_message_id"], unique=False
    )
    _fold_keywords(op.get_bind())


AT_ONCE = 1000


def _fold_keywords(connection: sa.Connection) -> None:
    """What contacts are searched by was only in small letters. ASCII stays as it is, and so do most of the rows."""
    size = "octet_length(keywords)" if connection.dialect.name == "postgresql" else "length(CAST(keywords AS BLOB))"
    wanted = sa.text(
        f"SELECT contact_id, keywords FROM contacts WHERE contact_id > :last AND {size} <> length(keywords)"  # noqa: S608
        f" ORDER BY contact_id LIMIT {AT_ONCE}"
    )
    last = 0
    while found := connection.execute(wanted, {"last": last}).fetchall():
        last = found[-1][0]
        changed = [{"key": key, "text": folded(text)} for key, text in found if folded(text) != text]
        if changed:
            connection.execute(sa.text("UPDATE contacts SET keywords = :text WHERE contact_id = :key"), changed)
