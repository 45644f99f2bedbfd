"""Two processes on one PostgreSQL: who is chosen as the victim of a deadlock is run again, and nobody notices."""

import asyncio
import threading

import pytest

from heliograph.db import dialect, migrate
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import epochs
from heliograph.queue import jobs
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


@pytest.mark.parametrize("merged", [False, True])
def test_after_a_deadlock_pieces_are_committed_one_by_one(postgres_url: str, merged: bool) -> None:
    """Each piece locks one row only, but what a batch locks is in nobody's order."""
    with postgres.database(postgres_url) as url:
        migrate.upgrade(url)
        asyncio.run(_crossed_batches(url, merged))


async def _crossed_batches(url: str, merged: bool) -> None:
    names = ["a", "b", "c", "d"]
    databases = Database(url), Database(url)
    for name in names:
        await databases[0].write(lambda tx, name=name: tx.execute(epochs.insert().values(name=name, value=0)))
    go, meet = threading.Event(), threading.Barrier(2)
    runs: list[list[Tx]] = [[], []]

    def piece(number: int, name: str):
        def work(tx: Tx) -> None:
            runs[number].append(tx)
            _bump(tx, name)
            if len(runs[number]) == 1:
                meet.wait(10)  # both hold their first row before they ask for their second

        return work

    def merge(number: int):
        def work(tx: Tx, items: list[str]) -> list[None]:
            for name in items:
                piece(number, name)(tx)
            return [None] * len(items)

        return work

    holding = [database.write(lambda tx: go.wait(10)) for database in databases]
    futures = []
    for number, (database, order) in enumerate(zip(databases, (names, names[::-1]), strict=True)):
        together = merge(number)
        for name in order:
            made = database.write_merged(together, name) if merged else database.write(piece(number, name))
            futures.append(made)
    go.set()
    await asyncio.wait_for(asyncio.gather(*holding, *futures), 60)
    rows = await databases[0].read(lambda tx: tx.rows(epochs.select().order_by(epochs.c.name)))
    assert [row["value"] for row in rows] == [2, 2, 2, 2]
    victim = max(runs, key=len)
    assert len(victim) > len(names), "one of both was the victim"
    assert len({id(tx) for tx in victim[-len(names) :]}) == len(names)
    for database in databases:
        await database.close()


def test_to_hurry_jobs_waits_for_nobody(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that hurry the same jobs, or one that has a job in hand, cannot lock each other out."""
    monkeypatch.setattr(dialect, "WRITING", ())  # a busy machine may take longer than who holds a lock has otherwise
    with postgres.database(postgres_url) as url:
        migrate.upgrade(url)
        asyncio.run(_hurried(url))


async def _hurried(url: str) -> None:
    first, second = Database(url), Database(url)
    later = [("lane", {"n": number}) for number in (1, 2)]
    await first.write(lambda tx: jobs.enqueue_many(tx, "test", later, after=jobs.LEASE + 1))
    held, go = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        tx.driver("UPDATE jobs SET last_error = 'held' WHERE payload LIKE ?", ["%1}"])
        held.set()
        assert go.wait(60)

    holding = first.write(hold)
    await asyncio.to_thread(held.wait, 60)
    payloads = [{"n": 1}, {"n": 2}]
    await asyncio.wait_for(second.write(lambda tx: jobs.hurry(tx, "test", payloads)), 30)
    claimed = await asyncio.wait_for(second.write(lambda tx: jobs.claim(tx, 8, {})), 30)
    assert [job.payload for job in claimed] == [{"n": 2}]
    go.set()
    await holding
    for database in (first, second):
        await database.close()
