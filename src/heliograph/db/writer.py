"""Everything that waits to be written goes into one transaction: on the event loop, or in a thread of its own.

On SQLite the loop runs the transactions itself. Two threads that both run Python take the interpreter from each other,
which cost more than the transactions do (docs/decisions/0003). On PostgreSQL a transaction waits for the server, and
the loop must not wait with it.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import NamedTuple

import structlog

from heliograph.db.engine import Connector, Tx
from heliograph.db.group import DEADLINE, Groups, refuse, without
from heliograph.db.health import Health
from heliograph.db.piece import Line, Piece

NEVER = float("inf")
MOST_ROWS = 500
"""Rows of a group on the loop beyond those of its first piece; a request with more has a turn of the loop to itself.
What arrives is read between two turns: with 2,000 messages in one, new connections waited for most of a second.
"""
RIDE = 0.004
"""Seconds that background work waits for a request to share the commit with. Without, its commits made single sends
beside it a fifth dearer.
"""
LATEST = 0.02
"""Seconds after which a group on the loop begins no further piece."""
LONG = 0.05
"""Seconds of a transaction on the loop from which on it is logged, with the names of its functions."""

Woken = Callable[[set[str]], None]
log = structlog.get_logger(__name__)


class Writer:
    """Runs pieces; a caller has its answer only after the commit that contains it.

    Requests (`urgent`), background work and large requests take turns, so that none of them starves.
    """

    def __init__(self, connector: Connector, health: Health, woken: Woken, line: Line) -> None:
        self._woken = woken
        self._line = line
        self._groups = Groups(connector, health, self._answer_from_thread)
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self._ticking = False

    def submit(self, piece: Piece) -> None:
        """Put a piece in line. Raises RuntimeError after `close`."""
        if not self._ticking:
            self._tick()
        piece.until = self._until if piece.urgent else NEVER
        self._add(piece)

    async def close(self) -> None:
        """Write what waits, then stop."""
        raise NotImplementedError

    def _add(self, piece: Piece) -> None:
        raise NotImplementedError

    def _expired(self, now: float) -> list[Piece]:
        """The requests that have waited for too long; whether others wait goes into `_ticking`."""
        late = self._line.expired(now)
        self._ticking = self._line.has_requests
        return late

    def _tick(self) -> None:
        """Set the time of what is submitted within the next second: exact enough, and no piece has to ask the clock."""
        self._ticking = True
        self._until = monotonic() + DEADLINE
        self._loop.call_later(1, self._refuse_late)

    def _refuse_late(self) -> None:
        """Refuse what has waited for too long, since the writer is busy with something that does not end."""
        late = self._expired(monotonic())
        if self._ticking:
            self._tick()
        refuse(late)
        self._answer(late, set())

    def _answer_from_thread(self, batch: Sequence[Piece], wakes: set[str]) -> None:
        self._loop.call_soon_threadsafe(self._answer, batch, wakes)

    def _answer(self, batch: Sequence[Piece], wakes: set[str]) -> None:
        for piece in batch:
            try:
                piece.tell(piece.result, piece.failure)
            except Exception:  # a defect of one must not keep the others from their answers
                log.exception("database.not_told", function=piece.name)
        if wakes:
            self._woken(wakes)


class _Open(NamedTuple):
    """A transaction of large requests between two turns of the loop: who was run in it, and who is still to be."""

    tx: Tx
    ran: list[Piece]
    rest: list[Piece]


class LoopWriter(Writer):
    """Runs short transactions on the event loop, one at the end of a turn in which something was submitted.

    Large requests that wait together share one as well, since the disk takes as long for one as for four of them, but
    each has its own turn. Small ones that come meanwhile are run next, and end it.

    Slow pieces, and whatever has to wait (for another process, for a new connection), run in a thread. While it has the
    connection, everything else waits in line.
    """

    def __init__(self, connector: Connector, health: Health, woken: Woken) -> None:
        super().__init__(connector, health, woken, Line(MOST_ROWS))
        self._connector = connector
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="db-writer")
        self._away = False
        self._scheduled: asyncio.Handle | None = None
        self._soon = False
        self._open: _Open | None = None
        self._empty: asyncio.Future[None] | None = None

    async def close(self) -> None:
        """Write what waits, then stop."""
        self._closing = True
        if self._line or self._away or self._open:
            self._empty = self._loop.create_future()
            self._schedule(soon=True)
            await self._empty
        await asyncio.to_thread(self._thread.shutdown)

    def _add(self, piece: Piece) -> None:
        if self._closing:
            raise RuntimeError("The database is closed.")
        self._line.add(piece)
        if not self._soon:
            self._schedule(soon=piece.urgent)

    def _schedule(self, *, soon: bool) -> None:
        """Have a transaction at the end of this turn, or when background work has waited long enough."""
        if self._away or self._soon or (self._scheduled is not None and not soon):
            return
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._soon = soon
        self._scheduled = self._loop.call_soon(self._work) if soon else self._loop.call_later(RIDE, self._work)

    def _work(self) -> None:
        self._scheduled, self._soon = None, False
        if self._open is not None:
            self._continue(*self._open)
        elif self._line:
            group = self._line.next_group()
            if any(piece.slow for piece in group):
                self._send_away(self._groups.finish, group)
            else:
                self._run(group)
        self._go_on()

    def _go_on(self) -> None:
        if self._line or self._open:
            self._schedule(soon=True)
        elif self._empty is not None and not self._away and not self._empty.done():
            self._empty.set_result(None)

    def _run(self, group: list[Piece]) -> None:
        tx = self._connector.begin_at_once()
        if tx is None:
            self._send_away(self._groups.finish, group)  # it waits for others
            return
        self._groups.begin()
        turn = 1 if group[0].weight > MOST_ROWS else len(group)
        self._step(tx, [], group[:turn], group[turn:])

    def _continue(self, tx: Tx, ran: list[Piece], rest: list[Piece]) -> None:
        if self._line.has_small:
            self._line.put_back(rest)
            self._step(tx, ran, self._line.small(), [])
        else:
            self._step(tx, ran, rest[:1], rest[1:])

    def _step(self, tx: Tx, ran: list[Piece], batch: list[Piece], rest: list[Piece]) -> None:
        """Run pieces, and commit unless there are others to be run in the next turn."""
        began = monotonic()
        self._open = None
        try:
            self._groups.run(tx, batch, began + LATEST, more=bool(ran or rest))
            wakes = set() if rest else self._groups.end(tx)
        except BaseException as problem:  # noqa: BLE001 - as in a thread: the callers are told
            self._line.put_back(rest)
            self._send_away(self._groups.recover, ran + batch, problem, began)
            return
        _watch(batch, monotonic() - began)
        ran += batch
        if rest:
            self._open = _Open(tx, ran, rest)
            return
        left = self._groups.left
        if left:
            self._line.put_back(left)
            ran = without(left, ran)
        self._answer(ran, wakes)

    def _send_away(self, work: Callable[..., None], *arguments: object) -> None:
        """Let the thread have the connection."""
        self._away = True

        def run() -> None:
            try:
                work(*arguments)
            finally:
                self._loop.call_soon_threadsafe(self._back)

        self._thread.submit(run)

    def _back(self) -> None:
        self._away = False
        self._go_on()


class ThreadWriter(Writer):
    """Runs all transactions in a thread of its own, without a pause while something waits."""

    def __init__(self, connector: Connector, health: Health, woken: Woken) -> None:
        super().__init__(connector, health, woken, Line())
        self._ready = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="db-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what waits, then stop."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        await asyncio.to_thread(self._thread.join)

    def _add(self, piece: Piece) -> None:
        with self._ready:
            if self._closing:
                raise RuntimeError("The database is closed.")
            self._line.add(piece)
            self._ready.notify()

    def _expired(self, now: float) -> list[Piece]:
        with self._ready:
            return super()._expired(now)

    def _work(self) -> None:
        while True:
            with self._ready:
                while not (self._line or self._closing):
                    self._ready.wait()
                batch = self._line.next_batch()
            if not batch:
                return
            self._groups.finish(batch)


def _watch(group: Sequence[Piece], seconds: float) -> None:
    """Say who held up the event loop."""
    if seconds > LONG:
        names = sorted({piece.name for piece in group})
        log.warning("database.long_on_loop", seconds=round(seconds, 3), functions=names, pieces=len(group))
