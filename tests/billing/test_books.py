"""The books: whatever happens in whatever order, the balance is the sum of the ledger and never negative."""

import asyncio
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount, Principal
from heliograph.accounts.vault import Vault
from heliograph.billing import ledger
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import ledger as entries
from heliograph.messaging import accept, cancel, deliver, message
from heliograph.messaging.channel import Accepted, Charge, Draft, Order
from heliograph.transports.base import Failed, Sent
from heliograph.webhooks.signature import new_secret
from support import quiet

COUNT = st.integers(1, 4)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.lists(COUNT, min_size=1, max_size=3)),
        st.tuples(st.just("bulk"), st.integers(51, 70)),
        st.tuples(st.just("dear"), st.integers(1000, 5000)),
        st.tuples(st.just("quote"), COUNT),
        st.tuples(st.just("later"), COUNT),
        st.tuples(st.just("top up"), st.integers(1, 3_000_000)),
        st.tuples(st.just("withdraw"), st.integers(1, 3_000_000)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("fail"), COUNT),
        st.tuples(st.just("send"), COUNT),
    ),
    min_size=3,
    max_size=14,
)


class Books:
    """One account, and what its balance must be by its history."""

    def __init__(self, database: Database, who: Principal, credit: int) -> None:
        self.database = database
        self.who = who
        self.paid_in = credit
        self.costs: dict[str, int] = {}

    def order(self, count: int, *, units: int = 1, schedule: int = 0, quote: bool = False) -> Order:
        charges = (Charge("message", units),)
        draft = Draft(
            recipient="+61411111111", body="Hi", country="AU", charges=charges, units=units, schedule=schedule
        )
        return Order(principal=self.who, channel=quiet.SMS, request_id="R", drafts=[draft] * count, quote=quote)

    async def buy(self, *orders: Order) -> list[list[Accepted]]:
        """Give orders at the same moment; they share a transaction when they meet."""
        answers = await asyncio.gather(*(self.database.write_merged(accept.accept, order) for order in orders))
        for order, fates in zip(orders, answers, strict=True):
            for fate in fates:
                assert fate.status in ("SUCCESS", "INSUFFICIENT_CREDIT")
                if fate.status == "SUCCESS" and not order.quote:
                    self.costs[fate.message_id] = fate.price_micros
        return answers

    async def step(self, kind: str, value: Any) -> None:
        if kind == "order":
            await self.buy(*(self.order(count) for count in value))
        elif kind == "bulk":
            await self.buy(self.order(value))
        elif kind == "dear":
            fates = (await self.buy(self.order(2, units=value)))[0]
            assert {fate.status for fate in fates} == {"INSUFFICIENT_CREDIT"}
        elif kind == "quote":
            await self.buy(self.order(value, quote=True))
        elif kind == "later":
            await self.buy(self.order(value, schedule=int(self.database.clock()) + 3600))
        elif kind == "cancel":
            await self.cancel(value)
        elif kind in ("fail", "send"):
            await self.deliver(value, kind == "fail")
        else:
            await self.post(value if kind == "top up" else -value)

    async def post(self, micros: int) -> None:
        try:
            await self.database.write(lambda tx: ledger.post(tx, self.who.user_id, micros, "credit", "test"))
        except ledger.InsufficientCredit:
            assert micros < 0
        else:
            self.paid_in += micros

    async def cancel(self, place: int) -> None:
        """Cancel one message twice at once: one of both does it at most."""
        if not self.costs:
            return
        chosen = list(self.costs)[place % len(self.costs)]
        gone = await asyncio.gather(
            *(
                self.database.write(lambda tx: cancel.cancel(tx, self.who.user_id, quiet.SMS, [chosen, chosen]))
                for _ in range(2)
            )
        )
        assert sum(gone) <= 1
        if sum(gone):
            self.costs[chosen] = 0

    async def deliver(self, limit: int, fails: bool) -> None:
        """Hand some messages over: nobody can cancel them now, and failed ones are refunded once."""
        delivery = quiet.delivery(self.database)
        parcels = await self.database.write(lambda tx: delivery.collect(tx, limit))
        taken = [parcel.row.message_id for parcel in parcels]
        assert await self.database.write(lambda tx: cancel.cancel(tx, self.who.user_id, quiet.SMS, taken)) == 0
        said = Failed(code=11, why="no such number") if fails else Sent(remote_ids=())
        outcomes = [deliver.Attempt(parcel, "test", said) for parcel in parcels]
        for _ in range(2):
            await self.database.write(lambda tx: delivery.settle(tx, outcomes), urgent=False)
        if fails:
            self.costs.update(dict.fromkeys(taken, 0))

    def check(self, tx: Tx) -> None:
        balance = ledger.balance(tx, self.who.user_id)
        total = tx.scalar(select(func.sum(entries.c.micros)).where(entries.c.user_id == self.who.user_id))
        assert balance == int(total or 0)
        assert balance >= 0
        assert balance == self.paid_in - sum(self.costs.values())
        last = 0
        for entry in ledger.entries(tx, self.who.user_id):
            last += int(str(entry["micros"]))
            assert entry["balance_micros"] == last >= 0
        rows = message.load(tx, [(self.who.user_id, key) for key in self.costs])
        assert len(rows) == len(self.costs)
        kept = [row for row in rows.values() if row.status not in (message.FAILED, message.CANCELLED)]
        assert balance == self.paid_in - sum(row.price_micros for row in kept)


async def live(address: str, name: str, credit: int, steps: list[tuple[str, Any]]) -> None:
    database = Database(address)
    try:
        new = NewAccount(
            username=name,
            email="a@example.com",
            phone="+61411111111",
            webhook_secret=new_secret(),
            credit_micros=credit,
        )
        user_id = await database.write(lambda tx: account.create(tx, Vault(b"test"), new))
        who = await database.read(lambda tx: account.by_user(tx, user_id))
        assert who is not None
        books = Books(database, who, credit)
        for kind, value in steps:
            await books.step(kind, value)
            await database.read(books.check)
        await database.write(lambda tx: tx.driver("DELETE FROM queue"))  # the next example must not claim these
    finally:
        await database.close()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(credit=st.sampled_from([0, 71_499, 71_500, 500_000, 5_000_000]), steps=STEPS)
@example(
    credit=5_000_000,
    steps=[("order", [2, 3]), ("later", 2), ("fail", 2), ("cancel", 0), ("cancel", 4), ("send", 1), ("cancel", 5)],
)
def test_the_books_balance(migrated_url: str, credit: int, steps: list[tuple[str, Any]]) -> None:
    """Each example lives in an account of its own."""
    asyncio.run(live(migrated_url, f"user-{uuid4()}", credit, steps))
