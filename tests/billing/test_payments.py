"""Payments when the gateway fails in every way: credited once, and never for nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import pytest
from sqlalchemy import select

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.billing import ledger, payments
from heliograph.billing.cashier import Cashier
from heliograph.billing.gateways.base import BadEvent, Card, CardRefused, Charge, GatewayAway, Notice
from heliograph.billing.gateways.manual import ManualGateway
from heliograph.db.database import Database
from heliograph.db.tables import payments as table
from heliograph.errors import BadRequest, Conflict
from heliograph.queue.jobs import Job
from heliograph.webhooks.signature import new_secret

CARD = Card("4242424242424242", 5, 2099, "123", "Roland Robot")
START = 1_800_000_000.0


class Bank:
    """A gateway that takes money once for each key, and loses as many answers as it is told."""

    name = "bank"

    def __init__(self) -> None:
        self.taken: dict[str, tuple[int, str]] = {}
        self.given_back: set[str] = set()
        self.calls = self.cards = 0
        self.lose = 0
        self.refuse_refunds = False
        self.blind = True  # while it is, it finds no charge, and must be asked by the key

    async def tokenise(self, card: Card) -> str:
        self.cards += 1
        return f"token-{self.cards}"

    async def charge(self, token: str, amount: int, currency: str, key: str) -> Charge:
        self.calls += 1
        self.taken.setdefault(key, (amount, currency))
        await asyncio.sleep(0)
        if self.lose:
            self.lose -= 1
            raise GatewayAway("lost")
        return self.charged(key)

    def charged(self, key: str) -> Charge:
        return Charge(f"ch-{key}", "paid", "", *self.taken[key], key)

    async def find(self, token: str, key: str, since: int) -> Sequence[Charge]:
        if self.blind:
            raise GatewayAway("blind")
        return [self.charged(key)] if key in self.taken else []

    async def fetch(self, charge_id: str) -> Charge | None:
        key = charge_id.removeprefix("ch-")
        return self.charged(key) if key in self.taken else None

    async def refund(self, charge_id: str, key: str) -> Charge:
        if self.refuse_refunds:
            return Charge(charge_id, "declined", "too late")
        self.given_back.add(key)
        if self.lose:
            self.lose -= 1
            raise GatewayAway("lost")
        return Charge(charge_id, "paid")

    async def list(self, limit: int) -> Sequence[Charge]:
        return [self.charged(key) for key in self.taken]

    def verify_webhook(self, body: bytes, header: str) -> Notice | None:
        if header != "signed":
            raise BadEvent
        key = body.decode()
        return Notice(f"ch-{key}", key) if key else None


class World:
    """An account with a card, on a clock that is moved."""

    def __init__(self, address: str) -> None:
        self.now = START
        self.database = Database(address, clock=lambda: self.now)
        self.bank = Bank()
        self.cashier = Cashier(self.database, self.bank)
        self.user_id = 0

    async def settle_in(self) -> None:
        new = NewAccount(username="u", email="a@example.com", phone="", currency="AUD", webhook_secret=new_secret())
        self.user_id = await self.database.write(lambda tx: account.create(tx, Vault(b"test"), new))
        await self.cashier.keep_card(self.user_id, CARD, "test")

    async def balance(self) -> int:
        return await self.database.read(lambda tx: ledger.balance(tx, self.user_id)) // 1_000_000

    async def rows(self) -> Sequence[Any]:
        return await self.database.read(lambda tx: tx.rows(select(table).where(table.c.user_id == self.user_id)))

    def job(self, row: Any, attempt: int = 1) -> Job:
        return Job(1, payments.SETTLE_JOB, "", attempt, {"payment_id": row["payment_id"]})


Story = Callable[[World], Awaitable[None]]


def play(address: str, story: Story) -> None:
    async def run() -> None:
        world = World(address)
        try:
            await world.settle_in()
            await story(world)
        finally:
            await world.database.close()

    asyncio.run(run())


def test_purchases_at_the_same_moment_are_one(migrated_url: str) -> None:
    async def story(world: World) -> None:
        bought = await asyncio.gather(*(world.cashier.purchase(world.user_id, 1, None) for _ in range(8)))
        assert {row["state"] for row in bought} == {"paid"}
        assert len(world.bank.taken) == len({row["invoice_number"] for row in bought})
        assert await world.balance() == 20 * len(world.bank.taken)

    play(migrated_url, story)


def test_processes_share_a_purchase(migrated_url: str) -> None:
    """The same, and automatic recharges, from two processes with writers of their own."""

    async def story(world: World) -> None:
        other = Database(migrated_url, clock=lambda: world.now)
        cashiers = [world.cashier, Cashier(other, world.bank)]
        try:
            for _ in range(3):
                bought = await asyncio.gather(*(one.purchase(world.user_id, 1, None) for one in cashiers))
                assert {row["state"] for row in bought} == {"paid"}
            assert await world.balance() == 20 * len(world.bank.taken)
            values = {"auto_recharge": 1, "low_credit_micros": 500_000_000}
            await other.write(lambda tx: payments.change_recharge_settings(tx, world.user_id, values))
            duties = (one.write(lambda tx: payments.recharge_all(tx, "bank")) for one in (world.database, other))
            await asyncio.gather(*duties)
            assert [row["state"] for row in await world.rows()].count("pending") == 1
        finally:
            await other.close()

    play(migrated_url, story)


def test_lost_answers_are_asked_for_again(migrated_url: str) -> None:
    async def story(world: World) -> None:
        world.bank.lose = 3
        for _ in range(3):
            with pytest.raises(GatewayAway):
                await world.cashier.purchase(world.user_id, 1, None)
            assert await world.balance() == 0
        assert (await world.cashier.purchase(world.user_id, 1, None))["state"] == "paid"
        assert (len(world.bank.taken), world.bank.calls, await world.balance()) == (1, 4, 20)

    play(migrated_url, story)


def test_a_customer_who_does_not_come_back_is_credited_by_a_job(migrated_url: str) -> None:
    async def story(world: World) -> None:
        world.bank.lose = 2
        with pytest.raises(GatewayAway):
            await world.cashier.purchase(world.user_id, 1, "key")
        (row,) = await world.rows()
        assert await world.cashier.run(world.job(row)) == 60.0
        assert await world.cashier.run(world.job(row, 2)) is None
        assert await world.cashier.run(world.job(row, 3)) is None
        assert (await world.cashier.purchase(world.user_id, 1, "key"))["state"] == "paid"
        assert (len(world.bank.taken), world.bank.calls, await world.balance()) == (1, 3, 20)

    play(migrated_url, story)


def test_a_job_is_there_before_the_gateway_is_asked(migrated_url: str) -> None:
    """What a crash after the charge leaves behind is found by the job alone."""

    async def story(world: World) -> None:
        await world.database.write(lambda tx: payments.purchase(tx, world.user_id, 1, "bank", None))
        found = await world.database.read(lambda tx: tx.driver("SELECT kind, due_at FROM jobs").fetchall())
        assert [tuple(row) for row in found] == [(payments.SETTLE_JOB, START + payments.ASK_AGAIN)]

    play(migrated_url, story)


def test_after_a_day_nobody_is_charged_for_an_old_purchase(migrated_url: str) -> None:
    """The gateway has forgotten the key by then: a charge that it does not find could be a second one."""

    async def story(world: World) -> None:
        world.bank.lose = 1
        with pytest.raises(GatewayAway):
            await world.cashier.purchase(world.user_id, 1, None)
        (row,) = await world.rows()
        world.now += payments.KEY_LIFE + 1
        assert await world.cashier.run(world.job(row)) == 60.0
        assert (await world.rows())[0]["state"] == "pending"
        taken, world.bank.taken, world.bank.blind = world.bank.taken, {}, False
        assert await world.cashier.run(world.job(row)) is None
        assert [row["state"] for row in await world.rows()] == ["lost"]
        assert (world.bank.calls, await world.balance()) == (1, 0)
        world.bank.taken = taken
        charges = await world.bank.list(10)
        stranger = Charge("ch", "paid", key="somebody else's")
        found = await world.database.read(lambda tx: payments.unmatched(tx, [*charges, stranger]))
        assert [(one, row and row["username"]) for one, row in found] == [(charges[0], "u"), (stranger, None)]

    play(migrated_url, story)


def test_nobody_brings_an_old_purchase_to_life(migrated_url: str) -> None:
    """Neither the customer, who repeats it, nor an event of the gateway that was on its way for two days."""

    async def story(world: World) -> None:
        world.bank.blind = False
        begun = [
            await world.database.write(
                lambda tx, package=package: payments.purchase(tx, world.user_id, package, "bank", None)
            )
            for package in (1, 2)
        ]
        world.now += payments.KEY_LIFE + 1
        assert (await world.cashier.purchase(world.user_id, 1, None))["state"] == "lost"
        await world.cashier.event(begun[1]["invoice_number"].encode(), "signed")
        await world.cashier.run(world.job(begun[1]))
        assert {row["state"] for row in await world.rows()} == {"lost"}
        assert (world.bank.calls, await world.balance()) == (0, 0)

    play(migrated_url, story)


def test_an_answer_that_comes_after_all_is_credited(migrated_url: str) -> None:
    """The payment was given up while the gateway was being asked; the money was taken."""

    async def story(world: World) -> None:
        row = await world.database.write(lambda tx: payments.purchase(tx, world.user_id, 1, "bank", None))
        await world.database.write(lambda tx: payments.give_up(tx, row["payment_id"]))
        key = row["invoice_number"]
        for charge in (
            *(Charge("ch", "paid", "", *what) for what in ((2001, "AUD", key), (2000, "NZD", key), (2000, "AUD", ""))),
            Charge("ch", "open", "", 2000, "AUD", key),
        ):
            same = await world.database.write(lambda tx, charge=charge: payments.settle(tx, row["payment_id"], charge))
            assert same["state"] == "lost"
        paid = Charge("ch", "paid", "", 2000, "AUD", key)
        for _ in range(2):
            await world.database.write(lambda tx: payments.settle(tx, row["payment_id"], paid))
        assert ([row["state"] for row in await world.rows()], await world.balance()) == (["paid"], 20)

    play(migrated_url, story)


def test_events_settle_what_the_gateway_confirms(migrated_url: str) -> None:
    async def story(world: World) -> None:
        row = await world.database.write(lambda tx: payments.purchase(tx, world.user_id, 1, "bank", None))
        key = row["invoice_number"].encode()
        with pytest.raises(BadEvent):
            await world.cashier.event(key, "forged")
        assert (world.bank.calls, await world.balance()) == (0, 0)
        await world.cashier.event(key, "signed")  # about a charge that the bank does not have
        assert (world.bank.calls, await world.balance()) == (0, 0)
        world.bank.taken[row["invoice_number"]] = (2000, "AUD")
        for body in (key, key, b"", b"unknown"):
            await world.cashier.event(body, "signed")
        assert (world.bank.calls, await world.balance()) == (0, 20)
        charges = await world.bank.list(10)
        assert await world.database.read(lambda tx: payments.unmatched(tx, charges)) == []

    play(migrated_url, story)


def test_a_refund_takes_the_credit_once(migrated_url: str) -> None:
    async def story(world: World) -> None:
        key = (await world.cashier.purchase(world.user_id, 1, None))["invoice_number"]
        world.bank.lose = 1
        with pytest.raises(GatewayAway):
            await world.cashier.refund(key)
        assert await world.balance() == 0
        assert (await world.cashier.refund(key))["state"] == "refunded"
        assert (await world.balance(), len(world.bank.given_back)) == (0, 1)
        again = await world.cashier.purchase(world.user_id, 1, None)
        world.bank.refuse_refunds = True
        refused = await world.cashier.refund(again["invoice_number"])
        assert (refused["state"], refused["reason"], await world.balance()) == ("paid", "too late", 20)
        await world.database.write(lambda tx: ledger.post(tx, world.user_id, -5_000_000, "sms", "x"))
        with pytest.raises(ledger.InsufficientCredit):
            await world.cashier.refund(again["invoice_number"])

    play(migrated_url, story)


def test_only_the_gateway_that_took_the_money_gives_it_back(migrated_url: str) -> None:
    async def story(world: World) -> None:
        key = (await world.cashier.purchase(world.user_id, 1, None))["invoice_number"]
        other = Cashier(world.database, ManualGateway(sandbox=True))
        with pytest.raises(Conflict, match="bank"):
            await other.refund(key)
        assert ([row["state"] for row in await world.rows()], await world.balance()) == (["paid"], 20)

    play(migrated_url, story)


def test_after_a_decline_nothing_is_charged_by_itself(migrated_url: str) -> None:
    """However long it waits: until a purchase by hand has gone through, or there is another card."""

    async def story(world: World) -> None:
        values = {"auto_recharge": 1, "low_credit_micros": 500_000_000}
        await world.database.write(lambda tx: payments.change_recharge_settings(tx, world.user_id, values))

        async def recharge(state: Literal["paid", "declined"] | None) -> int:
            """How many payments there are after a day on which the gateway says this."""
            world.now += 86_400
            await world.database.write(lambda tx: payments.recharge_all(tx, "bank"))
            rows = [row for row in await world.rows() if row["state"] == "pending"]
            for row in rows:
                if state is None:
                    await world.database.write(lambda tx, row=row: payments.give_up(tx, row["payment_id"]))
                else:
                    said = Charge("ch", state, "", payments.amount_of(row), row["currency"], row["invoice_number"])
                    await world.database.write(
                        lambda tx, row=row, said=said: payments.settle(tx, row["payment_id"], said)
                    )
            return len(await world.rows())

        assert [await recharge("declined") for _ in range(4)] == [1, 1, 1, 1]
        assert (await world.cashier.purchase(world.user_id, 1, None))["state"] == "paid"
        assert [await recharge("paid"), await recharge("declined"), await recharge("declined")] == [3, 4, 4]
        await world.cashier.keep_card(world.user_id, CARD, "test")
        assert [await recharge(None) for _ in range(3)] == [5, 5, 5]

    play(migrated_url, story)


def test_a_card_of_another_gateway_is_not_charged(migrated_url: str) -> None:
    async def story(world: World) -> None:
        pending = await world.database.write(lambda tx: payments.purchase(tx, world.user_id, 2, "bank", None))
        other = Cashier(world.database, ManualGateway(sandbox=True))
        assert (await other.settle(pending))["state"] == "pending"
        with pytest.raises(BadRequest):
            await other.purchase(world.user_id, 1, None)

    play(migrated_url, story)


def test_in_production_the_manual_gateway_takes_no_card() -> None:
    with pytest.raises(CardRefused, match="operator"):
        asyncio.run(ManualGateway(sandbox=False).tokenise(CARD))


def test_nothing_prints_a_card() -> None:
    for text in (repr(CARD), str(CARD), f"{CARD}", f"{[CARD]}"):
        assert "4242" not in text
        assert "123" not in text
