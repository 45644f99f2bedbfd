"""Email templates of accounts."""

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from heliograph.db.tables.base import Id, metadata

email_templates = Table(
    "email_templates",
    metadata,
    Column("template_id", Id, primary_key=True),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("template_id_master", Integer, nullable=False),
    Column("template_name", Text, nullable=False),
    Column("body", Text, nullable=False),
)
"""`template_id_master` is the master template (mail/templates/masters.py) that it was cloned from."""
