"""The open database: one writer with group commit, several readers, and listeners that are called after a commit."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from time import monotonic
from typing import Any, TypeVar

import structlog
from sqlalchemy import make_url

from heliograph.db import dialect, reached
from heliograph.db.engine import Clock, Connector, Tx, clock_of
from heliograph.db.file import File
from heliograph.db.group import DEADLINE
from heliograph.db.health import Health, errors, reason
from heliograph.db.piece import Merge, Piece, Tell, resolve
from heliograph.db.tables import epochs
from heliograph.db.writer import LoopWriter, ThreadWriter, Writer
from heliograph.errors import DatabaseAway, Unavailable

T = TypeVar("T")
CHECKPOINT_EVERY = 0.5
"""Seconds between two copies of SQLite's log to the database. Often, so that each copy is small: p99 of a send is
10 ms, and was 36 to 90 ms with SQLite's own checkpoints of 4 and 32 MB (docs/performance.md).
"""

LONGEST_LOG = 32_000
"""Pages of SQLite's log (4 kB each, so 128 MB). A longer log is not only copied to the database but also begun anew, so
that its file stops growing. The writer has to wait meanwhile, so the limit is large.
"""

AGAIN = (0.5, 1.0, 2.0, 5.0)
"""Seconds between two tries to write what must not be lost while the database is away; the last one again and again."""

FRESH = 1.0
"""Seconds for which it is believed that writing works, or does not."""

log = structlog.get_logger(__name__)


class Database:
    """Opened on a running event loop. `write` and `read` are the only two ways in.

    Both raise DatabaseAway (503) when the database cannot be reached, or not be written. `clock` is the one by which
    everything in it is measured: a PostgreSQL server's own, or this machine's. `alone` says that no other process, and
    no other `Database`, opens this SQLite file so (holder.py): what it accepts is then indexed in memory first
    (reached.py).
    """

    def __init__(self, address: str, *, clock: Clock | None = None, readers: int = 4, alone: bool = False) -> None:
        self.address = address
        self.dialect = dialect.of(make_url(address))
        self.clock = clock or clock_of(self.dialect)
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._file = File(path) if (path := dialect.path_of(address)) else None
        self._health = Health(self._file)
        self.alone = alone and self._file is not None
        prepare = reached.prepare if self.alone else None
        self._connector = Connector(address, self.clock, health=self._health, prepare=prepare)
        self._merging: asyncio.Task[None] | None = None
        self.on_wake(reached.FULL, self._merge)
        writer = LoopWriter if self.dialect.on_loop else ThreadWriter
        self._writer: Writer = writer(self._connector, self._health, self._woken)
        self._local = threading.local()
        self._read_connectors: list[Connector] = []
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="db-reader")
        self._closing = threading.Event()
        self._checkpoints = threading.Thread(target=self._checkpoint, name="db-checkpoint", daemon=True)
        if self.dialect.checkpoint:
            self._checkpoints.start()

    def write(self, run: Callable[[Tx], T], *, urgent: bool = True, slow: bool = False) -> "asyncio.Future[T]":
        """Run `run(tx)` in the next group commit. Background work passes urgent=False.

        On SQLite it runs on the event loop, unless it is `slow`: what may take more than some milliseconds has to say
        so, here or by `Tx.long`.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writer.submit(Piece(resolve(future), run, urgent=urgent, slow=slow))
        return future

    async def write_until_taken(self, run: Callable[[Tx], T]) -> T:
        """Write in the background, again until the database takes it: what happened outside, and only we know of it.

        It may run twice, since the answer to a COMMIT can be lost.
        """
        pauses = chain(AGAIN, repeat(AGAIN[-1]))
        while True:
            try:
                return await self.write(run, urgent=False)
            except Unavailable as problem:
                pause = next(pauses)
                log.error("database.not_recorded", error=repr(problem), again=pause)
                await asyncio.sleep(pause)

    def write_merged(
        self, merge: Merge, item: Any, *, weight: int = 1, urgent: bool = True, slow: bool = False
    ) -> "asyncio.Future[Any]":
        """Hand `item` to `merge(tx, items)` together with what others hand to the same function at that moment.

        It answers with one result (or exception object) for each item. `weight` is about how many rows it writes.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.submit(Piece(resolve(future), None, merge, item, weight=weight, urgent=urgent, slow=slow))
        return future

    def merge_then(self, merge: Merge, item: Any, tell: Tell, *, weight: int = 1) -> None:
        """The same for an item of a request; `tell(result, failure)` is called after the commit, without a future."""
        self._writer.submit(Piece(tell, None, merge, item, weight=weight))

    def read(self, run: Callable[[Tx], T]) -> "asyncio.Future[T]":
        """Run `run(tx)` on a reading connection in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._read, run, monotonic() + DEADLINE)

    async def ready(self) -> bool:
        """Whether writing works: what was seen within the last second, or what comes of writing something now."""
        if self._health.proved_at < monotonic() - FRESH:
            try:
                await asyncio.wait_for(self.write(_try), 5)
            except (DatabaseAway, TimeoutError):
                return False
            self._health.works()
        return self._health.writes

    def on_wake(self, name: str, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop after each commit that woke `name`."""
        self._listeners.setdefault(name, []).append(listener)

    def _read(self, run: Callable[[Tx], T], until: float) -> T:
        if monotonic() > until:
            raise DatabaseAway(f"nothing could be read for {DEADLINE:.0f} seconds")
        connector = getattr(self._local, "connector", None)
        if connector is None:
            connector = Connector(self.address, self.clock, readonly=True, health=self._health)
            self._local.connector = connector
            self._read_connectors.append(connector)
        tx = connector.begin_read()
        try:
            return run(tx)
        except errors() as problem:
            if self.dialect.away(problem) and not self.dialect.forbidden(problem):
                raise connector.give_up(problem) from problem
            raise
        finally:
            connector.end_read(tx)

    def _checkpoint(self) -> None:
        """Keep SQLite's log short, in a thread and over a connection of its own, while others write."""
        connector = Connector(self.address, self.clock, health=self._health)
        told = ""
        while not self._closing.wait(CHECKPOINT_EVERY):
            try:
                self._look_inside()
                _, pages, _ = connector.run(self.dialect.checkpoint)
                self._look_inside()
                if pages > LONGEST_LOG:
                    connector.run(self.dialect.impatient)
                    connector.run(self.dialect.restart)
                told = ""
            except Exception as problem:  # noqa: BLE001 - it is tried again; meanwhile the log only grows
                if told != (told := reason(problem)):
                    log.warning("database.no_checkpoint", error=repr(problem))
                connector.reset()
        connector.close()

    def _look_inside(self) -> None:
        """Both before the log is copied, since it must not get into another's file, and after, to know what is ours."""
        if self._file is not None:
            self._file.look_inside()

    def _merge(self) -> None:
        """Merge the index of numbers in the background, slice by slice. What fails is tried again after a commit."""
        if self._merging is None or self._merging.done():
            self._merging = asyncio.get_running_loop().create_task(self._merged())

    async def _merged(self) -> None:
        with contextlib.suppress(DatabaseAway):
            while await self.write(reached.merge, urgent=False):
                pass

    def _woken(self, names: set[str]) -> None:
        for name in names:
            for listener in self._listeners.get(name, ()):
                try:
                    listener()
                except Exception:  # what was committed is answered, and the writer goes on
                    log.exception("database.listener_failed", name=name)

    async def close(self) -> None:
        """Write what waits, then close every connection."""
        if self._merging is not None:
            self._merging.cancel()
            await asyncio.wait([self._merging])
        await self._writer.close()
        self._closing.set()
        if self._checkpoints.is_alive():
            await asyncio.to_thread(self._checkpoints.join)
        self._pool.shutdown(wait=True)
        for connector in (*self._read_connectors, self._connector):
            connector.close()
        if self._file is not None:
            self._file.close()


def _try(tx: Tx) -> None:
    """Write as much as a send does, and leave nothing; no other process waits for it."""
    name = f"try {os.urandom(8).hex()}"
    tx.execute(epochs.insert().values(name=name, value=0))
    tx.execute(epochs.delete().where(epochs.c.name == name))
