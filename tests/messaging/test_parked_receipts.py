"""Receipts that nobody's message has the id of do not stay for ever."""

import asyncio

import pytest

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import receipts
from heliograph.transports.base import Receipt


def parked(tx: Tx) -> list[str]:
    return [row[0] for row in tx.driver("SELECT remote_id FROM parked_receipts ORDER BY parked_id").fetchall()]


def park(tx: Tx, *ids: str) -> None:
    def nobody(*_: object) -> bool:
        raise AssertionError("there is no message")

    arrived = [Receipt(transport="t", remote_id=one, state="delivered", at=tx.now) for one in ids]
    receipts.store(tx, arrived, nobody)


@pytest.mark.parametrize("count", [3, 7])
def test_parked_receipts_are_forgotten_by_age_in_slices(migrated_url: str, count: int) -> None:
    async def scenario() -> None:
        now = [1_800_000_000.0]
        database = Database(migrated_url, clock=lambda: now[0])
        old = [f"old {number}" for number in range(count)]
        await database.write(lambda tx: park(tx, *old))
        now[0] += 100
        await database.write(lambda tx: park(tx, "new"))
        assert not await database.write(lambda tx: receipts.forget_parked(tx, 100, limit=5))
        assert await database.read(parked) == [*old, "new"]
        now[0] += 1
        more = await database.write(lambda tx: receipts.forget_parked(tx, 100, limit=5))
        assert more is (count > 5)
        if more:
            assert not await database.write(lambda tx: receipts.forget_parked(tx, 100, limit=5))
        assert await database.read(parked) == ["new"]
        await database.close()

    asyncio.run(scenario())
