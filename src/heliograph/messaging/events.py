"""What transports report, on its way into the database."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from heliograph.db.database import Database
from heliograph.errors import Unavailable
from heliograph.messaging import inbound, receipts
from heliograph.messaging.hooks import Hooks
from heliograph.transports.base import Inbound, Receipt

LOOK_AGAIN = (0.5, 2.0, 5.0)
"""Seconds between two looks at parked receipts, after one was parked."""

log = structlog.get_logger(__name__)


class StoredEvents:
    """Stores receipts and arriving messages (transports.base.Events); the account's rules run in the same transaction.

    What was given is durable when a call returns.
    """

    def __init__(self, database: Database, hooks: Hooks) -> None:
        self._database = database
        self._hooks = hooks
        self._looking: asyncio.Task[None] | None = None

    async def on_receipts(self, arrived: Sequence[Receipt]) -> None:
        """Store receipts. Those without a message are looked at again soon: their hand-over may be on its way."""
        parked = await self._database.write(lambda tx: receipts.store(tx, arrived, self._hooks), urgent=False)
        if parked and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_again())

    async def _look_again(self) -> None:
        for pause in LOOK_AGAIN:
            await asyncio.sleep(pause)
            with contextlib.suppress(Unavailable):  # a duty looks again, too
                await self._database.write(lambda tx: receipts.join_parked(tx, self._hooks), urgent=False)

    async def on_inbound(self, message: Inbound) -> None:
        """Store an MO; one that is for no account is logged without its text."""
        stored = await self._database.write(lambda tx: inbound.store(tx, message, self._hooks), urgent=False)
        if stored is None:
            log.warning("inbound.nobody", transport=message.transport, recipient=message.recipient)
