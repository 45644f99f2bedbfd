"""Tables of contacts, their lists and imports."""

from sqlalchemy import (
    BigInteger,
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
"""A list with `deleted_at` is hidden, and its contacts are removed slice by slice. `opting_out_until` (Unix time) ends
by itself, in case the process that removes opted-out contacts dies.
"""

contact_blocks = Table(
    "contact_blocks",
    metadata,
    Column("list_id", BigInteger, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("list_id", "block"),
    sqlite_with_rowid=False,
)
"""How many contacts of a list are in each block of 1000 places, so that a page is found without counting rows."""

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
    Index(None, "list_id", "date_updated", "contact_id"),
    sqlite_autoincrement=True,
)
"""`place` only grows within a list and has gaps where contacts were removed. `keywords` is the text that is searched,
in the form of `texts.folded`: SQLite can only fold the case of ASCII.
"""

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
    Column("rows_partial", BigInteger, nullable=False, server_default="0"),
    Column("rows_refused", BigInteger, nullable=False),
    Column("error", Text),
    Column("error_file_id", Text),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("finished_at", BigInteger),
)
"""`position` is moved in the transaction that stores the rows before it. `source` is the kind of the file once it has
been fetched, and `file_id` our copy of it.
"""

import_refusals = Table(
    "import_refusals",
    metadata,
    Column("import_id", BigInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("partial", SmallInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("import_id", "line"),
    sqlite_with_rowid=False,
)
"""`partial` is 1 for a row that was imported, but not all of it."""

opt_outs = Table(
    "opt_outs",
    metadata,
    Column("opt_out_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("msisdn", BigInteger),
    Column("event", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("message_id", Text),
    Column("list_id", BigInteger),
    Column("date_added", BigInteger, nullable=False),
    Index(None, "user_id", "opt_out_id"),
    Index(None, "user_id", "msisdn"),
)
"""Who opted out or in again, and why; rows are only added. `list_id`: the list that the contact left and comes back to.
"""
