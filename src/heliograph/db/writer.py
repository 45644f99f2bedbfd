"""Group commit: everything that waits to be written goes into one transaction, each piece in its own savepoint.

One thread owns the writing connection. It knows nothing of what the pieces do.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import structlog

from heliograph.db.engine import QUICK, Connector, Tx
from heliograph.db.health import Health, reason
from heliograph.errors import DatabaseAway

MOST_PIECES = 256
"""Pieces in one transaction. All of them wait for its commit: 256 single sends at 20 µs (docs/performance.md) are
5 ms."""

MOST_CONFLICTS = 5
"""Tries of a piece that conflicts with other processes (`Dialect.conflict`). After the last one its caller gets the
error: in each conflict one of the processes goes on, so five losses in a row are more likely a defect than chance.
"""

DEADLINE = 25.0
"""Seconds that a request may wait for its turn. Clients give up after 30, as a rule, and ask again: what was run after
that would be done twice.
"""

NEVER = float("inf")
log = structlog.get_logger(__name__)

Merge = Callable[[Tx, list[Any]], Sequence[Any]]


class Piece:
    """One caller's work: a function of the transaction, or an item for a merging function."""

    __slots__ = ("failure", "future", "item", "merge", "result", "run", "until")

    def __init__(
        self,
        future: "asyncio.Future[Any]",
        run: Callable[[Tx], Any] | None,
        merge: Merge | None,
        item: Any,
        until: float,
    ) -> None:
        self.future = future
        self.until = until
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

    def __init__(self, connector: Connector, health: Health, woken: Callable[[set[str]], None]) -> None:
        self._connector = connector
        self._health = health
        self._woken = woken
        self._urgent: deque[Piece] = deque()
        self._calm: deque[Piece] = deque()
        self._ready = threading.Condition()
        self._closing = False
        self._turn = False
        self._committing = False
        self._starved = ""
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self._ticking = False
        self._thread = threading.Thread(target=self._work, name="db-writer", daemon=True)
        self._thread.start()

    def submit(
        self, run: Callable[[Tx], Any] | None, *, merge: Merge | None = None, item: Any = None, urgent: bool = True
    ) -> "asyncio.Future[Any]":
        """Queue a piece; the future resolves after its commit with its result or its own error."""
        if not self._ticking:
            self._tick()
        piece = Piece(self._loop.create_future(), run, merge, item, self._until if urgent else NEVER)
        with self._ready:
            if self._closing:
                raise RuntimeError("The database is closed.")
            (self._urgent if urgent else self._calm).append(piece)
            self._ready.notify()
        return piece.future

    def _tick(self) -> None:
        """Set the time of what is submitted within the next second: exact enough, and no piece has to ask the clock."""
        self._ticking = True
        self._until = monotonic() + DEADLINE
        self._loop.call_later(1, self._refuse_late)

    def _refuse_late(self) -> None:
        """Refuse what has waited for too long, since the writer is busy with something that does not end."""
        now, late = monotonic(), []
        with self._ready:
            while self._urgent and self._urgent[0].until <= now:
                late.append(self._urgent.popleft())
            self._ticking = bool(self._urgent)
        if self._ticking:
            self._tick()
        self._refuse(late)
        self._answer(late, set())

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
            self._commit_until_done(batch)

    def _commit_until_done(self, batch: list[Piece], attempt: int = 1) -> None:
        """Commit a batch and answer its callers.

        After a conflict with another process its pieces are committed one by one: what many of them lock together is in
        nobody's order. When the connection is lost before the commit, the batch is run once more on another one.
        """
        began = monotonic()
        if batch[0].until <= began:  # the first has waited longest
            batch = self._in_time(batch, began)
        if not batch:
            return
        wakes: set[str] = set()
        try:
            wakes = self._commit(batch)
        except BaseException as problem:  # noqa: BLE001 - the thread must survive a lost database; callers are told
            dialect = self._connector.dialect
            if dialect.conflict(problem) and (len(batch) > 1 or attempt < MOST_CONFLICTS):
                self._connector.reset()
                for piece in batch:
                    self._commit_until_done([piece], attempt + 1 if len(batch) == 1 else 1)
                return
            again = dialect.lost(problem) and not self._committing and monotonic() - began < QUICK
            if again and attempt == 1:
                self._connector.reset()
                self._commit_until_done(batch, 2)
                return
            refusal = self._refusal(problem)
            for piece in batch:
                piece.failure = refusal
        self._loop.call_soon_threadsafe(self._answer, batch, wakes)

    def _refusal(self, problem: BaseException) -> BaseException:
        """What the callers of a batch that failed as a whole are told. Ends its transaction."""
        if self._connector.dialect.away(problem):
            problem = self._connector.give_up(problem)
        else:
            self._connector.reset()
        if isinstance(problem, DatabaseAway):
            self._health.failed(problem.why)
        else:
            log.error("database.commit_failed", error=repr(problem))
        return problem

    def _in_time(self, batch: list[Piece], now: float) -> list[Piece]:
        """The pieces that somebody still waits for; the others are refused."""
        late = [piece for piece in batch if piece.until <= now]
        self._refuse(late)
        self._loop.call_soon_threadsafe(self._answer, late, set())
        return [piece for piece in batch if piece.until > now]

    def _refuse(self, late: Sequence[Piece]) -> None:
        if late:
            log.warning("database.too_late", pieces=len(late))
        for piece in late:
            piece.failure = DatabaseAway(f"nothing could be written for {DEADLINE:.0f} seconds")

    def _next_batch(self) -> list[Piece]:
        self._turn = not self._turn
        first, second = (self._urgent, self._calm) if self._turn or not self._calm else (self._calm, self._urgent)
        source = first or second
        return [source.popleft() for _ in range(min(MOST_PIECES, len(source)))]

    def _commit(self, batch: list[Piece]) -> set[str]:
        self._committing = False
        self._starved = ""
        tx = self._connector.begin_write()
        for piece in batch:
            piece.failure = None
        units = _units(batch)
        alone = len(units) == 1 and len(batch) == 1
        kept = 0
        for unit in units:
            kept += self._run_unit(tx, unit, alone)
        if kept or not alone:
            proof = not self._health.writes and tx.driver(tx.dialect.has_written).fetchone()[0]
            self._committing = True
            tx.driver("COMMIT")
            self._health.written()
            if proof:
                self._health.works()
        else:
            tx.driver("ROLLBACK")
            tx.wakes.clear()
        if self._starved:
            self._health.failed(self._starved)
        return tx.wakes

    def _run_unit(self, tx: Tx, unit: list[Piece], alone: bool) -> int:
        """Run a piece or a merged group; a group that fails is run again piece by piece. Returns how many were kept."""
        if not alone:
            tx.driver("SAVEPOINT piece")
        wakes = set(tx.wakes)
        memo = dict(tx.memo)
        try:
            _run(tx, unit)
        except Exception as problem:
            dialect = self._connector.dialect
            if dialect.conflict(problem) or dialect.lost(problem):
                raise
            tx.wakes, tx.memo = wakes, memo
            if not alone:
                tx.driver("ROLLBACK TO SAVEPOINT piece")
                tx.driver("RELEASE SAVEPOINT piece")
            if len(unit) > 1:
                return sum(self._run_unit(tx, [piece], alone=False) for piece in unit)
            unit[0].failure = self._told(problem)
            return 0
        if not alone:
            tx.driver("RELEASE SAVEPOINT piece")
        return len(unit)

    def _told(self, problem: Exception) -> Exception:
        """What the caller of a piece gets that failed by itself: the server had no room, or no time, for it."""
        dialect = self._connector.dialect
        if not dialect.away(problem):
            return problem
        why = reason(problem)
        if not dialect.crowded(problem):
            self._starved = why
        return DatabaseAway(why)

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
