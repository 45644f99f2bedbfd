"""The migrations make exactly the tables of db/tables/."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect

from heliograph import phone
from heliograph.db import dialect, migrate
from heliograph.db.tables import metadata, sqlite_metadata
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


def of_its_own(address: str) -> list[MetaData]:
    """The tables that this kind of database has beside those of both."""
    return [sqlite_metadata] if address.startswith("sqlite") else []


def differences(address: str) -> list[object]:
    """What a new migration would have to change."""
    engine, _ = dialect.engine(address)
    try:
        with engine.connect() as connection:
            opts = {"compare_type": True, "compare_server_default": True, "transactional_ddl": False}
            kind = connection.dialect.name
            context = MigrationContext.configure(
                connection, opts={**opts, "include_object": lambda one, *_: one.info.get("only", kind) == kind}
            )
            return list(compare_metadata(context, [metadata, *of_its_own(address)]))
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
        tables = {name: table for one in (metadata, *of_its_own(migrated_url)) for name, table in one.tables.items()}
        for name, table in tables.items():
            assert seen.get_pk_constraint(name)["constrained_columns"] == [one.name for one in table.primary_key], name
        assert [one["name"] for one in seen.get_check_constraints("balances")] == ["ck_balances_not_negative"]
    finally:
        engine.dispose()


def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    assert migrate.upgrade(migrated_url) == []


def test_the_newest_migration_is_the_one_that_alembic_runs_last() -> None:
    """Its id is read off the files' names, so that an up-to-date database is known without Alembic."""
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.newest()]


@contextmanager
def at_revision(address: str, revision: str) -> Iterator[Connection]:
    """A database as it was before a revision, to fill in; afterwards it is brought up to date."""
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    engine, _ = dialect.engine(address)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        command.upgrade(config, str(script.get_revision(revision).down_revision))
        yield connection
        connection.commit()
    engine.dispose()
    migrate.upgrade(address)


def insert(connection: Connection, table: str, **given: object) -> None:
    """A row of these values; what else must have one gets 0."""
    columns = [one["name"] for one in inspect(connection).get_columns(table) if not one["nullable"]]
    values = {**dict.fromkeys(columns, "0"), **{name: str(value) for name, value in given.items()}}
    connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})")


def rows(address: str, sql: str) -> list[tuple[object, ...]]:
    engine, _ = dialect.engine(address)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(sql).fetchall()]
    engine.dispose()
    return found


def test_accounts_from_before_get_an_opt_out_list_and_its_rule(tmp_path: Path) -> None:
    """Revision 0004 gives them what later accounts are born with."""
    address = f"sqlite:///{tmp_path / 'old.db'}"
    with at_revision(address, "0004") as connection:
        for user in (7, 8):
            insert(connection, "users", user_id=user, username=user)
    found = rows(
        address,
        "SELECT l.user_id, l.list_name, l.is_opt_out, r.action, r.message_search_term FROM contact_lists l"
        " JOIN rules r ON r.user_id = l.user_id AND r.action_address = CAST(l.list_id AS TEXT) ORDER BY 1",
    )
    assert found == [(user, "Opt-Out List", 1, "MOVE_CONTACT", "STOP") for user in (7, 8)]


def test_numbers_from_before_get_the_key_of_their_subscriber(database_url: str) -> None:
    """Revision 0013: what was stored as +54 9 … and +52 1 … is found under the other spelling, too."""
    keys = (5491123456789, 541123456789, 5215512345678, 525512345678, 61491570006, 549112345678, 5511981234567)
    with at_revision(database_url, "0013") as connection:
        for at, key in enumerate(keys, 1):
            insert(connection, "contacts", contact_id=at, list_id=1, place=at, msisdn=key)
            insert(connection, "messages", user_id=1, channel="'sms'", ordinal=at, message_id=f"'m{at}'", msisdn=key)
    new = [phone.msisdn(f"+{key}") for key in keys]
    assert new[:4] == [541123456789, 541123456789, 525512345678, 525512345678]
    assert [row[0] for row in rows(database_url, "SELECT msisdn FROM contacts ORDER BY contact_id")] == new
    assert [row[0] for row in rows(database_url, "SELECT msisdn FROM messages ORDER BY ordinal")] == new


def test_messages_from_before_are_in_the_index_over_numbers(database_url: str) -> None:
    """Revision 0029: SQLite has it in a table, with a mark for each list; PostgreSQL keeps its indexes."""
    with at_revision(database_url, "0029") as connection:
        for at, (user, number) in enumerate([(1, 300), (1, "NULL"), (2, 100), (1, 200)], 1):
            given = {"user_id": user, "ordinal": at, "msisdn": number, "date": at}
            insert(connection, "messages", channel="'sms'", message_id=f"'m{at}'", **given)
    engine, _ = dialect.engine(database_url)
    indexes = {one["name"] for table in ("messages", "queue") for one in inspect(engine).get_indexes(table)}
    engine.dispose()
    before = {"ix_messages_msisdn_date", "ix_queue_user_id_message_id"}
    if not database_url.startswith("sqlite"):
        assert before <= indexes
        return
    assert not before & indexes
    kept = [(100, 3, 2, "sms", 3), (200, 4, 1, "sms", 4), (300, 1, 1, "sms", 1)]
    assert rows(database_url, "SELECT * FROM reached ORDER BY 1") == kept
    assert rows(database_url, "SELECT * FROM reached_through ORDER BY 1") == [(1, "sms", 4), (2, "sms", 3)]


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
