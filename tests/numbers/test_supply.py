"""The sandbox's numbers, and what becomes of a number that is not paid."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from heliograph import phone
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.billing import ledger
from heliograph.clock import DAY
from heliograph.db.database import Database
from heliograph.errors import NotFound
from heliograph.numbers import number, supply
from heliograph.numbers.supply import Virtual, Wanted
from heliograph.webhooks.signature import new_secret

START = 1_738_281_600  # 31 January 2025
SHARED = {"EH": "MA", "MF": "GP"}
"""Countries whose ranges are, for libphonenumber, those of another one."""


@pytest.mark.parametrize("country", sorted(phone.COUNTRIES))
def test_every_country_has_valid_numbers(country: str) -> None:
    found = supply._counted(country)
    assert len(found) >= 10
    for one in found[:: max(1, len(found) // 10)]:
        known = phone.parse(one)
        assert known is not None
        assert known.country == SHARED.get(country, country)
        assert not phone.is_test(one)


@pytest.mark.parametrize(
    ("digits", "place", "fits"),
    [
        ("", 0, True),
        ("614", 0, True),
        ("04", 0, True),
        ("4", 0, True),
        ("1", 0, False),
        ("1234", 1, True),
        ("000", 2, True),
        ("614", 2, False),
    ],
)
def test_patterns(digits: str, place: int, fits: bool) -> None:
    assert Wanted("AU", digits, place).fits("+61412345000") is fits


class World:
    """An account on a clock that is moved."""

    def __init__(self, address: str, credit: int) -> None:
        self.now = float(START)
        self.database = Database(address, clock=lambda: self.now)
        self.credit = credit
        self.user_id = 0

    async def settle_in(self) -> str:
        new = NewAccount(
            username="u",
            email="a@example.com",
            phone="",
            currency="AUD",
            webhook_secret=new_secret(),
            credit_micros=self.credit,
        )
        self.user_id = await self.database.write(lambda tx: account.create(tx, Vault(b"test"), new))

        def work(tx: Any) -> str:
            who = account.by_user(tx, self.user_id)
            assert who is not None
            row, _ = number.buy(tx, who, "+61412345000", [Virtual([])])
            return str(row["number"])

        return await self.database.write(work)

    async def renew(self) -> None:
        """What the upkeep does, until nothing is left."""
        while await self.database.write(lambda tx: number.renew_due(tx, 7)):
            pass

    async def row(self) -> Any:
        return await self.database.read(lambda tx: tx.row(number.of(self.user_id)))

    async def balance(self) -> int:
        return await self.database.read(lambda tx: ledger.balance(tx, self.user_id))

    async def numbers(self) -> tuple[str, ...]:
        who = await self.database.read(lambda tx: account.by_user(tx, self.user_id))
        assert who is not None
        return who.numbers


def play(address: str, credit: int, story: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World(address, credit)
        try:
            await world.settle_in()
            await story(world)
        finally:
            await world.database.close()

    asyncio.run(run())


def test_each_month_is_charged_once(migrated_url: str) -> None:
    async def story(world: World) -> None:
        assert await world.balance() == 75_330_000
        world.now = START + 27 * DAY
        await world.renew()
        assert await world.balance() == 75_330_000
        for now, left in ((28 * DAY, 56_740_000), (28 * DAY + 60, 56_740_000), (59 * DAY, 38_150_000)):
            world.now = START + now
            await world.renew()
            assert await world.balance() == left
        row = await world.row()
        assert (row["months"], row["due_at"]) == (3, START + (28 + 31 + 30) * DAY)

    play(migrated_url, 100_000_000, story)


def test_what_was_missed_is_charged_month_by_month(migrated_url: str) -> None:
    async def story(world: World) -> None:
        world.now = START + 95 * DAY
        for _ in range(5):
            await world.renew()
        assert await world.balance() == 75_330_000 - 3 * 18_590_000

    play(migrated_url, 100_000_000, story)


def test_two_processes_charge_a_month_once(migrated_url: str) -> None:
    async def story(world: World) -> None:
        other = Database(migrated_url, clock=lambda: world.now)
        world.now = START + 28 * DAY
        try:
            await asyncio.gather(
                *(one.write(lambda tx: number.renew_due(tx, 7)) for one in (world.database, other) * 3)
            )
        finally:
            await other.close()
        assert (await world.balance(), (await world.row())["months"]) == (56_740_000, 2)

    play(migrated_url, 100_000_000, story)


def test_an_unpaid_number_is_kept_for_a_week_and_then_released(migrated_url: str) -> None:
    async def story(world: World) -> None:
        month = START + 28 * DAY
        for day in range(7):
            world.now = month + day * DAY
            await world.renew()
            assert (await world.row())["unpaid_since"] == month
            assert await world.numbers() == ("+61412345000",)
        world.now = month + 7 * DAY
        await world.renew()
        assert await world.row() is None
        assert await world.numbers() == ()
        assert await world.balance() == 0
        found = await world.database.read(lambda tx: Virtual([]).search(tx, Wanted("AU", "61412345000"), 0, 10))
        assert found == (1, ["+61412345000"])

    play(migrated_url, 24_670_000, story)


def test_credit_within_the_week_keeps_it(migrated_url: str) -> None:
    async def story(world: World) -> None:
        month = START + 28 * DAY
        for day in range(3):
            world.now = month + day * DAY
            await world.renew()
        await world.database.write(lambda tx: ledger.post(tx, world.user_id, 20_000_000, "credit", "test"))
        world.now += DAY
        await world.renew()
        row = await world.row()
        assert (row["unpaid_since"], row["months"], row["due_at"]) == (None, 2, START + 59 * DAY)
        assert await world.balance() == 1_410_000

    play(migrated_url, 24_670_000, story)


def test_two_processes_sell_a_number_once(migrated_url: str) -> None:
    """Each with a writer of its own, at the same moment."""

    async def buy(database: Database, name: str) -> bool:
        new = NewAccount(
            username=name,
            email="a@example.com",
            phone="",
            currency="AUD",
            webhook_secret=new_secret(),
            credit_micros=100_000_000,
        )
        user_id = await database.write(lambda tx: account.create(tx, Vault(b"test"), new))

        def work(tx: Any) -> None:
            who = account.by_user(tx, user_id)
            assert who is not None
            number.buy(tx, who, "+61412345000", [Virtual([])])

        try:
            await database.write(work)
        except NotFound:
            assert await database.read(lambda tx: ledger.balance(tx, user_id)) == 100_000_000
            return False
        return True

    async def run() -> None:
        databases = [Database(migrated_url) for _ in range(3)]
        try:
            done = await asyncio.gather(*(buy(one, f"user{place}") for place, one in enumerate(databases)))
            assert sorted(done) == [False, False, True]
        finally:
            for one in databases:
                await one.close()

    asyncio.run(run())
