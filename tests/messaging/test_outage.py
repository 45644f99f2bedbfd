"""The database is away while a carrier answers: nothing goes out twice, and all is recorded when it is back."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import Unavailable
from heliograph.messaging import accept, receipts
from heliograph.messaging.channel import Draft, Order
from heliograph.messaging.events import StoredEvents
from heliograph.messaging.routing import Router
from heliograph.queue import claim
from heliograph.queue.worker import ChannelLoop
from heliograph.transports.base import Events, Outcome, Outgoing, Receipt, Retry, Sent
from heliograph.transports.options import RouteOptions
from support import quiet

MESSAGES = 50


class Flaky(Database):
    """While it is `away`, what is written fails; `deceives`: it is committed all the same, and only the answer lost."""

    away = deceives = False
    refused = 0

    def write(self, run: Callable[[Tx], Any], *, urgent: bool = True) -> "asyncio.Future[Any]":
        return asyncio.ensure_future(self._write(run, urgent))

    async def _write(self, run: Callable[[Tx], Any], urgent: bool) -> Any:
        if not self.away:
            return await super().write(run, urgent=urgent)
        if self.deceives:
            await super().write(run, urgent=urgent)
        self.refused += 1
        raise Unavailable


class Carrier:
    """Answers when it is told to."""

    name = "t"
    connected = ready = True
    capacity = 100

    def __init__(self, answer: Callable[[Outgoing], Outcome]) -> None:
        self.given: Counter[str] = Counter()
        self.may_answer = asyncio.Event()
        self.reached = asyncio.Event()
        self._answer = answer

    async def open(self, events: Events) -> None:
        pass

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        self.given.update(outgoing.key.message_id for outgoing in batch)
        if self.given.total() >= MESSAGES:
            self.reached.set()
        await self.may_answer.wait()
        return [self._answer(outgoing) for outgoing in batch]

    async def close(self) -> None:
        pass


class House:
    """An account with messages in the queue, and the loop that hands them over."""

    def __init__(self, database: Flaky, answer: Callable[[Outgoing], Outcome]) -> None:
        self.database = database
        self.carrier = Carrier(answer)
        self.router = Router([RouteOptions(transport="t")], {"t": self.carrier})
        self.delivery = quiet.delivery(database, router=self.router)
        self.loop = ChannelLoop(database, "sms", self.delivery)

    async def accept(self, parts: int) -> None:
        new = NewAccount(username="out", email="e@example.com", phone="", webhook_secret="s", credit_micros=10**10)
        user = await self.database.write(lambda tx: account.create(tx, Vault(b"secret"), new))
        who = await self.database.read(lambda tx: account.by_user(tx, user))
        assert who is not None
        usual = {"recipient": "+61491570006", "sender": "+61481074190", "country": "AU"}
        drafts = [Draft(**usual, body=str(number), units=parts, awaits=parts) for number in range(MESSAGES)]
        order = Order(principal=who, channel=quiet.SMS, request_id="r", drafts=drafts)
        await self.database.write(lambda tx: accept.accept(tx, [order]))

    async def rows(self, sql: str) -> list[Any]:
        return list(await self.database.read(lambda tx: tx.driver(sql).fetchall()))

    async def until_refused(self, times: int) -> None:
        goal = self.database.refused + times
        while self.database.refused < goal:  # noqa: ASYNC110 - the double counts, and tells nobody
            await asyncio.sleep(0.001)

    async def under_way(self) -> None:
        """All messages are at the carrier; then the database goes away, and the carrier answers."""
        self.loop.start()
        await self.carrier.reached.wait()
        self.database.away = True
        self.carrier.may_answer.set()
        await self.until_refused(5)

    async def back(self) -> None:
        self.database.away = False
        await self.loop.stop()


def play(
    url: str,
    scenario: Callable[[House], Awaitable[None]],
    answer: Callable[[Outgoing], Outcome] = lambda outgoing: Sent((outgoing.key.message_id,)),
    parts: int = 1,
) -> None:
    async def run() -> None:
        database = Flaky(url)
        house = House(database, answer)
        await house.accept(parts)
        async with asyncio.timeout(60):
            await scenario(house)
        await database.close()

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.db.database.AGAIN", (0.001, 0.002))
    monkeypatch.setattr("heliograph.queue.worker.POLL", 0.01)


@pytest.mark.parametrize("deceives", [False, True])
def test_what_the_carrier_took_is_recorded_later(migrated_url: str, deceives: bool) -> None:
    """Also when it is recorded at once, and nobody hears of it."""

    async def scenario(house: House) -> None:
        house.database.deceives = deceives
        await house.under_way()
        await house.back()
        assert set(house.carrier.given.values()) == {1}
        assert house.carrier.given.total() == MESSAGES
        assert await house.rows("SELECT DISTINCT status FROM messages") == [("Sent",)]
        assert await house.rows("SELECT COUNT(*) FROM queue") == [(0,)]
        assert await house.rows("SELECT COUNT(*), COUNT(DISTINCT message_id) FROM handovers") == [(MESSAGES,) * 2]

    play(migrated_url, scenario)


def test_what_is_recorded_twice_waits_for_its_receipt_all_the_same(migrated_url: str) -> None:
    """Three parts with one id: that one receipt will come for them is counted once."""

    async def scenario(house: House) -> None:
        house.database.deceives = True
        await house.under_way()
        await house.back()
        assert await house.rows("SELECT DISTINCT status, receipts_left FROM messages") == [("Sent", 1)]

    play(migrated_url, scenario, parts=3)


@pytest.mark.parametrize("deceives", [False, True])
def test_what_the_carrier_refused_is_due_again(migrated_url: str, deceives: bool) -> None:
    async def scenario(house: House) -> None:
        house.database.deceives = deceives
        await house.under_way()
        await house.back()
        assert set(house.carrier.given.values()) == {1}
        assert await house.rows("SELECT DISTINCT claimed, attempts FROM queue") == [(0, 1)]
        assert await house.rows("SELECT COUNT(*) FROM queue") == [(MESSAGES,)]

    play(migrated_url, scenario, lambda outgoing: Retry(600.0, "busy"))


def test_a_lease_that_runs_out_meanwhile_does_not_send_again(migrated_url: str) -> None:
    """The other worker finds the messages sent: they are recorded before it can claim, or their lease is renewed."""

    async def scenario(house: House) -> None:
        await house.under_way()
        await house.back()
        later = await house.database.write(lambda tx: claim.claim(tx, "sms", MESSAGES, 60.0))
        assert not later

    play(migrated_url, scenario)


def test_receipts_of_the_outage_come_again(migrated_url: str) -> None:
    """The carrier hears that they are not stored, and keeps them; the one that it repeats completes the message."""

    async def scenario(house: House) -> None:
        await house.under_way()
        events = StoredEvents(house.database, quiet.hooks())
        made = [Receipt("t", key, "delivered", 1_800_000_000) for key in house.carrier.given]
        with pytest.raises(Unavailable):
            await events.on_receipts(made)
        house.database.away = False
        await events.on_receipts(made)
        await house.loop.stop()
        await house.database.write(lambda tx: receipts.join_parked(tx, quiet.hooks()))
        assert await house.rows("SELECT DISTINCT status FROM messages") == [("Completed",)]
        assert await house.rows("SELECT COUNT(*), COUNT(DISTINCT message_id) FROM receipts") == [(MESSAGES,) * 2]

    play(migrated_url, scenario)
