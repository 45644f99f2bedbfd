"""Alembic's entry: migrate.py hands over the open connection."""

from alembic import context

from heliograph.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
