"""Brings a database to the newest tables. Alembic is imported for an old one only: it takes a tenth of a second."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect

from heliograph.db import dialect

FOLDER = Path(__file__).parent / "migrations"


@cache
def newest() -> str:
    """The id of the newest migration: their files' names begin with it, and are in order."""
    return max(file.name for file in (FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]


def upgrade(address: str) -> list[str]:
    """Run the migrations that the database at `address` lacks; their ids. Several processes may call it at once.

    All of them are one transaction, Alembic's note of what was done included: a process that is killed half-way leaves
    nothing. The others wait for its end, on PostgreSQL by an advisory lock, on SQLite by the write lock. Raises
    errors.Unfit.
    """
    engine, kind = dialect.engine(address)
    try:
        with engine.connect() as connection:
            if _is_newest(connection):
                return []
            for statement in kind.begin_migration:
                connection.exec_driver_sql(statement)
            from heliograph.db import upgrades

            pending = upgrades.run(connection, FOLDER)
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()
    return pending


def _is_newest(connection: Connection) -> bool:
    """Whether Alembic's note says that nothing is missing."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [newest()]
