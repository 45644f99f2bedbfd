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

    All of them are one transaction, Alembic's note of what was done included: a process that is killed half-way leaves
    nothing. The others wait for its end, on PostgreSQL by an advisory lock, on SQLite by the write lock.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine, kind = dialect.engine(address)
    try:
        with engine.connect() as connection:
            for statement in kind.begin_migration:
                connection.exec_driver_sql(statement)
            before = MigrationContext.configure(connection).get_current_revision()
            script = ScriptDirectory.from_config(config)
            pending = [step.revision for step in script.iterate_revisions("heads", before)]
            if pending:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()
    return pending[::-1]
