"""The migrations make exactly the tables of db/tables.py."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from heliograph.db import dialect, migrate
from heliograph.db.tables import metadata


def differences(address: str) -> list[object]:
    """What a new migration would have to change."""
    engine, _ = dialect.engine(address)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True, "transactional_ddl": False}
            )
            return list(compare_metadata(context, metadata))
    finally:
        engine.dispose()


def test_a_migrated_database_has_the_tables_of_the_program(migrated_url: str) -> None:
    assert differences(migrated_url) == []


def test_a_table_without_a_migration_is_noticed(migrated_url: str) -> None:
    """The comparison above sees something: a table that the program does not know is a difference."""
    engine, _ = dialect.engine(migrated_url)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE forgotten (name TEXT)")
    engine.dispose()
    found = differences(migrated_url)
    assert [step[0] for step in found if isinstance(step, tuple)] == ["remove_table"]


def test_checks_and_keys_are_the_same(migrated_url: str) -> None:
    """Autogenerate compares neither primary keys nor CHECK constraints."""
    engine, _ = dialect.engine(migrated_url)
    try:
        seen = inspect(engine)
        for name, table in metadata.tables.items():
            assert seen.get_pk_constraint(name)["constrained_columns"] == [one.name for one in table.primary_key], name
        assert [one["name"] for one in seen.get_check_constraints("balances")] == ["ck_balances_not_negative"]
    finally:
        engine.dispose()


def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    assert migrate.upgrade(migrated_url) == []
