"""Payments through a Stripe that fails, takes its time and tells its news in any order: each is credited once."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import select

from billing.scripted_stripe import SECRET, Stripe, event, signed, stripe
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.billing import ledger, payments
from heliograph.billing.cashier import Cashier
from heliograph.billing.gateways import stripe as gateways
from heliograph.billing.gateways.base import BadEvent, Card, GatewayAway
from heliograph.billing.gateways.manual import ManualGateway
from heliograph.billing.gateways.stripe import StripeGateway
from heliograph.db.database import Database
from heliograph.db.tables import jobs as jobs_table
from heliograph.db.tables import payments as table
from heliograph.queue import jobs
from heliograph.queue.jobs import Job
from heliograph.webhooks.signature import new_secret
from support.server import Running

CARD = Card("4242424242424242", 5, 2099, "123", "Roland Robot")
START = 1_800_000_000.0
BANK_FIRST = "Your bank wants to hear from you first."


class World:
    """An account with a card at the scripted Stripe, on a clock that is moved."""

    def __init__(self, address: str, peer: Stripe) -> None:
        self.now = START
        self.peer = peer
        self.database = Database(address, clock=lambda: self.now)
        self.cashier = self.another(self.database)
        self.user_id = 0

    def another(self, database: Database) -> Cashier:
        return Cashier(database, StripeGateway("sk_test", SECRET, self.peer.address))

    async def settle_in(self) -> None:
        new = NewAccount(username="u", email="a@example.com", phone="", currency="AUD", webhook_secret=new_secret())
        self.user_id = await self.database.write(lambda tx: account.create(tx, Vault(b"test"), new))
        await self.cashier.keep_card(self.user_id, CARD, "test")

    async def buy(self, script: str) -> Any:
        """Buy the package of 20 dollars, and have this come of it; the payment, whatever the customer was told."""
        self.peer.script.append(script)
        with contextlib.suppress(GatewayAway):
            await self.cashier.purchase(self.user_id, 1, None)
        return await self.payment()

    async def payment(self) -> Any:
        row = await self.database.read(lambda tx: tx.row(select(table).order_by(table.c.payment_id.desc()).limit(1)))
        assert row is not None
        return row

    async def begun(self) -> Any:
        """A payment that nobody has asked Stripe for yet."""
        return await self.database.write(lambda tx: payments.purchase(tx, self.user_id, 1, "stripe", None))

    async def tell(self, intent: dict[str, Any], kind: str = "succeeded", age: int = 0, **more: Any) -> None:
        body = event(intent, kind, **more)
        await self.cashier.event(body, signed(body, age))

    async def work(self) -> list[float | None]:
        """Run the jobs that are there, as the worker would; what each of them answered."""
        rows = await self.database.read(lambda tx: tx.rows(select(jobs_table).order_by(jobs_table.c.job_id)))
        answers = []
        for row in rows:
            job = Job(row["job_id"], row["kind"], row["lane"], 1, json.loads(row["payload"]))
            answers.append(await self.cashier.run(job))
            if answers[-1] is None:
                await self.database.write(lambda tx, job=job: jobs.done(tx, job.job_id))
        return answers

    async def seen(self) -> tuple[str, int]:
        """The state of the newest payment, and the credit in dollars: as much as the entries in the ledger say."""
        entries: Sequence[Any] = await self.database.read(lambda tx: ledger.entries(tx, self.user_id))
        assert len(entries) == len({(one["kind"], one["reference"]) for one in entries})
        total = await self.database.read(lambda tx: ledger.balance(tx, self.user_id))
        assert total == sum(one["micros"] for one in entries)
        return (await self.payment())["state"], total // 1_000_000


Story = Callable[[World], Awaitable[None]]
Play = Callable[[Story], None]


@pytest.fixture
def play(migrated_url: str) -> Play:
    def played(story: Story) -> None:
        async def run(peer: Stripe) -> None:
            world = World(migrated_url, peer)
            try:
                await world.settle_in()
                await story(world)
            finally:
                await world.database.close()

        with stripe(START) as peer:
            asyncio.run(run(peer))

    return played


def test_a_fault_that_is_repeated_for_the_key_does_not_lose_the_credit(play: Play) -> None:
    """By the event, whatever was answered first; the event comes three times."""

    async def story(world: World) -> None:
        assert (await world.buy("succeeded fault"))["state"] == "pending"
        (intent,) = world.peer.intents.values()
        for _ in range(3):
            await world.tell(intent)
        assert await world.seen() == ("paid", 20)
        assert (world.peer.creations, (await world.payment())["charge_id"]) == (1, intent["id"])
        assert await world.work() == [None]
        assert await world.seen() == ("paid", 20)

    play(story)


@pytest.mark.parametrize("who", ["customer", "job"])
def test_a_charge_is_looked_for_before_it_is_made_again(play: Play, who: str) -> None:
    async def story(world: World) -> None:
        await world.buy("succeeded fault")
        world.peer.saved.clear()  # had Stripe forgotten the key, the call would charge a second time
        if who == "customer":
            assert (await world.cashier.purchase(world.user_id, 1, None))["state"] == "paid"
        assert await world.work() == [None]
        assert await world.seen() == ("paid", 20)
        assert (world.peer.creations, len(world.peer.intents)) == (1, 1)

    play(story)


def test_a_charge_is_found_on_a_later_page(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among others of the customer, and whatever others have the key and do not fit."""
    monkeypatch.setattr(gateways, "MOST_LISTED", 2)

    async def story(world: World) -> None:
        key = (await world.buy("succeeded fault"))["invoice_number"]
        for number in range(5):
            world.peer.put("succeeded", 2000, "AUD", f"another {number}")
        world.peer.put("declined", 2000, "AUD", key)
        world.peer.put("succeeded", 100, "AUD", key)
        assert (await world.cashier.purchase(world.user_id, 1, None))["charge_id"] == "pi_1"
        assert (await world.seen(), world.peer.creations) == (("paid", 20), 1)

    play(story)


def test_what_was_never_charged_is_charged_by_its_key(play: Play) -> None:
    """An intent that was not confirmed, or another customer's: neither is an outcome."""

    async def story(world: World) -> None:
        row = await world.begun()
        world.peer.put("requires_confirmation", 2000, "AUD", row["invoice_number"])
        world.peer.put("requires_payment_method", 2000, "AUD", row["invoice_number"])
        world.peer.put("succeeded", 2000, "AUD", "another", customer="cus_2")
        await world.tell(world.peer.intents["pi_1"], "created")
        assert (await world.seen(), world.peer.creations) == (("pending", 0), 0)
        assert await world.work() == [None]
        assert (await world.seen(), world.peer.creations) == (("paid", 20), 1)

    play(story)


def test_after_a_day_a_charge_is_still_found(play: Play) -> None:
    async def story(world: World) -> None:
        await world.buy("succeeded fault")
        world.now += payments.KEY_LIFE + 1
        world.peer.away = True
        assert await world.work() == [60.0]
        assert await world.seen() == ("pending", 0)
        world.peer.away = False
        assert await world.work() == [None]
        assert (await world.seen(), world.peer.creations) == (("paid", 20), 1)

    play(story)


@pytest.mark.parametrize("customer", ["cus_1", "cus_deleted"])
def test_after_a_day_nothing_is_charged_and_an_event_still_counts(play: Play, customer: str) -> None:
    async def story(world: World) -> None:
        row = await world.buy("none fault")
        assert await world.work() == [60.0]
        world.now += payments.KEY_LIFE + 1
        token = table.update().values(token=f"{customer}/pm_1")
        await world.database.write(lambda tx: tx.execute(token))
        asked = world.peer.creations
        assert await world.work() == [None]
        assert (await world.seen(), world.peer.creations) == (("lost", 0), asked)
        await world.tell(world.peer.put("succeeded", 2000, "AUD", row["invoice_number"]))
        assert (await world.seen(), world.peer.creations) == (("paid", 20), asked)

    play(story)


@pytest.mark.parametrize(
    ("status", "kind", "after"),
    [("succeeded", "succeeded", ("paid", 20)), ("declined", "payment_failed", ("declined", 0))],
)
@pytest.mark.parametrize("by", ["event", "job"])
def test_a_bank_that_takes_its_time(play: Play, by: str, status: str, kind: str, after: tuple[str, int]) -> None:
    """However long: a payment is not given up while Stripe says that it is under way."""

    async def story(world: World) -> None:
        row = await world.buy("processing")
        (intent,) = world.peer.intents.values()
        await world.tell(intent, "processing")
        assert await world.work() == [60.0]
        world.now += 3 * payments.KEY_LIFE
        assert await world.work() == [60.0]
        assert (await world.cashier.purchase(world.user_id, 1, None))["invoice_number"] == row["invoice_number"]
        assert await world.seen() == ("pending", 0)
        world.peer.turn(intent, status)
        if by == "event":
            await world.tell(intent, kind)
            assert await world.seen() == after
        assert await world.work() == [None]
        assert (await world.seen(), world.peer.creations) == (after, 1)
        if status == "declined":
            assert (await world.payment())["reason"] == "Your card was declined."

    play(story)


@pytest.mark.parametrize(
    ("script", "kind", "why"),
    [
        ("requires_action", "requires_action", BANK_FIRST),
        ("requires_action fault", "requires_action", BANK_FIRST),
        ("canceled fault", "canceled", "The payment was canceled."),
        ("declined", "payment_failed", "Your card was declined."),
        ("declined fault", "payment_failed", "Your card was declined."),
    ],
)
def test_what_failed_is_declined_and_can_still_be_paid(play: Play, script: str, kind: str, why: str) -> None:
    """The event about the failure may come again after the one about the success."""

    async def story(world: World) -> None:
        await world.buy(script)
        (intent,) = world.peer.intents.values()
        failed = dict(intent)
        await world.tell(failed, kind)
        assert (await world.seen(), (await world.payment())["reason"]) == (("declined", 0), why)
        world.peer.turn(intent, "succeeded")
        for told, of in ((intent, "succeeded"), (failed, kind), (intent, "succeeded")):
            await world.tell(told, of)
            assert await world.seen() == ("paid", 20)
        assert (world.peer.creations, (await world.payment())["reason"]) == (1, None)

    play(story)


def test_news_that_overtakes_the_answer(play: Play) -> None:
    async def story(world: World) -> None:
        world.peer.going_on.clear()
        buying = asyncio.create_task(world.cashier.purchase(world.user_id, 1, None))
        assert await asyncio.to_thread(world.peer.reached.wait, 60)
        (intent,) = world.peer.intents.values()
        await world.tell(intent)
        assert await world.seen() == ("paid", 20)
        world.peer.going_on.set()
        assert (await buying)["state"] == "paid"
        assert await world.seen() == ("paid", 20)

    play(story)


def test_processes_hear_the_same_news(play: Play, migrated_url: str) -> None:
    async def story(world: World) -> None:
        await world.buy("succeeded fault")
        (intent,) = world.peer.intents.values()
        other = Database(migrated_url, clock=lambda: world.now)
        body = event(intent)
        try:
            cashiers = [world.cashier, world.another(other)] * 3
            bought = (one.purchase(world.user_id, 1, "again") for one in cashiers[:2])
            await asyncio.gather(*(one.event(body, signed(body)) for one in cashiers), *bought)
        finally:
            await other.close()
        rows = await world.database.read(lambda tx: tx.rows(select(table)))
        assert [row["state"] for row in rows] == ["paid", "paid"]
        assert (await world.seen(), len(world.peer.intents)) == (("paid", 40), 2)

    play(story)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 1999, "amount_received": 1999},
        {"amount": 200_000, "amount_received": 200_000},
        {"amount_received": 1},
        {"currency": "jpy"},
        {"metadata": {}},
        {"metadata": {"key": "another's"}},
        {"latest_charge": {"id": "ch_1", "amount_refunded": 1}},
        {"latest_charge": {"id": "ch_1", "amount_refunded": 2000}},
    ],
)
def test_only_what_was_asked_for_is_credited(play: Play, wrong: dict[str, Any]) -> None:
    """Not even by the operator's command; what was given back at Stripe in the meantime is declined."""

    async def story(world: World) -> None:
        row = await world.begun()
        intent = world.peer.put("succeeded", 2000, "AUD", row["invoice_number"])
        told = dict(intent)
        intent.update(wrong)
        await world.tell(told)
        charges = await world.cashier.gateway.list(10)
        for charge in charges:
            await world.database.write(lambda tx, charge=charge: payments.settle(tx, row["payment_id"], charge))
        gone = wrong.get("latest_charge", {}).get("amount_refunded") == 2000
        assert await world.seen() == ("declined" if gone else "pending", 0)
        assert world.peer.creations == 0

    play(story)


def test_news_of_others_is_no_error(play: Play) -> None:
    """Stripe sends for three days whatever is not answered with 2xx, and then stops to send at all."""

    async def story(world: World) -> None:
        key = (await world.begun())["invoice_number"]
        ours = {"id": "pi_of_another_account", "metadata": {"key": key}}
        await world.tell(ours, account="acct_1")
        for metadata in ({"key": "unknown"}, {"other": "x"}, {}, None):
            await world.tell({"id": "pi_1", "metadata": metadata})
        asked = len(world.peer.asked)
        for kind, thing in (("balance.available", {"metadata": None}), ("customer.updated", {"id": 1, "metadata": 2})):
            body = json.dumps({"type": kind, "data": {"object": thing}}).encode()
            await world.cashier.event(body, signed(body))
        assert (await world.seen(), len(world.peer.asked), world.peer.creations) == (("pending", 0), asked, 0)
        assert await world.work() == [None]  # the payment's own job, and none of the events

    play(story)


def test_news_of_a_payment_at_another_gateway(play: Play) -> None:
    async def story(world: World) -> None:
        key = (await world.begun())["invoice_number"]
        await world.database.write(lambda tx: tx.execute(table.update().values(gateway="manual")))
        await world.tell(world.peer.put("succeeded", 2000, "AUD", key))
        assert await world.seen() == ("pending", 0)

    play(story)


def test_an_old_signature_is_refused(play: Play) -> None:
    """Stripe signs anew each time it sends an event: an old one was recorded by somebody."""

    async def story(world: World) -> None:
        await world.buy("succeeded fault")
        (intent,) = world.peer.intents.values()
        for age in (301, 86_400):
            with pytest.raises(BadEvent):
                await world.tell(intent, age=age)
        with pytest.raises(BadEvent):
            await world.tell({"metadata": intent["metadata"]})
        assert await world.seen() == ("pending", 0)
        await world.tell(intent, age=200)
        assert await world.seen() == ("paid", 20)

    play(story)


@pytest.mark.parametrize("before", ["pending", "lost", "declined"])
def test_news_while_stripe_is_away_is_followed_by_a_job(play: Play, before: str) -> None:
    async def story(world: World) -> None:
        row = await world.buy("succeeded fault" if before != "declined" else "declined")
        if before == "lost":
            await world.database.write(lambda tx: payments.give_up(tx, row["payment_id"]))
        (intent,) = world.peer.intents.values()
        world.peer.turn(intent, "succeeded")
        world.peer.away = True
        await world.tell(intent)
        assert (await world.seen())[0] == before
        assert 60.0 in await world.work()
        world.peer.away = False
        assert set(await world.work()) == {None}
        assert (await world.seen(), await world.work()) == (("paid", 20), [])
        assert len(world.peer.intents) == 1

    play(story)


def test_a_job_of_an_event_ends_when_the_gateway_was_changed(play: Play) -> None:
    async def story(world: World) -> None:
        row = await world.buy("succeeded fault")
        await world.database.write(lambda tx: payments.give_up(tx, row["payment_id"]))
        world.peer.away = True
        await world.tell(world.peer.intents["pi_1"])
        world.cashier = Cashier(world.database, ManualGateway(sandbox=True))
        assert await world.work() == [None, None]
        assert await world.seen() == ("lost", 0)

    play(story)


def test_a_refunded_payment_is_not_paid_again(play: Play) -> None:
    """The refund itself is answered with a fault, for ever: the charge says that it was given back."""

    async def story(world: World) -> None:
        key = (await world.buy("succeeded"))["invoice_number"]
        (intent,) = world.peer.intents.values()
        assert (await world.cashier.refund(key))["state"] == "refunded"
        await world.tell(intent)
        with structlog.testing.capture_logs() as logged:
            await world.tell(world.peer.put("succeeded", 2000, "AUD", key))
        payments = [one for one in logged if one["event"].startswith("payment.")]  # other servers may log meanwhile
        assert [(one["event"], one["charge"]) for one in payments] == [("payment.charged_twice", "pi_2")]
        entries = await world.database.read(lambda tx: ledger.entries(tx, world.user_id))
        assert [one["micros"] for one in entries] == [20_000_000, -20_000_000]
        assert (await world.payment())["charge_id"] == intent["id"]

    play(story)


def test_a_refund_that_failed_is_not_taken_for_one(play: Play) -> None:
    async def story(world: World) -> None:
        key = (await world.buy("succeeded"))["invoice_number"]
        world.peer.away = True
        with pytest.raises(GatewayAway):
            await world.cashier.refund(key)
        assert (await world.payment())["state"] == "refunding"

    play(story)


def test_through_the_api(tmp_path: Path, migrated_url: str) -> None:
    """503 for the customer, 200 for each event of Stripe's, 400 for a forged one, and the credit once."""
    options = {"payment_gateway": "stripe", "stripe_key": "sk_test", "stripe_webhook_secret": SECRET}
    with stripe(0) as peer:
        server = Running(tmp_path, migrated_url, stripe_address=peer.address, **options)
        try:
            peer.now = server.house.database.clock()
            api = server.account()
            card = {"number": CARD.number, "expiry_month": 5, "expiry_year": 2099, "cvc": "123"}
            api.put("/recharge/credit-card", {**card, "name": CARD.name, "bank_name": "Robotic Banking"})
            peer.script = ["succeeded fault", "processing"]
            assert api.call("PUT", "/recharge/purchase/1").status == 503
            (intent,) = peer.intents.values()
            body = event(intent)
            statuses = [
                api.call("POST", "/recharge/events", body, {"Stripe-Signature": header}).status
                for header in (signed(body), signed(body), signed(body, 600), signed(body + b" "), "")
            ]
            assert statuses == [200, 200, 400, 400, 400]
            assert (api.get("/account")["balance"], peer.creations) == ("120.000000", 1)
            answer = api.call("PUT", "/recharge/purchase/2")
            assert (answer.status, "no outcome yet" in answer.body["response_msg"]) == (503, True)
            peer.turn(peer.intents["pi_2"], "succeeded")
            assert api.put("/recharge/purchase/2")["amount"] == "50.00"
            assert (api.get("/account")["balance"], peer.creations) == ("170.000000", 2)
        finally:
            server.close_clients()
            server.stop()
