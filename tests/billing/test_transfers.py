"""However transfers, purchases and refusals meet: the sum of all balances changes only by payments."""

import asyncio
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.resellers import client
from heliograph.accounts.vault import Vault
from heliograph.billing import ledger, payments
from heliograph.billing.cashier import Cashier
from heliograph.billing.gateways.base import Card, GatewayAway
from heliograph.billing.gateways.manual import ManualGateway
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import ledger as entries
from heliograph.errors import BadRequest, NotFound
from heliograph.webhooks.signature import new_secret

CARD = Card("4242424242424242", 5, 2099, "123", "Roland Robot")
SILENT = Card("4000000000000119", 5, 2099, "123", "Silent Robot")
DECLINED = Card("4000000000000341", 5, 2099, "123", "Poor Robot")
WHO = st.integers(0, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("transfer"), st.lists(st.tuples(WHO, WHO, st.integers(1, 60)), min_size=1, max_size=6)),
        st.tuples(st.just("buy"), st.lists(st.tuples(WHO, st.integers(1, 3)), min_size=1, max_size=4)),
        st.tuples(st.just("refund"), st.lists(WHO, min_size=1, max_size=2)),
    ),
    min_size=3,
    max_size=8,
)


class Street:
    """Two resellers (0 and 1) with their clients (2 and 3 of the first, 4 of the second)."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.cashier = Cashier(database, ManualGateway(sandbox=True))
        self.users: list[int] = []
        self.paid: set[str] = set()
        self.paid_in = 0

    async def settle_in(self) -> None:
        for place in range(5):
            new = NewAccount(
                username=f"user-{uuid4()}", email="a@example.com", phone="", currency="AUD", webhook_secret=new_secret()
            )
            if place < 2:
                self.users.append(await self.database.write(lambda tx, new=new: account.create(tx, Vault(b"t"), new)))
                continue
            owner = self.users[place // 4]
            made = await self.database.write(
                lambda tx, new=new, owner=owner: client.create(tx, Vault(b"t"), owner, new)
            )
            self.users.append(made["user_id"])
        for place, card in enumerate((CARD, SILENT, DECLINED, CARD)):
            await self.cashier.keep_card(self.users[place], card, "test")

    async def transfer(self, giver: int, taker: int, units: int) -> None:
        """Many at once; those to strangers and those without credit move nothing."""
        try:
            await self.database.write(
                lambda tx: client.transfer(tx, self.users[giver], self.users[taker], units * 1_000_000, "AUD")
            )
        except ledger.InsufficientCredit:
            return
        except NotFound:
            assert (giver, taker) not in ((0, 2), (0, 3), (1, 4))

    async def buy(self, buyer: int, package: int) -> None:
        try:
            row = await self.cashier.purchase(self.users[buyer], package, None)
        except GatewayAway:
            return  # asked again by the next purchase of the same package
        except BadRequest:
            assert buyer == 4  # who has no card
            return
        if row["state"] == payments.PAID and row["invoice_number"] not in self.paid:
            self.paid.add(row["invoice_number"])
            self.paid_in += row["micros"]

    async def refund(self, place: int) -> None:
        found = await self.database.read(lambda tx: tx.rows(payments.transactions(self.users[place])))
        for row in found[:1]:
            try:
                done = await self.cashier.refund(row["invoice_number"])
            except (ledger.InsufficientCredit, NotFound):
                return
            if done["state"] == payments.REFUNDED and row["invoice_number"] in self.paid:
                self.paid.discard(row["invoice_number"])
                self.paid_in -= row["micros"]

    def check(self, tx: Tx) -> None:
        balances = [ledger.balance(tx, user_id) for user_id in self.users]
        assert sum(balances) == self.paid_in
        assert min(balances) >= 0
        sums = [
            int(tx.scalar(select(func.sum(entries.c.micros)).where(entries.c.user_id == user_id)) or 0)
            for user_id in self.users
        ]
        assert sums == balances


async def live(address: str, steps: list[tuple[str, Any]]) -> None:
    database = Database(address)
    try:
        street = Street(database)
        await street.settle_in()
        await street.buy(0, 3)
        await street.buy(1, 3)
        for kind, values in steps:
            work = {"transfer": lambda value: street.transfer(*value), "buy": lambda value: street.buy(*value)}
            await asyncio.gather(*(work.get(kind, street.refund)(value) for value in values))
            await database.read(street.check)
    finally:
        await database.close()


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_money_is_neither_made_nor_lost(migrated_url: str, steps: list[tuple[str, Any]]) -> None:
    """Each example has accounts of its own, and its steps happen at the same moment."""
    asyncio.run(live(migrated_url, steps))


async def compete(address: str) -> None:
    """Two processes with writers of their own give away the same 100 units, 7 at a time."""
    databases = [Database(address), Database(address)]
    try:
        street = Street(databases[0])
        await street.settle_in()
        await street.buy(0, 3)

        async def give(database: Database, taker: int) -> int:
            try:
                await database.write(
                    lambda tx: client.transfer(tx, street.users[0], street.users[taker], 7_000_000, "AUD")
                )
            except ledger.InsufficientCredit:
                return 0
            return 1

        done = await asyncio.gather(*(give(databases[place % 2], 2 + place // 2 % 2) for place in range(40)))
        assert sum(done) == 14
        await databases[0].read(street.check)
        assert await databases[1].read(lambda tx: ledger.balance(tx, street.users[0])) == 2_000_000
    finally:
        for one in databases:
            await one.close()


def test_two_processes_do_not_give_the_same_credit_away(migrated_url: str) -> None:
    asyncio.run(compete(migrated_url))
