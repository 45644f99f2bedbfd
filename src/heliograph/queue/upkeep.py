"""Regular small duties: expire what waits too long, forget what is over. Each duty is one short transaction."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from heliograph.db.database import Database
from heliograph.db.engine import Tx

EVERY = 30.0
log = structlog.get_logger(__name__)

Duty = Callable[[Tx], bool]
"""Does a slice of its work; whether more is left."""


class Upkeep:
    """Runs the duties one after the other, every half minute."""

    def __init__(self, database: Database, duties: Sequence[Duty]) -> None:
        self._database = database
        self._duties = duties
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Stop after the slice under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            for duty in self._duties:
                try:
                    while await self._database.write(duty, urgent=False):
                        pass
                except Exception as problem:  # noqa: BLE001 - one duty's failure must not end the others
                    log.error("upkeep.failed", error=repr(problem))
            await asyncio.sleep(EVERY)
