"""Brings a database to the newest tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from heliograph.db import dialect

FOLDER = Path(__file__).parent / "migrations"


def upgrade(address: str) -> list[str]:
    """Run the migrations that the database at `address` lacks; their ids. Several processes may call it at once.

    On PostgreSQL an advisory lock makes the others wait; on SQLite the write lock does.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine, kind = dialect.engine(address)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(kind.lock_schema)
            before = MigrationContext.configure(connection).get_current_revision()
            script = ScriptDirectory.from_config(config)
            pending = [step.revision for step in script.iterate_revisions("heads", before)]
            if pending:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            connection.exec_driver_sql(kind.unlock_schema)
    finally:
        engine.dispose()
    return pending[::-1]
