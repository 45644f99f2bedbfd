"""All that differs between SQLite and PostgreSQL, and the multi-row statements of the hot path."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

ROWS_A_STATEMENT = (1000, 256, 64, 16, 4, 1)
"""Rows of one multi-row VALUES. Large ones, since each statement gives the interpreter away and waits to get it back;
few sizes, since SQLite would compile one for each number of rows, which costs as much as inserting them
(docs/performance.md).
"""
VALUES_A_STATEMENT = 30_000
"""Most values of one multi-row VALUES: SQLite takes 32,766."""
MANY = 16
"""Rows from which on it pays to look which columns have one value in all of them."""

Alike = Sequence[frozenset[str]]
"""Sets of columns that rows of one statement have alike as a rule, the largest set first; none has all columns."""

WAIT = 10
"""Seconds that a connection to SQLite waits for another process that writes."""

SQLITE_AWAY = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
"""Result codes by which SQLite says that it cannot get at its file, or cannot write it."""

POSTGRES_LOST = {"25006", "25P03", "25P04", "57P01", "57P02", "57P03", "57P04", "57P05"}
"""SQLSTATEs after which another connection may do what this one cannot: the server ends the session, or only reads."""

POSTGRES_AWAY = {"08", "28", "40", "53", "57", "58"}
"""Classes of SQLSTATEs about the server and not about the statement: connection, login, conflicts that go on for ever,
resources, operators, system. Source: PostgreSQL's manual, appendix A.
"""

PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5000,
}
"""What has libpq give up a server that does not answer within 10 seconds. Those of the URL count more."""

SESSION = ("plan_cache_mode=force_custom_plan", "tcp_keepalives_idle=10", "tcp_user_timeout=10000")
"""Settings of every session. The first, since a prepared statement would keep a plan made for an empty table: reading
every row of the user. The others, so that a lost client does not hold locks.
"""

WRITING = ("idle_in_transaction_session_timeout=4s", "lock_timeout=5s")
"""No piece of the writer waits with an open transaction. What is lost between us must not go on holding locks, and who
holds one for long must not hold up everybody.
"""

READING = ("idle_in_transaction_session_timeout=60s", "statement_timeout=30s")
"""Nobody waits for a longer look-up, and a few of them at once would keep all others from reading."""


class Dialect:
    """SQLite. `PostgreSQL` overrides what is different there."""

    name = "sqlite"
    on_loop = True
    """Whether transactions run on the event loop: its statements are shorter than the way to another thread and back.
    """
    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN"
    numbers_apart = True
    """Whether messages are found by number in tables of their own (reached.py): an index would grow at random places.
    """
    queue_in_order = True
    """Whether rows of the queue are in the order of their messages' ids, as one writer makes them (queue/seek.py)."""
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
    written = "SELECT total_changes()"
    """How many rows a connection has written; on PostgreSQL 1 or 0, for the transaction."""

    clock = ""
    """How the server's clock is read; "" without a server: the machine's clock is the only one."""

    def sql(self, text: str) -> str:
        """Statement text with `?` marks as the driver wants it."""
        return text

    def in_list(self, text: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """Statement text whose `IN ({})` takes these values, and the parameters that it takes for them."""
        return text.replace("{}", ",".join("?" * len(values))), values

    def conflict(self, problem: BaseException) -> bool:
        """Whether a transaction failed because of another process's, so that it can be run again as it is."""
        return False

    def away(self, problem: BaseException) -> bool:
        """Whether the database cannot be used at the moment: no defect of the statement, which may go through later."""
        return getattr(_cause(problem), "sqlite_errorcode", 0) & 0xFF in SQLITE_AWAY

    def lost(self, problem: BaseException) -> bool:
        """Whether nothing can be done with a connection and its transaction any more."""
        return self.away(problem)

    def crowded(self, problem: BaseException) -> bool:
        """Whether only others were in the way: it says nothing of the database."""
        return False

    def forbidden(self, problem: BaseException) -> bool:
        """Whether something was to be written that may only be read: where only reading is meant, that is a defect."""
        return getattr(_cause(problem), "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY

    def connect_args(self, url: URL, readonly: bool | None) -> dict[str, Any]:
        """Parameters of the driver. `readonly` None: neither the writer nor a reader, but something that takes long."""
        return {"check_same_thread": False, "timeout": 30 if readonly is None else WAIT}

    def patience(self, *, patient: bool) -> str:
        """The statement after which a connection waits for those who write, or is refused at once."""
        return f"PRAGMA busy_timeout = {WAIT * 1000 if patient else 0}"

    def silent(self, problem: BaseException) -> bool:
        """Whether the server said nothing at all: nobody else need try to reach it for a moment."""
        return False

    def listeners(self, readonly: bool | None) -> Sequence[tuple[str, Callable[..., Any]]]:
        """(event of an engine, what is called then): what is done with each new connection."""
        return [("connect", _read_pragmas if readonly else _write_pragmas)]

    def insert_rows(
        self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], alike: Alike = ()
    ) -> None:
        """Insert many rows by few statements. Values must be plain (int, str, float, bool, None).

        A value of a column that many rows have alike is given to SQLite once, and not once a row (docs/performance.md).
        """
        names = tuple(columns)
        start, left, most = 0, len(rows), VALUES_A_STATEMENT // len(names)
        for size in ROWS_A_STATEMENT:
            while left >= size <= most:
                chunk = rows[start : start + size]
                if alike and size >= MANY:
                    cursor.execute(*_insert_alike(table, names, chunk, alike))
                else:
                    cursor.execute(_insert(table, names, size, self.mark), list(chain.from_iterable(chunk)))
                start, left = start + size, left - size


class PostgreSQL(Dialect):
    """PostgreSQL by psycopg 3, which is imported with the first of these: a server on SQLite can save it."""

    name = "postgresql"
    on_loop = numbers_apart = queue_in_order = False
    begin_write = "BEGIN"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    mark = "%s"
    skip_locked = "FOR UPDATE SKIP LOCKED"
    for_update = "FOR UPDATE"
    begin_migration = ("BEGIN", "SELECT pg_advisory_xact_lock(7213001)")
    version = "SHOW server_version"
    checkpoint = restart = impatient = ""
    written = "SELECT (txid_current_if_assigned() IS NOT NULL)::int"
    clock = "SELECT extract(epoch FROM clock_timestamp())::float8"

    def __init__(self) -> None:
        from heliograph.db import postgres

        self._driver = postgres

    def sql(self, text: str) -> str:
        """Statement text with `%s` marks."""
        return text.replace("?", "%s")

    def in_list(self, text: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """One array, since planning a statement with a thousand parameters takes long."""
        return text.replace("IN ({})", "= ANY(?)"), [list(values)]

    def conflict(self, problem: BaseException) -> bool:
        """Deadlocks and serialization failures."""
        return isinstance(_cause(problem), self._driver.CONFLICTS)

    def away(self, problem: BaseException) -> bool:
        """Also when the server has no time for a statement, or another process holds what it needs."""
        state = getattr(_cause(problem), "sqlstate", None) or ""
        return self.lost(problem) or state[:2] in POSTGRES_AWAY or self.crowded(problem)

    def lost(self, problem: BaseException) -> bool:
        """A driver's own error without a code of the server's is about the connection."""
        cause = _cause(problem)
        if not isinstance(cause, self._driver.ERRORS) or cause.sqlstate:
            state = getattr(cause, "sqlstate", None) or ""
            return state in POSTGRES_LOST or state.startswith("08")
        return isinstance(cause, self._driver.BROKEN)

    def crowded(self, problem: BaseException) -> bool:
        """Locks and statements that took too long."""
        return isinstance(_cause(problem), self._driver.CROWDED)

    def forbidden(self, problem: BaseException) -> bool:
        """A read-only transaction."""
        return isinstance(_cause(problem), self._driver.FORBIDDEN)

    def connect_args(self, url: URL, readonly: bool | None) -> dict[str, Any]:
        """Time-outs and settings of the session; what the URL says of them counts more."""
        session = [*SESSION, *(() if readonly is None else READING if readonly else WRITING)]
        options = " ".join([*(f"-c {one}" for one in session), str(url.query.get("options", ""))])
        patience = {name: value for name, value in PATIENCE.items() if name not in url.query}
        return {**patience, "options": options.rstrip()}

    def silent(self, problem: BaseException) -> bool:
        """It has stopped, or what goes between us is lost."""
        return isinstance(_cause(problem), self._driver.Silent)

    def listeners(self, readonly: bool | None) -> Sequence[tuple[str, Callable[..., Any]]]:
        """Connections are our own."""
        return [("do_connect", self._connect)]

    def _connect(self, _dialect: Any, _record: Any, arguments: Sequence[Any], parameters: dict[str, Any]) -> Any:
        return self._driver.connect(*arguments, **parameters)

    def insert_rows(
        self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], alike: Alike = ()
    ) -> None:
        """COPY from 50 rows up, one multi-row INSERT below that."""
        if len(rows) < 50:  # one statement, since each has to go to the server and back
            cursor.execute(_insert(table, tuple(columns), len(rows), self.mark), list(chain.from_iterable(rows)))
            return
        with cursor.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


@lru_cache(maxsize=1024)
def _insert(table: str, columns: tuple[str, ...], rows: int, mark: str) -> str:
    one = "(" + ",".join([mark] * len(columns)) + ")"
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES " + ",".join([one] * rows)  # noqa: S608


def _insert_alike(
    table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]], alike: Alike
) -> tuple[str, list[Any]]:
    """Statement and values of rows for SQLite; `alike` is tried from the first set to the last."""
    by_column = list(zip(*rows, strict=True))
    for names in alike:
        shared, own = _places(columns, names)
        if all(by_column[place].count(by_column[place][0]) == len(rows) for place in shared):
            values = [by_column[place][0] for place in shared]
            values.extend(chain.from_iterable(zip(*(by_column[place] for place in own), strict=True)))
            return _insert_selected(table, columns, names, len(rows)), values
    return _insert(table, columns, len(rows), "?"), list(chain.from_iterable(rows))


@lru_cache(maxsize=256)
def _places(columns: tuple[str, ...], names: frozenset[str]) -> tuple[list[int], list[int]]:
    """The places of these columns, and those of all others."""
    shared = [place for place, name in enumerate(columns) if name in names]
    return shared, [place for place in range(len(columns)) if place not in shared]


@lru_cache(maxsize=1024)
def _insert_selected(table: str, columns: tuple[str, ...], alike: frozenset[str], rows: int) -> str:
    """The marks of the values that all rows share come first."""
    shared, own = _places(columns, alike)
    chosen = {place: f"?{number}" for number, place in enumerate(shared, 1)}
    chosen |= {place: f"own.column{number}" for number, place in enumerate(own, 1)}
    one = "(" + ",".join("?" * len(own)) + ")"
    values = ",".join(chosen[place] for place in range(len(columns)))
    return f"INSERT INTO {table} ({','.join(columns)}) SELECT {values} FROM (VALUES {','.join([one] * rows)}) AS own"  # noqa: S608


def _cause(problem: BaseException) -> BaseException:
    """The driver's error, without SQLAlchemy's around it."""
    return getattr(problem, "orig", None) or problem


def chunks(rows: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """The rows in slices of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def of(url: URL) -> Dialect:
    """The dialect that a database URL asks for."""
    return PostgreSQL() if url.get_backend_name() == "postgresql" else Dialect()


def path_of(address: str) -> str:
    """The path of an SQLite database's file; "" for anything else."""
    url = make_url(address)
    path = url.database or ""
    return "" if url.get_backend_name() != "sqlite" or path == ":memory:" or path.startswith("file:") else path


@lru_cache(maxsize=16)
def engine(address: str, *, readonly: bool | None = None) -> tuple[Engine, Dialect]:
    """An engine in autocommit mode (BEGIN and COMMIT are ours, see writer.py) and its dialect.

    Each connector opens connections of its own, but those to one database share an engine: it compiles a statement
    once, and not once for each reader.
    `readonly` is None for what takes long, as a migration. SQLite gets WAL with synchronous=FULL: an accepted message
    survives a power cut.
    """
    url = make_url(address)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    dialect = of(url)
    made = create_engine(
        url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args=dialect.connect_args(url, readonly)
    )
    for name, listener in dialect.listeners(readonly):
        event.listen(made, name, listener)
    return made, dialect


_WRITING = ("journal_mode=WAL", "cache_size=-65536", "temp_store=MEMORY", "wal_autocheckpoint=0")
"""No automatic checkpoints: a thread of its own makes them (database.py). Within a commit one held up every request for
100 ms.
"""


SYNCHRONOUS = "synchronous=FULL"
"""A commit is on the disk before anybody is told of it."""


def _write_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (*_WRITING, SYNCHRONOUS, "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _read_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "query_only=ON", "cache_size=-32768", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").close()
