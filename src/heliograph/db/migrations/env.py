"""Alembic's entry: migrate.py hands over the connection, within the transaction that it commits when all is done.

`transactional_ddl=False` keeps Alembic from opening and closing transactions of its own.
"""

from alembic import context

from heliograph.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
