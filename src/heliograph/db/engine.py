"""Transactions, and connections that open themselves again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable

from heliograph.db import dialect as dialects

Clock = Callable[[], float]
Row = Mapping[str, Any]


class Tx:
    """An open transaction. Handlers and nouns take one and never commit.

    `now` is its time in Unix seconds. `memo` caches look-ups for the length of the transaction. `wake(name)` calls
    the listeners of that name after the commit.
    """

    def __init__(self, connection: Connection, dialect: dialects.Dialect, now: float) -> None:
        self.connection = connection
        self.dialect = dialect
        self.clock = now
        self.now = int(now)
        self.memo: dict[Any, Any] = {}
        self.wakes: set[str] = set()
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

    def insert_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many plain rows."""
        if rows:
            self.dialect.insert_rows(self._cursor, table, columns, rows)

    def wake(self, name: str) -> None:
        """Call the listeners of `name` after the commit (Database.on_wake)."""
        self.wakes.add(name)


class Connector:
    """One connection that opens itself again after `reset`."""

    def __init__(self, address: str, clock: Clock, *, readonly: bool = False) -> None:
        self._engine, self.dialect = dialects.engine(address, readonly=readonly)
        self._clock = clock
        self._connection: Connection | None = None

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def begin_write(self) -> Tx:
        """Begin a transaction that may write."""
        tx = Tx(self._open(), self.dialect, self._clock())
        tx.driver(self.dialect.begin_write)
        return tx

    def begin_read(self) -> Tx:
        """Begin a transaction that sees one state of the database."""
        tx = Tx(self._open(), self.dialect, self._clock())
        tx.driver(self.dialect.begin_read)
        return tx

    def run(self, text: str) -> Any:
        """The first row of a statement that needs no transaction."""
        return self._open().exec_driver_sql(text).first()

    def reset(self) -> None:
        """Throw the connection away, with its open transaction."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()
