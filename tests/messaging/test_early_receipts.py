"""Receipts that are parked before their hand-over is recorded, by ids that carriers give more than once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount, Principal
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import accept, deliver, receipts
from heliograph.messaging.channel import Draft, Order
from heliograph.transports.base import Receipt, Sent
from support import quiet


class Bench:
    """The delivery of a database of its own, with an account that has credit."""

    def __init__(self, database: Database, who: Principal) -> None:
        self.database, self.who = database, who
        self.delivery = quiet.delivery(database)

    async def claimed(self, body: str, parts: int = 1) -> deliver.Parcel:
        """A message, accepted and claimed."""
        draft = Draft(
            recipient="+61491570006", sender="+61481074190", body=body, country="AU", units=parts, awaits=parts
        )
        order = Order(principal=self.who, channel=quiet.SMS, request_id=body, drafts=[draft])
        await self.database.write(lambda tx: accept.accept(tx, [order]))
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


def play(url: str, scenario: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        database = Database(url)
        new = NewAccount(username="early", email="e@example.com", phone="", webhook_secret="s", credit_micros=10**9)
        user = await database.write(lambda tx: account.create(tx, Vault(b"secret"), new))
        who = await database.read(lambda tx: account.by_user(tx, user))
        assert who is not None
        await scenario(Bench(database, who))
        await database.close()

    asyncio.run(run())


@pytest.mark.parametrize("early", [0, 1, 2, 3])
def test_one_id_for_all_parts(migrated_url: str, early: int) -> None:
    """Of three receipts so many come before the hand-over is recorded; the first one is enough."""

    async def scenario(bench: Bench) -> None:
        parcel = await bench.claimed("long", parts=3)
        for _ in range(early):
            await bench.receipt("a")
        await bench.taken(parcel, "a")
        for _ in range(3 - early):
            await bench.receipt("a")
        assert await bench.statuses() == ["Completed"]
        assert await bench.listed() == 1

    play(migrated_url, scenario)


@pytest.mark.parametrize("early", ["", "a", "ab", "abc", "aab", "cab", "aaa"])
def test_an_id_for_each_part(migrated_url: str, early: str) -> None:
    """It is complete when each of its parts is, and not before."""

    async def scenario(bench: Bench) -> None:
        parcel = await bench.claimed("long", parts=3)
        for one in early:
            await bench.receipt(one)
        await bench.taken(parcel, *"abc")
        late = sorted(set("abc") - set(early))
        for one in late:
            assert await bench.statuses() == ["Sent"]
            await bench.receipt(one)
        assert await bench.statuses() == ["Completed"]
        assert await bench.listed() == 1

    play(migrated_url, scenario)


@pytest.mark.parametrize("times", [2, 3])
def test_those_whose_id_went_to_a_newer_message_expire(migrated_url: str, times: int) -> None:
    async def scenario(bench: Bench) -> None:
        for number in range(times):
            await bench.taken(await bench.claimed(f"{number}"), "same")
        await bench.receipt("same")
        assert await bench.statuses() == ["Sent"] * (times - 1) + ["Completed"]
        await bench.expire()
        assert await bench.statuses() == ["Failed"] * (times - 1) + ["Completed"]
        assert await bench.listed() == times

    play(migrated_url, scenario)


def test_a_long_message_keeps_the_ids_that_are_still_its_own(migrated_url: str) -> None:
    """One of its three ids goes to another message: it cannot complete, but it expires, once."""

    async def scenario(bench: Bench) -> None:
        await bench.taken(await bench.claimed("1", parts=3), *"abc")
        await bench.taken(await bench.claimed("2"), "b")
        for one in "abc":
            await bench.receipt(one)
        assert await bench.statuses() == ["Sent", "Completed"]
        await bench.expire()
        assert await bench.statuses() == ["Failed", "Completed"]
        assert await bench.listed() == 2

    play(migrated_url, scenario)
