"""Writing down what requests were for, beside the answers: a request only notes what it saw, and is judged after it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

import structlog

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import DatabaseAway
from heliograph.limited import Bites

MOST_WAITING = 50_000
"""Requests that wait to be judged; what comes beyond that is answered and not counted."""
BATCH = 500
GATHER = 0.2
"""Seconds in which what comes is written together."""
AWAY = 5.0
"""Seconds until another attempt, while the database is away."""

Noted = TypeVar("Noted")
Judged = TypeVar("Judged")

log = structlog.get_logger(__name__)


class Notes(Generic[Noted, Judged]):
    """What this process has noted on its way to the database. What waits when it is killed is not counted.

    `name` is what its lines in the log begin with, `longer` for how many seconds beyond GATHER it is gathered.
    """

    name: str
    longer = 0.0

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Noted] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._bites = Bites(f"{self.name}.dropped")

    def judged(self, batch: Sequence[Noted]) -> Sequence[Judged]:
        """What counts of it, in the form of `store`. Runs in a thread."""
        raise NotImplementedError

    def store(self, tx: Tx, rows: Sequence[Judged]) -> object:
        """Write what counts."""
        raise NotImplementedError

    def add(self, noted: Noted) -> None:
        """Take note. Does nothing that takes time."""
        if len(self._waiting) >= MOST_WAITING:
            self._bites.bite()
            return
        self._waiting.append(noted)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())

    async def stop(self) -> None:
        """Write what waits; while the database is away, this is tried once."""
        self._end.set()
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        await self._pause(GATHER + self.longer)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            rows = await asyncio.to_thread(self.judged, batch)
            if rows and not await self._stored(rows):
                if self._end.is_set():
                    log.warning(f"{self.name}.lost", count=len(rows) + len(self._waiting))
                    return
                self._waiting.extendleft(reversed(batch))
                await self._pause(AWAY)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for longer than until the end of the process."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds)

    async def _stored(self, rows: Sequence[Judged]) -> bool:
        try:
            await self._database.write(lambda tx: self.store(tx, rows), urgent=False)
        except DatabaseAway:
            return False
        return True
