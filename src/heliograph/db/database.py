"""The open database: one writer with group commit, several readers, and listeners that are called after a commit."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from heliograph.db.engine import Clock, Connector, Tx
from heliograph.db.writer import Writer

T = TypeVar("T")
CHECKPOINT_EVERY = 0.5
"""Seconds between two copies of SQLite's log to the database. Often, so that each copy is small: p99 of a send is
10 ms, and was 36 to 90 ms with SQLite's own checkpoints of 4 and 32 MB (docs/performance.md).
"""

LONGEST_LOG = 32_000
"""Pages of SQLite's log (4 kB each, so 128 MB). A longer log is not only copied to the database but also begun anew, so
that its file stops growing. The writer has to wait meanwhile, so the limit is large.
"""

log = structlog.get_logger(__name__)


class Database:
    """Opened on a running event loop. `write` and `read` are the only two ways in."""

    def __init__(self, address: str, *, clock: Clock = time.time, readers: int = 4) -> None:
        self.address = address
        self.clock = clock
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._connector = Connector(address, clock)
        self.dialect = self._connector.dialect
        self._writer = Writer(self._connector, self._woken)
        self._local = threading.local()
        self._read_connectors: list[Connector] = []
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="db-reader")
        self._closing = threading.Event()
        self._checkpoints = threading.Thread(target=self._checkpoint, name="db-checkpoint", daemon=True)
        if self.dialect.checkpoint:
            self._checkpoints.start()

    def write(self, run: Callable[[Tx], T], *, urgent: bool = True) -> "asyncio.Future[T]":
        """Run `run(tx)` in the next group commit. Background work passes urgent=False."""
        return self._writer.submit(run, urgent=urgent)

    def write_merged(
        self, merge: Callable[[Tx, list[Any]], Sequence[Any]], item: Any, *, urgent: bool = True
    ) -> "asyncio.Future[Any]":
        """Hand `item` to `merge(tx, items)` together with what others hand to the same function at that moment.

        It answers with one result (or exception object) for each item.
        """
        return self._writer.submit(None, merge=merge, item=item, urgent=urgent)

    def read(self, run: Callable[[Tx], T]) -> "asyncio.Future[T]":
        """Run `run(tx)` on a reading connection in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._read, run)

    def on_wake(self, name: str, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop after each commit that woke `name`."""
        self._listeners.setdefault(name, []).append(listener)

    def _read(self, run: Callable[[Tx], T]) -> T:
        connector = getattr(self._local, "connector", None)
        if connector is None:
            connector = self._local.connector = Connector(self.address, self.clock, readonly=True)
            self._read_connectors.append(connector)
        try:
            tx = connector.begin_read()
        except Exception:
            connector.reset()
            raise
        try:
            return run(tx)
        finally:
            try:
                tx.driver("ROLLBACK")
            except Exception:  # noqa: BLE001 - the connection is gone: the next read opens a new one
                connector.reset()

    def _checkpoint(self) -> None:
        """Keep SQLite's log short, in a thread and over a connection of its own, while others write."""
        connector = Connector(self.address, self.clock)
        while not self._closing.wait(CHECKPOINT_EVERY):
            try:
                _, pages, _ = connector.run(self.dialect.checkpoint)
                if pages > LONGEST_LOG:
                    connector.run(self.dialect.impatient)
                    connector.run(self.dialect.restart)
            except Exception as problem:  # noqa: BLE001 - it is tried again; meanwhile the log only grows
                log.warning("database.no_checkpoint", error=repr(problem))
                connector.reset()
        connector.close()

    def _woken(self, names: set[str]) -> None:
        for name in names:
            for listener in self._listeners.get(name, ()):
                listener()

    async def close(self) -> None:
        """Write what waits, then close every connection."""
        await asyncio.to_thread(self._writer.close)
        self._closing.set()
        if self._checkpoints.is_alive():
            await asyncio.to_thread(self._checkpoints.join)
        self._pool.shutdown(wait=True)
        for connector in (*self._read_connectors, self._connector):
            connector.close()
