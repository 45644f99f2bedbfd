"""What transports report, on its way into the database."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from heliograph.db.database import Database
from heliograph.db.dialect import chunks
from heliograph.db.engine import Tx
from heliograph.errors import Unavailable
from heliograph.messaging import inbound, parts, receipts
from heliograph.messaging.arrived_media import Keeper, Kept
from heliograph.messaging.hooks import Hooks
from heliograph.transports.base import Inbound, Join, Part, Receipt

OVERDUE_AT_ONCE: Final = 50
"""Overdue messages in one transaction: each runs rules, and requests wait for its commit."""

LOOK_AGAIN = (0.5, 2.0, 5.0)
"""Seconds between two looks at parked receipts, after one was parked."""

log = structlog.get_logger(__name__)


class StoredEvents:
    """Stores receipts and arriving messages (transports.base.Events); the account's rules run in the same transaction.

    What was given is durable when a call returns.
    """

    def __init__(self, database: Database, hooks: Hooks, keeper: Keeper | None = None) -> None:
        self._database = database
        self._hooks = hooks
        self._keeper = keeper
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
        """Store an MO, its files first; one that is for no account is logged without its text."""
        lost: Sequence[str] = ()
        if (message.media or message.links) and self._keeper is not None:
            message, lost = await self._with_links(message, self._keeper)

        def store(tx: Tx) -> str | None:
            return inbound.store(tx, msgspec.structs.replace(message, at=tx.now), self._hooks, lost)

        stored = await self._database.write(store, urgent=False)
        _tell(None if stored else message)

    async def _with_links(self, message: Inbound, keeper: Keeper) -> tuple[Inbound, Sequence[str]]:
        """The message with our links to its files (`details["media"]`) in their place; what is told of the others."""
        user_id = await self._database.write(lambda tx: self._keeps(tx, message), urgent=False)
        kept = Kept([], []) if user_id is None else await keeper.keep(user_id, message.media, message.links)
        details = {**(message.details or {}), "media": kept.links}
        return msgspec.structs.replace(message, media=(), links=(), details=details), kept.lost

    def _keeps(self, tx: Tx, message: Inbound) -> int | None:
        """The account that keeps the files of a message; None when nobody does, or has them from the first time.

        The connection that writes knows the newest messages to a number (db/reached.py).
        """
        holder, _ = inbound.holder_of(tx, message, self._hooks)
        return None if holder is None or inbound.is_repeated(tx, message, holder[0]) else holder[0]

    async def on_part(self, part: Part, join: Join) -> None:
        """Store a part of an MO, together with those that wait; and the MO, when this was the last part."""
        _tell(await self._database.write_merged(self._store_parts, (part, join), urgent=False))

    async def on_overdue_parts(self, transport: str, age: float, most: int, join: Join) -> None:
        """Store what is overdue as far as it came. All are tried; raises what the first failed with."""
        old = await self._database.read(lambda tx: parts.overdue(tx, transport, tx.clock - age, most))
        results: list[Inbound | BaseException | None] = []
        for some in chunks(old, OVERDUE_AT_ONCE):
            results += await asyncio.gather(*(self._give_up(long_id, join) for long_id in some), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
            _tell(result)

    async def _give_up(self, long_id: str, join: Join) -> Inbound | None:
        return await self._database.write(lambda tx: parts.give_up(tx, long_id, join, self._hooks), urgent=False)

    def _store_parts(self, tx: Tx, arrived: list[tuple[Part, Join]]) -> list[Inbound | None]:
        return parts.store(tx, arrived, self._hooks)


def _tell(nobodys: Inbound | None) -> None:
    if nobodys is not None:
        log.warning("inbound.nobody", transport=nobodys.transport, recipient=nobodys.recipient)
