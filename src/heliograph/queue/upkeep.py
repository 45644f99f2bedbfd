"""Regular small duties: expire messages that wait too long, remove old records. A duty works in short transactions."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from heliograph.db.database import Database
from heliograph.db.engine import Tx

EVERY = 30.0
"""Seconds between two rounds. Most duties are about what is hours or days old; the most urgent are the automatic
recharge and the mail about low credit, for which half a minute is soon enough.
"""

log = structlog.get_logger(__name__)

Duty = Callable[[Tx], bool]
"""Does a part of its work in one transaction; whether more is left."""


class Upkeep:
    """Runs the duties one after the other, every half minute."""

    def __init__(self, database: Database, duties: Mapping[str, Duty]) -> None:
        self._database = database
        self._duties = duties
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task that runs the rounds, on the running event loop."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Stop the task. A transaction that was handed to the writer is still committed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            for name, duty in self._duties.items():
                try:
                    while await self._database.write(duty, urgent=False, slow=True):
                        pass
                except Exception as problem:  # noqa: BLE001 - one duty's failure must not end the others
                    log.error("upkeep.failed", duty=name, error=repr(problem))
            await asyncio.sleep(EVERY)
