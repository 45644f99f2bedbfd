"""What transports report, on its way into the database."""

from collections.abc import Sequence

import structlog

from heliograph.db.database import Database
from heliograph.messaging import inbound, receipts
from heliograph.messaging.hooks import Hooks
from heliograph.transports.base import Inbound, Receipt

log = structlog.get_logger(__name__)


class StoredEvents:
    """Stores receipts and arriving messages (transports.base.Events); the account's rules run in the same transaction.

    What was given is durable when a call returns.
    """

    def __init__(self, database: Database, hooks: Hooks) -> None:
        self._database = database
        self._hooks = hooks

    async def on_receipts(self, arrived: Sequence[Receipt]) -> None:
        """Store receipts."""
        await self._database.write(lambda tx: receipts.store(tx, arrived, self._hooks), urgent=False)

    async def on_inbound(self, message: Inbound) -> None:
        """Store an MO; one that is for no account is logged without its text."""
        stored = await self._database.write(lambda tx: inbound.store(tx, message, self._hooks), urgent=False)
        if stored is None:
            log.warning("inbound.nobody", transport=message.transport, recipient=message.recipient)
