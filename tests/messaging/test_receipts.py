"""A long message is delivered when each of its parts is, however often a carrier says so."""

import asyncio
from collections.abc import Sequence

import pytest

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import accept, deliver, message, receipts
from heliograph.messaging.channel import Draft, Order
from heliograph.transports.base import Receipt, Sent
from support import quiet


class Sending:
    """One message of three parts in a database of its own."""

    parcels: Sequence[deliver.Parcel] = ()

    async def begin(self, url: str) -> None:
        self.database = Database(url)
        new = NewAccount(username="long", email="l@example.com", phone="", webhook_secret="s", credit_micros=10**9)
        user = await self.database.write(lambda tx: account.create(tx, Vault(b"secret"), new))
        who = await self.database.read(lambda tx: account.by_user(tx, user))
        assert who is not None
        draft = Draft(recipient="+61491570006", sender="+61481074190", body="x" * 400, country="AU", units=3, awaits=3)
        order = Order(principal=who, channel=quiet.SMS, request_id="r", drafts=[draft])
        await self.database.write(lambda tx: accept.accept(tx, [order]))
        self.delivery = quiet.delivery(self.database)
        self.parcels = await self.database.write(lambda tx: self.delivery.collect(tx, 1))

    async def taken(self, *ids: str) -> None:
        attempt = deliver.Attempt(self.parcels[0], "t", Sent(ids))
        await self.database.write(lambda tx: self.delivery.settle(tx, [attempt]))

    async def delivered(self, remote_id: str, *, known: bool = False) -> str:
        """A receipt arrives; the status of the message after it. `known`: the transport remembers whose it is."""
        row = self.parcels[0].row

        def store(tx: Tx) -> str:
            one = Receipt(
                transport="t", remote_id=remote_id, state="delivered", at=tx.now, key=row.message_key if known else None
            )
            receipts.store(tx, [one], quiet.hooks())
            found = message.find(tx, *row.key)
            assert found is not None
            return str(found.status)

        return await self.database.write(store)


@pytest.mark.parametrize("known", [False, True])
def test_a_repeated_receipt_of_a_part_counts_once(migrated_url: str, known: bool) -> None:
    async def scenario(sending: Sending) -> None:
        await sending.begin(migrated_url)
        await sending.taken("a", "b", "c")
        statuses = [await sending.delivered(one, known=known) for one in ("a", "a", "b", "a", "b", "c")]
        assert statuses == ["Sent"] * 5 + ["Completed"]
        await sending.database.close()

    asyncio.run(scenario(Sending()))


@pytest.mark.parametrize("early", [False, True])
def test_a_message_that_the_carrier_takes_whole_has_one_receipt(migrated_url: str, early: bool) -> None:
    """Also when the receipt comes before the hand-over is recorded."""

    async def scenario(sending: Sending) -> None:
        await sending.begin(migrated_url)
        if early:
            assert await sending.delivered("a", known=True) == "Queued"
        await sending.taken("a")
        assert early or await sending.delivered("a") == "Completed"
        row = sending.parcels[0].row
        found = await sending.database.read(lambda tx: message.find(tx, *row.key))
        assert found is not None
        assert found.status == "Completed"
        await sending.database.close()

    asyncio.run(scenario(Sending()))
