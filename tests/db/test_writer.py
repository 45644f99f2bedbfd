"""Group commit: whatever shares a transaction, each caller gets its own answer and exactly its own rows."""

import asyncio
import random
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from heliograph.db import writer
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import epochs
from heliograph.errors import BadRequest

TAKEN = "taken"
PLAN = ("good", "good", "refused", "clash", "merged", "merged", "merged_refused", "merged_clash")


class Defect(Exception):
    """What a merging function raises for the whole group."""


def insert(tx: Tx, name: str) -> str:
    tx.execute(epochs.insert().values(name=name, value=1))
    return "wrote " + name


def refuse(tx: Tx, name: str) -> str:
    """Write, then refuse: nothing of it may stay."""
    insert(tx, name)
    raise BadRequest({"name": name})


def clash(tx: Tx, name: str) -> str:
    """Write, then break a unique constraint: on PostgreSQL the transaction is unusable until it is rolled back."""
    insert(tx, name)
    return insert(tx, TAKEN)


def merge(tx: Tx, items: list[Any]) -> Sequence[Any]:
    """One item may be refused with an exception object, or break the whole group."""
    answers: list[Any] = []
    for kind, name in items:
        if kind == "merged_refused":
            answers.append(BadRequest({"name": name}))
            continue
        insert(tx, name)
        if kind == "merged_clash":
            insert(tx, TAKEN)
        answers.append("wrote " + name)
    return answers


def submit(database: Database, kind: str, name: str, urgent: bool) -> "asyncio.Future[Any]":
    if kind.startswith("merged"):
        return database.write_merged(merge, (kind, name))
    work = {"good": insert, "refused": refuse, "clash": clash}[kind]
    return database.write(lambda tx: work(tx, name), urgent=urgent)


def names(tx: Tx) -> set[str]:
    return {row[0] for row in tx.driver("SELECT name FROM epochs").fetchall()}


async def hold(database: Database) -> threading.Event:
    """Keep the writer busy until the event is set, so that what is submitted meanwhile shares transactions."""
    began, go = threading.Event(), threading.Event()

    def wait(tx: Tx) -> None:
        began.set()
        assert go.wait(60)

    holding = database.write(wait, slow=True)
    await asyncio.to_thread(began.wait, 60)
    holding.add_done_callback(lambda done: done.result())
    return go


def check_answer(kind: str, name: str, answer: Any) -> None:
    if kind in ("good", "merged"):
        assert answer == "wrote " + name
    elif kind.endswith("refused"):
        assert isinstance(answer, BadRequest)
        assert answer.data == {"name": name}
    else:
        assert isinstance(answer, IntegrityError)


@pytest.mark.parametrize("seed", range(4))
def test_each_caller_gets_its_own_answer(migrated_url: str, seed: int) -> None:
    chance = random.Random(seed)

    async def scenario() -> None:
        database = Database(migrated_url)
        await database.write(lambda tx: insert(tx, TAKEN))
        expected = {TAKEN}
        for round_ in range(4):
            plan = [(chance.choice(PLAN), f"{round_}.{number}") for number in range(chance.randint(1, 40))]
            go = await hold(database)
            futures = [submit(database, kind, name, chance.random() < 0.7) for kind, name in plan]
            go.set()
            answers = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 60)
            for (kind, name), answer in zip(plan, answers, strict=True):
                check_answer(kind, name, answer)
            expected |= {name for kind, name in plan if kind in ("good", "merged")}
            assert await database.read(names) == expected
        await database.close()

    asyncio.run(scenario())


def test_a_piece_alone_fails_without_a_trace(migrated_url: str) -> None:
    """A piece that has the transaction to itself runs without a savepoint."""

    async def scenario() -> None:
        database = Database(migrated_url)
        await database.write(lambda tx: insert(tx, TAKEN))
        for kind in ("refused", "clash", "merged_refused", "merged_clash"):
            answer = await asyncio.gather(submit(database, kind, kind, True), return_exceptions=True)
            check_answer(kind, kind, answer[0])
        assert await database.write(lambda tx: insert(tx, "after")) == "wrote after"
        assert await database.read(names) == {TAKEN, "after"}
        await database.close()

    asyncio.run(scenario())


def test_merged_items_share_one_call(migrated_url: str) -> None:
    """A group that breaks is run again item by item, and only the guilty one fails."""
    calls: list[list[str]] = []

    def counted(tx: Tx, items: list[Any]) -> Sequence[Any]:
        calls.append(list(items))
        for item in items:
            insert(tx, item)
        if "bad" in items:
            raise Defect
        return items

    async def scenario() -> None:
        database = Database(migrated_url)
        go = await hold(database)
        futures = [database.write_merged(counted, item) for item in ("a", "bad", "b")]
        go.set()
        answers = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 60)
        assert (answers[0], answers[2]) == ("a", "b")
        assert isinstance(answers[1], Defect)
        assert calls == [["a", "bad", "b"], ["a"], ["bad"], ["b"]]
        assert await database.read(names) == {"a", "b"}
        await database.close()

    asyncio.run(scenario())


def test_only_kept_work_wakes(migrated_url: str) -> None:
    woken: list[str] = []

    def waking(tx: Tx, name: str, problem: Exception | None = None) -> None:
        tx.wake(name)
        if problem is not None:
            raise problem

    async def scenario() -> None:
        database = Database(migrated_url)
        for name in ("kept", "lost"):
            database.on_wake(name, lambda name=name: woken.append(name))  # type: ignore[misc]
        go = await hold(database)
        futures = [
            database.write(lambda tx: waking(tx, "lost", BadRequest())),
            database.write(lambda tx: waking(tx, "kept")),
        ]
        go.set()
        await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 60)
        assert woken == ["kept"]
        await database.close()

    asyncio.run(scenario())


def test_close_writes_what_waits(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one transaction takes. How long a busy machine needs for it is not what is asked."""
    monkeypatch.setattr(writer, "DEADLINE", 1000.0)

    async def scenario() -> None:
        database = Database(migrated_url)
        go = await hold(database)
        futures = [submit(database, "good", f"waits {number}", number % 2 == 0) for number in range(600)]
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        go.set()
        await closing
        assert await asyncio.gather(*futures) == [f"wrote waits {number}" for number in range(600)]
        with pytest.raises(RuntimeError):
            database.write(names)
        again = Database(migrated_url)
        assert await again.read(names) == {f"waits {number}" for number in range(600)}
        await again.close()

    asyncio.run(scenario())
