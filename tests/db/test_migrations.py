"""The migrations make exactly the tables of db/tables/."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from heliograph.db import dialect, migrate
from heliograph.db.tables import metadata
from heliograph.texts import folded

pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index"),
]
"""SQLite's are not compared; PostgreSQL's are, and both are made by the same migrations."""


VICTIM = """
import signal, sys
from sqlalchemy import Engine, event
from heliograph.db import migrate

left = int(sys.argv[2])

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *_):
    global left
    left -= statement.lstrip().upper().startswith(("CREATE", "ALTER", "INSERT", "UPDATE"))
    if left == 0:
        print("half-way", flush=True)
        signal.pause()

migrate.upgrade(sys.argv[1])
print("done", flush=True)
"""


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


def test_accounts_from_before_get_an_opt_out_list_and_its_rule(tmp_path: Path) -> None:
    """Revision 0004 gives them what later accounts are born with."""
    address = f"sqlite:///{tmp_path / 'old.db'}"
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    engine, _ = dialect.engine(address)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        command.upgrade(config, str(script.get_revision("0004").down_revision))
        columns = [one for one in inspect(connection).get_columns("users") if not one["nullable"]]
        names = ", ".join(one["name"] for one in columns)
        for user in (7, 8):
            values = ", ".join(str(user) if one["name"] in ("user_id", "username") else "0" for one in columns)
            connection.exec_driver_sql(f"INSERT INTO users ({names}) VALUES ({values})")
    engine.dispose()
    migrate.upgrade(address)
    engine, _ = dialect.engine(address)
    with engine.connect() as connection:
        sql = (
            "SELECT l.user_id, l.list_name, l.is_opt_out, r.action, r.message_search_term FROM contact_lists l"
            " JOIN rules r ON r.user_id = l.user_id AND r.action_address = CAST(l.list_id AS TEXT) ORDER BY 1"
        )
        found = connection.exec_driver_sql(sql).fetchall()
    engine.dispose()
    assert [tuple(row) for row in found] == [(user, "Opt-Out List", 1, "MOVE_CONTACT", "STOP") for user in (7, 8)]


def test_contacts_from_before_are_found_by_their_words_in_any_form(database_url: str) -> None:
    """Revision 0014 folds what they are searched by; until then it was in small letters only."""
    engine, _ = dialect.engine(database_url)
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    texts = ("plain ann", "stra\u00dfe ann", "i\u0307pek z\u0307ak", "\u017b\u00f3\u0142\u0107".lower())
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        revision = ScriptDirectory.from_config(config).get_revision("0014").down_revision
        command.upgrade(config, str(revision))
        columns = [one["name"] for one in inspect(connection).get_columns("contacts") if not one["nullable"]]
        for number, text in enumerate(texts, 1):
            own = {"contact_id": str(number), "place": str(number), "keywords": f"'{text}'"}
            values = ", ".join(own.get(name, "0") for name in columns)
            connection.exec_driver_sql(f"INSERT INTO contacts ({', '.join(columns)}) VALUES ({values})")
    migrate.upgrade(database_url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT keywords FROM contacts ORDER BY contact_id").scalars().all()
    engine.dispose()
    assert found == [folded(text) for text in texts] != list(texts)


@pytest.mark.parametrize("statements", [1, 12, 90])
def test_a_migration_that_is_killed_leaves_nothing(database_url: str, statements: int) -> None:
    """The next start begins again and completes. Killed with Alembic's own table, in the first revision, in a later."""
    command = [sys.executable, "-c", VICTIM, database_url, str(statements)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "half-way\n"
        victim.kill()
    engine, _ = dialect.engine(database_url)
    assert inspect(engine).get_table_names() == [], "nothing is left of what was killed"
    engine.dispose()
    assert migrate.upgrade(database_url)
    assert migrate.upgrade(database_url) == []
    assert differences(database_url) == []
