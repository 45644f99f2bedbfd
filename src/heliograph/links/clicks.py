"""Counting clicks beside the answers: a request only notes what it saw, and is judged and written after it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import DatabaseAway
from heliograph.limited import Bites
from heliograph.links import judge

MOST_WAITING = 50_000
"""Requests that wait to be judged; what comes beyond that is redirected and not counted."""
BATCH = 500
GATHER = 0.2
"""Seconds in which what comes is written together."""
AWAY = 5.0
"""Seconds until another attempt, while the database is away."""

log = structlog.get_logger(__name__)
_bites = Bites("clicks.dropped")


class Seen(NamedTuple):
    """A request that was redirected. `address` is only looked up and never stored."""

    at: int
    code: str
    long_url_id: int
    agent: str
    address: str


_COLUMNS = ("at", "code", "long_url_id", "country", "device", "os", "browser")


class Clicks:
    """The clicks of this process on their way to the database. What waits when it is killed is not counted."""

    def __init__(self, database: Database, country_file: str = "") -> None:
        self._database = database
        self._countries = judge.Country(country_file)
        self._waiting: deque[Seen] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._end = asyncio.Event()

    def note(self, code: str, long_url_id: int, headers: Mapping[bytes, bytes], address: str) -> None:
        """Take note of a GET for a link. Does nothing that takes time."""
        if judge.is_ahead(headers):
            return
        if len(self._waiting) >= MOST_WAITING:
            _bites.bite()
            return
        agent = headers.get(b"user-agent", b"")[: judge.LONGEST_AGENT].decode("latin-1")
        self._waiting.append(Seen(int(self._database.clock()), code, long_url_id, agent, address))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())

    async def stop(self) -> None:
        """Write what waits; while the database is away, this is tried once."""
        self._end.set()
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        await self._pause(GATHER)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            rows = await asyncio.to_thread(self._judged, batch)
            if rows and not await self._stored(rows):
                if self._end.is_set():
                    log.warning("clicks.lost", count=len(rows) + len(self._waiting))
                    return
                self._waiting.extendleft(reversed(batch))
                await self._pause(AWAY)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for longer than until the end of the process."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds)

    async def _stored(self, rows: Sequence[Sequence[object]]) -> bool:
        try:
            await self._database.write(lambda tx: store(tx, rows), urgent=False)
        except DatabaseAway:
            return False
        return True

    def _judged(self, batch: Sequence[Seen]) -> list[tuple[object, ...]]:
        """A row for each click; crawlers and previews leave none."""
        rows: list[tuple[object, ...]] = []
        for seen in batch:
            client = judge.client(seen.agent)
            if client is not None:
                rows.append((seen.at, seen.code, seen.long_url_id, self._countries.of(seen.address), *client))
        return rows


def store(tx: Tx, rows: Sequence[Sequence[object]]) -> None:
    """Add clicks: time, code, long_url_id, country, device, system, browser."""
    tx.insert_rows("clicks", _COLUMNS, rows)
