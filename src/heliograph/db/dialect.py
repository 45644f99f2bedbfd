"""All SQL that differs between SQLite and PostgreSQL, and the multi-row statements of the hot path."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

ROWS_A_STATEMENT = 1000
VALUES_A_STATEMENT = 30_000
"""Most rows and values of one multi-row VALUES. SQLite takes 32,766 values; few large statements, since the thread
gives the interpreter away with each and waits to get it back (docs/performance.md)."""


class Dialect:
    """SQLite. `PostgreSQL` overrides what is different there."""

    name = "sqlite"
    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN"
    mark = "?"
    skip_locked = ""
    for_update = ""
    begin_migration: Sequence[str] = ("BEGIN IMMEDIATE",)
    """Opens the one transaction of all migrations. Nobody else can migrate until it ends, however it ends."""
    version = "SELECT sqlite_version()"
    checkpoint = "PRAGMA wal_checkpoint(PASSIVE)"
    restart = "PRAGMA wal_checkpoint(RESTART)"
    """`checkpoint` copies the log to the database while the writer goes on. `restart` makes the log begin anew as well,
    and the writer has to wait.
    """
    impatient = "PRAGMA busy_timeout = 100"
    """Limit a restart of the log to 100 ms of waiting for readers, since the writer waits with it."""
    connect_args: Mapping[str, Any] = {"check_same_thread": False, "timeout": 30}

    def sql(self, text: str) -> str:
        """Statement text with `?` marks as the driver wants it."""
        return text

    def in_list(self, text: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """Statement text whose `IN ({})` takes these values, and the parameters that it takes for them."""
        return text.replace("{}", ",".join("?" * len(values))), values

    def conflict(self, problem: BaseException) -> bool:
        """Whether a transaction failed because of another process's, so that it can be run again as it is."""
        return False

    def insert_rows(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows by few statements. Values must be plain (int, str, float, bool, None)."""
        for chunk in chunks(rows, min(ROWS_A_STATEMENT, VALUES_A_STATEMENT // len(columns))):
            one = "(" + ",".join([self.mark] * len(columns)) + ")"
            text = f"INSERT INTO {table} ({','.join(columns)}) VALUES " + ",".join([one] * len(chunk))  # noqa: S608
            cursor.execute(text, list(chain.from_iterable(chunk)))


class PostgreSQL(Dialect):
    """PostgreSQL by psycopg 3."""

    name = "postgresql"
    begin_write = "BEGIN"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    mark = "%s"
    skip_locked = "FOR UPDATE SKIP LOCKED"
    for_update = "FOR UPDATE"
    begin_migration = ("BEGIN", "SELECT pg_advisory_xact_lock(7213001)")
    version = "SHOW server_version"
    checkpoint = restart = impatient = ""
    connect_args: Mapping[str, Any] = {"options": "-c plan_cache_mode=force_custom_plan"}
    """Without this a prepared statement would keep a plan made for an empty table: reading every row of the user."""

    def sql(self, text: str) -> str:
        """Statement text with `%s` marks."""
        return text.replace("?", "%s")

    def in_list(self, text: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """One array, since planning a statement with a thousand parameters takes long."""
        return text.replace("IN ({})", "= ANY(?)"), [list(values)]

    def conflict(self, problem: BaseException) -> bool:
        """Deadlocks and serialization failures."""
        cause = getattr(problem, "orig", problem)
        return isinstance(cause, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure)

    def insert_rows(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """COPY from 50 rows up, one multi-row INSERT below that."""
        if len(rows) < 50:
            super().insert_rows(cursor, table, columns, rows)
            return
        with cursor.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def chunks(rows: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """The rows in slices of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def of(url: URL) -> Dialect:
    """The dialect that a database URL asks for."""
    return PostgreSQL() if url.get_backend_name() == "postgresql" else Dialect()


def engine(address: str, *, readonly: bool = False) -> tuple[Engine, Dialect]:
    """An engine in autocommit mode (BEGIN and COMMIT are ours, see writer.py) and its dialect.

    SQLite gets WAL with synchronous=FULL: an accepted message survives a power cut.
    """
    url = make_url(address)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    dialect = of(url)
    made = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        connect_args=dict(dialect.connect_args),
    )
    if dialect.name == "sqlite":
        event.listen(made, "connect", _read_pragmas if readonly else _write_pragmas)
    return made, dialect


_WRITING = ("journal_mode=WAL", "cache_size=-65536", "temp_store=MEMORY", "wal_autocheckpoint=0")
"""No automatic checkpoints: a thread of its own makes them (database.py). Within a commit one held up every request for
100 ms.
"""


def _write_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (*_WRITING, "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _read_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "query_only=ON", "cache_size=-32768", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").close()
