"""contacts"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONAL = ("organization_name", "address_line_1", "address_line_2", "address_city", "address_state")


def upgrade() -> None:
    op.add_column("users", sa.Column("strict_opt_out", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_table(
        "contact_lists",
        sa.Column("list_id", Id, nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("list_name", sa.Text(), nullable=False),
        sa.Column("list_email_id", sa.Text(), nullable=False),
        sa.Column("is_opt_out", sa.SmallInteger(), nullable=False),
        sa.Column("contacts_count", sa.BigInteger(), nullable=False),
        sa.Column("next_place", sa.BigInteger(), nullable=False),
        sa.Column("imports_running", sa.Integer(), nullable=False),
        sa.Column("opting_out_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_contact_lists")),
        sa.UniqueConstraint("list_email_id", name=op.f("uq_contact_lists_list_email_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_contact_lists_user_id"), "contact_lists", ["user_id"], unique=False)
    op.create_index(op.f("ix_contact_lists_deleted_at"), "contact_lists", ["deleted_at"], unique=False)
    op.create_table(
        "contact_blocks",
        sa.Column("list_id", sa.BigInteger(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", "block", name=op.f("pk_contact_blocks")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contacts",
        sa.Column("contact_id", Id, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("user_id", "list_id", "place")),
        sa.Column("msisdn", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.Text()) for name in ("phone_number", "phone_original", "fax_number", "fax_original")),
        sa.Column("email", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("first_name", "last_name")),
        *(sa.Column(f"custom_{number}", sa.Text(), nullable=False) for number in (1, 2, 3, 4)),
        *(sa.Column(name, sa.Text(), nullable=True) for name in OPTIONAL),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("address_postal_code", "address_country")),
        sa.Column("keywords", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("date_added", "date_updated")),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("list_id", "place", name=op.f("uq_contacts_list_id_place")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_contacts_msisdn_list_id"), "contacts", ["msisdn", "list_id"], unique=False)
    op.create_index(op.f("ix_contacts_list_id_date_updated"), "contacts", ["list_id", "date_updated"], unique=False)
    op.create_table(
        "imports",
        sa.Column("import_id", Id, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("user_id", "list_id")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("file_url", "field_order", "country", "state")),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("source", "file_id")),
        sa.Column("position", sa.BigInteger(), nullable=False),
        *(sa.Column(f"rows_{kind}", sa.BigInteger(), nullable=False) for kind in ("done", "added", "updated")),
        sa.Column("rows_refused", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("error", "error_file_id")),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_imports")),
    )
    op.create_index(op.f("ix_imports_list_id"), "imports", ["list_id"], unique=False)
    op.create_index(op.f("ix_imports_created_at"), "imports", ["created_at"], unique=False)
    op.create_table(
        "import_refusals",
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("import_id", "line")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("reason", "content")),
        sa.PrimaryKeyConstraint("import_id", "line", name=op.f("pk_import_refusals")),
        sqlite_with_rowid=False,
    )
    _give_opt_out_lists()


def _give_opt_out_lists() -> None:
    """Accounts that were there before get what later ones are born with: the Opt-Out List and its rule."""
    database = op.get_bind()
    made = sa.text(
        "INSERT INTO contact_lists (user_id, list_name, list_email_id, is_opt_out, contacts_count, next_place,"
        " imports_running, opting_out_until, created_at)"
        " VALUES (:user, 'Opt-Out List', :address, 1, 0, 1, 0, 0, :now) RETURNING list_id"
    )
    rule = sa.text(
        "INSERT INTO rules (user_id, family, rule_name, match_type, dedicated_number, message_search_type,"
        " message_search_term, action, action_address, enabled)"
        " VALUES (:user, 'sms-inbound', 'Opt Out', 0, '*', 1, 'STOP', 'MOVE_CONTACT', :list, 1)"
    )
    for user_id, now in database.execute(sa.text("SELECT user_id, created_at FROM users")).fetchall():
        values = {"user": user_id, "address": secrets.token_hex(8).upper(), "now": now}
        key = database.execute(made, values).scalar_one()
        database.execute(rule, {"user": user_id, "list": str(key)})
