"""Two processes on one PostgreSQL: who is chosen as the victim of a deadlock is run again, and nobody notices."""

import asyncio
import threading

import pytest

from heliograph.db import migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import epochs
from support import postgres


@pytest.mark.parametrize("rounds", [3])
def test_a_deadlock_between_two_writers_is_survived(postgres_url: str, rounds: int) -> None:
    with postgres.database(postgres_url) as url:
        migrate.upgrade(url)
        asyncio.run(_scenario(url, rounds))


async def _scenario(url: str, rounds: int) -> None:
    first, second = Database(url), Database(url)
    for name in ("a", "b"):
        await first.write(lambda tx, name=name: tx.execute(epochs.insert().values(name=name, value=0)))
    for _ in range(rounds):
        meet = threading.Barrier(2)
        await asyncio.gather(first.write(_locking("a", "b", meet)), second.write(_locking("b", "a", meet)))
    rows = await first.read(lambda tx: tx.rows(epochs.select().order_by(epochs.c.name)))
    assert [row["value"] for row in rows] == [2 * rounds, 2 * rounds]
    await first.close()
    await second.close()


def _locking(one: str, other: str, meet: threading.Barrier):
    tries = []

    def work(tx: Tx) -> None:
        _bump(tx, one)
        if not tries:  # both hold their first row before they ask for the second
            tries.append(1)
            meet.wait(10)
        _bump(tx, other)

    return work


def _bump(tx: Tx, name: str) -> None:
    tx.execute(epochs.update().where(epochs.c.name == name).values(value=epochs.c.value + 1))
