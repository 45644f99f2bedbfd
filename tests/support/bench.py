"""Delivery step by step: messages are accepted, claimed, taken and reported as a test says, with no loop between."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount, Principal
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Clock, Tx
from heliograph.messaging import accept, deliver, receipts
from heliograph.messaging.channel import Draft, Order
from heliograph.transports.base import Receipt, Sent
from support import quiet


class Bench:
    """The delivery of a database of its own, with an account that has credit."""

    def __init__(self, database: Database, who: Principal) -> None:
        self.database, self.who = database, who
        self.delivery = quiet.delivery(database)

    async def accepted(self, body: str, parts: int = 1) -> None:
        draft = Draft(
            recipient="+61491570006", sender="+61481074190", body=body, country="AU", units=parts, awaits=parts
        )
        order = Order(principal=self.who, channel=quiet.SMS, request_id=body, drafts=[draft])
        await self.database.write(lambda tx: accept.accept(tx, [order]))

    async def claimed(self, body: str, parts: int = 1) -> deliver.Parcel:
        """A message, accepted and claimed."""
        await self.accepted(body, parts)
        (parcel,) = await self.database.write(lambda tx: self.delivery.collect(tx, 1))
        return parcel

    async def taken(self, parcel: deliver.Parcel, *ids: str) -> None:
        attempt = deliver.Attempt(parcel, "t", Sent(ids))
        await self.database.write(lambda tx: self.delivery.settle(tx, [attempt]))

    async def receipt(self, remote_id: str) -> None:
        """Comes from a process that does not know whose it is."""

        def store(tx: Tx) -> None:
            one = Receipt(transport="t", remote_id=remote_id, state="delivered", at=tx.now)
            receipts.store(tx, [one], quiet.hooks())

        await self.database.write(store)

    async def statuses(self) -> Sequence[str]:
        sql = "SELECT status FROM messages ORDER BY body"
        return [row[0] for row in await self.database.read(lambda tx: tx.driver(sql).fetchall())]

    async def listed(self) -> int:
        sql = "SELECT COUNT(*) FROM receipts"
        return int((await self.database.read(lambda tx: tx.driver(sql).fetchone()))[0])

    async def expire(self) -> None:
        while await self.database.write(lambda tx: receipts.expire(tx, tx.now + 10, quiet.hooks())):
            pass


def play(url: str, scenario: Callable[[Bench], Awaitable[None]], clock: Clock = time.time) -> None:
    """Run a scenario on the migrated database at this URL."""

    async def run() -> None:
        database = Database(url, clock=clock)
        new = NewAccount(username="early", email="e@example.com", phone="", webhook_secret="s", credit_micros=10**9)
        user = await database.write(lambda tx: account.create(tx, Vault(b"secret"), new))
        who = await database.read(lambda tx: account.by_user(tx, user))
        assert who is not None
        await scenario(Bench(database, who))
        await database.close()

    asyncio.run(run())
