"""Transactions, and connections that open themselves again."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable

from heliograph.db import dialect as dialects
from heliograph.db.health import PAUSE, Health, errors, reason
from heliograph.db.servertime import ServerTime
from heliograph.errors import DatabaseAway

Clock = Callable[[], float]
Row = Mapping[str, Any]
T = TypeVar("T")

QUICK = 1.0
"""Seconds within which a connection has to fail for another attempt: whoever has waited for long is told at once."""

PREPARED = "prepared"
"""Key of how many rows a connection had written when it was prepared."""

_ONLY_READS = "the server only reads"


class TooLong(Exception):
    """What `Tx.long` raises on the event loop."""


class Tx:
    """An open transaction. Handlers and nouns take one and never commit.

    `clock` is its time in Unix seconds, the same clock for all processes on one database; `now` is the same without the
    fraction. `memo` caches look-ups for the length of the transaction. `wake(name)` calls
    the listeners of that name after the commit.
    """

    def __init__(self, connection: Connection, dialect: dialects.Dialect, now: float) -> None:
        self.connection = connection
        self.dialect = dialect
        self.clock = now
        self.now = int(now)
        self.memo: dict[Any, Any] = {}
        self.wakes: set[str] = set()
        self.on_loop = False
        self._cursor = connection.connection.cursor()

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a SQLAlchemy statement."""
        return self.connection.execute(statement, parameters)

    def row(self, statement: Executable) -> Row | None:
        """The first row by column, or None."""
        found = self.connection.execute(statement)
        values = found.first()
        return None if values is None else dict(zip(found.keys(), values, strict=True))

    def rows(self, statement: Executable) -> Sequence[Row]:
        """All rows, by column."""
        found = self.connection.execute(statement)
        names = tuple(found.keys())
        return [dict(zip(names, values, strict=True)) for values in found]

    def scalar(self, statement: Executable) -> Any:
        """The first column of the first row, or None."""
        return self.connection.execute(statement).scalar()

    def driver(self, text: str, parameters: Sequence[Any] = ()) -> Any:
        """Run hot SQL (marks are `?`) on the driver's cursor and return the cursor."""
        self._cursor.execute(self.dialect.sql(text), parameters)
        return self._cursor

    def driver_in(self, text: str, before: Sequence[Any], values: Iterable[Any]) -> list[Any]:
        """Run SQL whose `IN ({})` is filled with values, in slices; the fetched rows of all, if it returns any."""
        found: list[Any] = []
        for chunk in dialects.chunks(list(values), 500):
            filled, given = self.dialect.in_list(text, chunk)
            cursor = self.driver(filled, [*before, *given])
            if cursor.description:
                found.extend(cursor.fetchall())
        return found

    def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], alike: dialects.Alike = ()
    ) -> None:
        """Insert many plain rows. `alike` are columns that many rows have alike as a rule: it only makes it faster."""
        if rows:
            self.dialect.insert_rows(self._cursor, table, columns, rows, alike)

    def has_written(self) -> bool:
        """Whether there is something to commit. Ask in the first transaction of a connection: SQLite counts for each
        connection, and what it was prepared with is in memory only.
        """
        (rows,) = self.driver(self.dialect.written).fetchone()
        return bool(rows > self.connection.info.get(PREPARED, 0))

    def long(self) -> None:
        """Say that what follows may take long. On the event loop the piece is undone, and begun again in a thread."""
        if self.on_loop:
            raise TooLong

    def wake(self, name: str) -> None:
        """Call the listeners of `name` after the commit (Database.on_wake)."""
        self.wakes.add(name)


class Connector:
    """One connection that opens itself again: after `reset`, and when it is found lost where a transaction begins.

    `clock` is the server's own when none is given; SQLite has no server, there it is the machine's. The connections of
    a process share its `health`. `prepare` is called with each new connection before it is used. All methods raise
    DatabaseAway.
    """

    def __init__(
        self,
        address: str,
        clock: Clock | None = None,
        *,
        readonly: bool = False,
        health: Health | None = None,
        prepare: Callable[[Connection], None] | None = None,
    ) -> None:
        self._engine, self.dialect = dialects.engine(address, readonly=readonly)
        self._prepare = prepare
        self._clock = clock or clock_of(self.dialect)
        self._server_time = self._clock if isinstance(self._clock, ServerTime) else None
        self._health = health or Health()
        self._readonly = readonly
        self._connection: Connection | None = None
        self._fleeting = False
        self._patient = True
        self._only_reads_until = float("-inf")

    def begin_write(self) -> Tx:
        """Begin a transaction that may write, after those of other processes."""
        return self._twice(self._begin_write)

    def begin_at_once(self) -> Tx | None:
        """The same on the event loop; None when it would have to wait, for a connection or for somebody else."""
        if self._connection is None:
            return None
        try:
            self._wait_for_others(self._connection, patient=False)
            tx = self._begin(self._connection, self.dialect.begin_write)
        except errors():
            return None  # begin_write finds out why
        tx.on_loop = True
        return tx

    def _begin_write(self, connection: Connection) -> Tx:
        self._wait_for_others(connection, patient=True)
        return self._begin(connection, self.dialect.begin_write)

    def _wait_for_others(self, connection: Connection, *, patient: bool) -> None:
        if self._patient != patient:
            connection.exec_driver_sql(self.dialect.patience(patient=patient)).close()
            self._patient = patient

    def begin_read(self) -> Tx:
        """Begin a transaction that sees one state of the database; `end_read` ends it."""
        if self._fleeting:
            self.reset()
        return self._twice(lambda connection: self._begin(connection, self.dialect.begin_read))

    def end_read(self, tx: Tx) -> None:
        """End what `begin_read` began."""
        if tx.connection is self._connection:
            try:
                tx.driver("ROLLBACK")
            except errors():
                self.reset()  # it is lost: the next read opens another one

    def run(self, text: str) -> Any:
        """The first row of a statement that needs no transaction."""
        return self._twice(lambda connection: connection.exec_driver_sql(text).first())

    def _twice(self, work: Callable[[Connection], T]) -> T:
        """Do what a transaction begins with: when the connection was lost meanwhile, once more on a new one."""
        while True:
            fresh, began = self._connection is None, time.monotonic()
            try:
                return work(self._open())
            except errors() as problem:
                if not self.dialect.away(problem):
                    self.reset()
                    raise
                refusal = self.give_up(problem)
                if fresh or time.monotonic() - began > QUICK:
                    raise refusal from problem

    def _begin(self, connection: Connection, text: str) -> Tx:
        if self._server_time is not None and self._server_time.is_old():
            self._measure(self._server_time, connection)
        tx = Tx(connection, self.dialect, self._clock())
        tx.driver(text)
        return tx

    def _open(self) -> Connection:
        if self._connection is not None:
            return self._connection
        if time.monotonic() < self._only_reads_until:
            raise DatabaseAway(_ONLY_READS)
        self._health.may_open()
        try:
            self._connection = self._engine.connect()
            self._patient = True
            self._health.opened()
            if self._server_time is not None:
                self._measure(self._server_time, self._connection)
            if self._prepare is not None:
                self._prepare(self._connection)
                rows = self._connection.exec_driver_sql(self.dialect.written).scalar()
                self._connection.info[PREPARED] = int(rows or 0)
        except errors() as problem:
            self.reset()
            raise self._health.unreachable(reason(problem)) from problem
        made = self._connection.connection.driver_connection
        self._fleeting = getattr(made, "standby", False)
        if getattr(made, "readonly", False) and not self._readonly:
            self.reset()
            self._only_reads_until = time.monotonic() + PAUSE
            raise DatabaseAway(_ONLY_READS)
        return self._connection

    def _measure(self, server_time: ServerTime, connection: Connection) -> None:
        server_time.measure(lambda: float(connection.exec_driver_sql(self.dialect.clock).scalar() or 0))

    def give_up(self, problem: BaseException) -> DatabaseAway:
        """Throw the connection away; the error that callers get."""
        self.reset()
        if self.dialect.silent(problem):
            return self._health.unreachable(reason(problem))
        return DatabaseAway(reason(problem))

    def reset(self) -> None:
        """Throw the connection away, with its open transaction."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
            self._health.closed()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._health.closed()
        self._engine.dispose()


def clock_of(dialect: dialects.Dialect) -> Clock:
    """The clock by which everything in a database is measured."""
    return ServerTime() if dialect.clock else time.time
