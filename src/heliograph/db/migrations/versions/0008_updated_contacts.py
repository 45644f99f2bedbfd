"""Contacts that were updated are paged out of one index, in a definite order"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.drop_index(op.f("ix_contacts_list_id_date_updated"), "contacts")
    columns = ["list_id", "date_updated", "contact_id"]
    op.create_index(op.f("ix_contacts_list_id_date_updated_contact_id"), "contacts", columns, unique=False)
