"""Group commit: everything that waits to be written goes into one transaction, each piece in its own savepoint.

One thread owns the writing connection. It knows nothing of what the pieces do.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from heliograph.db.engine import Connector, Tx

MOST_PIECES = 256
"""Pieces in one transaction. All of them wait for its commit: 256 single sends at 20 µs (docs/performance.md) are
5 ms."""

MOST_CONFLICTS = 5
"""Tries of a batch that conflicts with other processes (`Dialect.conflict`). After the last one its callers get the
error: in each conflict one of the processes goes on, so five losses in a row are more likely a defect than chance.
"""

log = structlog.get_logger(__name__)

Merge = Callable[[Tx, list[Any]], Sequence[Any]]


class Piece:
    """One caller's work: a function of the transaction, or an item for a merging function."""

    __slots__ = ("failure", "future", "item", "merge", "result", "run")

    def __init__(
        self, future: "asyncio.Future[Any]", run: Callable[[Tx], Any] | None, merge: Merge | None, item: Any
    ) -> None:
        self.future = future
        self.run = run
        self.merge = merge
        self.item = item
        self.result: Any = None
        self.failure: BaseException | None = None


class Writer:
    """Runs pieces one after the other; a caller has its answer only after the commit that contains it.

    Requests (`urgent`) go before background work, but background work gets every second batch when it waits, so that
    neither starves the other.
    """

    def __init__(self, connector: Connector, woken: Callable[[set[str]], None]) -> None:
        self._connector = connector
        self._woken = woken
        self._urgent: deque[Piece] = deque()
        self._calm: deque[Piece] = deque()
        self._ready = threading.Condition()
        self._closing = False
        self._turn = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="db-writer", daemon=True)
        self._thread.start()

    def submit(
        self, run: Callable[[Tx], Any] | None, *, merge: Merge | None = None, item: Any = None, urgent: bool = True
    ) -> "asyncio.Future[Any]":
        """Queue a piece; the future resolves after its commit with its result or its own error."""
        piece = Piece(self._loop.create_future(), run, merge, item)
        with self._ready:
            if self._closing:
                raise RuntimeError("The database is closed.")
            (self._urgent if urgent else self._calm).append(piece)
            self._ready.notify()
        return piece.future

    def close(self) -> None:
        """Write what waits, then stop. Blocks; call it from a thread."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._ready:
                while not (self._urgent or self._calm or self._closing):
                    self._ready.wait()
                batch = self._next_batch()
                if not batch:
                    return
            wakes = self._commit_until_done(batch)
            self._loop.call_soon_threadsafe(self._answer, batch, wakes)

    def _commit_until_done(self, batch: list[Piece]) -> set[str]:
        """Commit, and try again after a conflict with another process. When the database is lost, every caller gets the
        error.
        """
        for attempt in range(MOST_CONFLICTS):
            try:
                return self._commit(batch)
            except BaseException as problem:  # noqa: BLE001 - the thread must survive a lost database; callers are told
                self._connector.reset()
                if self._connector.dialect.conflict(problem) and attempt < MOST_CONFLICTS - 1:
                    continue
                log.error("database.commit_failed", error=repr(problem), pieces=len(batch))
                for piece in batch:
                    piece.failure = problem
                break
        return set()

    def _next_batch(self) -> list[Piece]:
        self._turn = not self._turn
        first, second = (self._urgent, self._calm) if self._turn or not self._calm else (self._calm, self._urgent)
        source = first or second
        return [source.popleft() for _ in range(min(MOST_PIECES, len(source)))]

    def _commit(self, batch: list[Piece]) -> set[str]:
        tx = self._connector.begin_write()
        for piece in batch:
            piece.failure = None
        units = _units(batch)
        alone = len(units) == 1 and len(batch) == 1
        kept = 0
        for unit in units:
            kept += self._run_unit(tx, unit, alone)
        if kept or not alone:
            tx.driver("COMMIT")
        else:
            tx.driver("ROLLBACK")
            tx.wakes.clear()
        return tx.wakes

    def _run_unit(self, tx: Tx, unit: list[Piece], alone: bool) -> int:
        """Run a piece or a merged group; a group that fails is run again piece by piece. Returns how many were kept."""
        try:
            if not alone:
                tx.driver("SAVEPOINT piece")
            wakes = set(tx.wakes)
            memo = dict(tx.memo)
            try:
                _run(tx, unit)
            except BaseException:
                tx.wakes, tx.memo = wakes, memo
                if not alone:
                    tx.driver("ROLLBACK TO SAVEPOINT piece")
                raise
            finally:
                if not alone:
                    tx.driver("RELEASE SAVEPOINT piece")
        except Exception as problem:
            if self._connector.dialect.conflict(problem):
                raise
            if len(unit) > 1:
                return sum(self._run_unit(tx, [piece], alone=False) for piece in unit)
            unit[0].failure = problem
            return 0
        return len(unit)

    def _answer(self, batch: list[Piece], wakes: set[str]) -> None:
        for piece in batch:
            if piece.future.done():
                continue
            if piece.failure is not None:
                piece.future.set_exception(piece.failure)
            else:
                piece.future.set_result(piece.result)
        if wakes:
            self._woken(wakes)


def _units(batch: list[Piece]) -> list[list[Piece]]:
    """Pieces with the same merging function are run as one call; concurrent requests have no order to keep."""
    units: list[list[Piece]] = []
    merged: dict[Merge, list[Piece]] = {}
    for piece in batch:
        if piece.merge is None:
            units.append([piece])
        elif piece.merge in merged:
            merged[piece.merge].append(piece)
        else:
            merged[piece.merge] = [piece]
            units.append(merged[piece.merge])
    return units


def _run(tx: Tx, unit: list[Piece]) -> None:
    first = unit[0]
    if first.merge is None:
        assert first.run is not None
        first.result = first.run(tx)
        return
    for piece, result in zip(unit, first.merge(tx, [piece.item for piece in unit]), strict=True):
        if isinstance(result, BaseException):
            piece.failure = result
        else:
            piece.result = result
