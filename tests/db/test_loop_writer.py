"""Transactions of SQLite on the event loop: what shares one, what goes to a thread, and that the loop goes on."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from heliograph.db import group, writer
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.group import DEADLINE
from heliograph.db.piece import Line, Piece
from heliograph.errors import DatabaseAway
from support.logs import own_logs

Scenario = Callable[[Database], Awaitable[None]]


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    copied = tmp_path / "heliograph.db"
    shutil.copyfile(sqlite_template, copied)
    return copied


def run(path: Path, scenario: Scenario) -> None:
    async def whole() -> None:
        database = Database(f"sqlite:///{path}")
        await database.write(lambda tx: None)  # the connection is opened in a thread,
        await database.write(lambda tx: None)  # which has given it back when the next transaction is written
        async with asyncio.timeout(60):
            await scenario(database)
        await database.close()

    asyncio.run(whole())


def put(tx: Tx, name: str) -> tuple[int, int]:
    """Where it was written: the transaction and the thread."""
    tx.driver("INSERT INTO epochs (name, value) VALUES (?, 1)", [name])
    return id(tx.connection), threading.get_ident()


class Seen:
    """Keeps the transactions of pieces, so that two are never taken for one."""

    def __init__(self) -> None:
        self.all: list[Tx] = []
        self.threads: list[int] = []

    def put(self, tx: Tx, name: str) -> int:
        """The number of the transaction that it is in."""
        put(tx, name)
        if not any(tx is one for one in self.all):
            self.all.append(tx)
            self.threads.append(threading.get_ident())
        return next(number for number, one in enumerate(self.all) if one is tx)

    def merge(self, tx: Tx, names: Sequence[Any]) -> list[int]:
        return [self.put(tx, name) for name in names]


def names(tx: Tx) -> set[str]:
    return {row[0] for row in tx.driver("SELECT name FROM epochs").fetchall()}


def piece(weight: int = 1, *, urgent: bool = True, slow: bool = False) -> Piece:
    return Piece(lambda result, failure: None, lambda tx: None, weight=weight, urgent=urgent, slow=slow)


def weights(line: Line) -> list[list[int]]:
    found = []
    while line:
        found.append([one.weight for one in line.next_group()])
    return found


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        ([1, 1, 1], [[1, 1, 1]]),
        ([400, 100, 400, 1], [[400, 100, 400], [1]]),
        ([1000, 400, 101], [[400, 101], [1000]]),
        ([1, 1000, 1000, 1], [[1, 1], [1000, 1000]]),
        ([1000] * 5, [[1000] * 4, [1000]]),
        ([1, 500, 1], [[1, 500], [1]]),
        ([1] * 300, [[1] * 256, [1] * 44]),
    ],
)
def test_a_group_ends_at_so_many_rows_beyond_its_first_piece(given: list[int], groups: list[list[int]]) -> None:
    line = Line(writer.MOST_ROWS)
    for weight in given:
        line.add(piece(weight))
    assert weights(line) == groups


def test_background_work_rides_along_and_neither_kind_starves() -> None:
    line = Line(3)
    for weight in (2, 2, 2, 4):
        line.add(piece(weight))
    for weight in (1, 1, 1):
        line.add(piece(weight, urgent=False))
    assert weights(line) == [[2, 2, 1], [1, 1, 2], [4]]


def test_slow_large_requests_are_by_themselves() -> None:
    line = Line(3)
    for slow in (False, True, False, False):
        line.add(piece(9, slow=slow))
    assert weights(line) == [[9], [9], [9, 9]]


def test_small_requests_find_room_beside_large_ones() -> None:
    line = Line(3)
    for one in (piece(9), piece(1), piece(2, urgent=False), piece(3), piece(1, slow=True), piece(1)):
        line.add(one)
    assert line.has_small
    assert [one.weight for one in line.small()] == [1, 3]
    assert weights(line) == [[1, 1], [2], [9]]


def test_slow_work_of_the_background_does_not_ride_along() -> None:
    line = Line(writer.MOST_ROWS)
    for one in (piece(1), piece(2, urgent=False, slow=True), piece(3, urgent=False), piece(4)):
        line.add(one)
    assert weights(line) == [[1, 4], [2, 3]]


def test_what_comes_in_one_turn_shares_a_transaction_on_the_loop(path: Path) -> None:
    seen = Seen()

    async def scenario(database: Database) -> None:
        calm = database.write(lambda tx: seen.put(tx, "calm"), urgent=False)
        single = [database.write(lambda tx, n=n: seen.put(tx, n)) for n in "ab"]
        merged = [database.write_merged(seen.merge, n) for n in "cd"]
        assert await asyncio.gather(calm, *single, *merged) == [0] * 5
        assert seen.threads == [threading.get_ident()]

    run(path, scenario)


def test_background_work_alone_waits_a_moment_for_a_request(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RIDE", 3600.0)
    seen = Seen()

    async def scenario(database: Database) -> None:
        calm = database.write(lambda tx: seen.put(tx, "calm"), urgent=False)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not calm.done()
        assert await asyncio.gather(database.write(lambda tx: seen.put(tx, "urgent")), calm) == [0, 0]
        monkeypatch.setattr(writer, "RIDE", 0.004)
        assert await database.write(lambda tx: seen.put(tx, "alone"), urgent=False) == 1

    run(path, scenario)


def test_nobody_is_told_before_the_commit(path: Path) -> None:
    async def scenario(database: Database) -> None:
        told: list[Any] = []

        def tell(result: Any, failure: BaseException | None) -> None:
            with sqlite3.connect(path) as other:
                told.append((result, failure, other.execute("SELECT name FROM epochs").fetchall()))
            done.set_result(None)

        done = asyncio.get_running_loop().create_future()
        database.merge_then(lambda tx, items: [put(tx, items[0])[1]], "a", tell, weight=2)
        await done
        assert told == [(threading.get_ident(), None, [("a",)])]

    run(path, scenario)


def test_the_loop_goes_on_while_slow_work_has_the_connection(path: Path) -> None:
    """Whatever comes meanwhile waits in line, and nothing of it is lost."""

    async def scenario(database: Database) -> None:
        began, go = threading.Event(), threading.Event()
        order: list[str] = []

        def slow(tx: Tx) -> int:
            began.set()
            assert go.wait(60)
            order.append("slow")
            return put(tx, "slow")[1]

        holding = database.write(slow, slow=True)
        await asyncio.to_thread(began.wait, 60)
        later = [database.write(lambda tx, n=n: (order.append(n), put(tx, n))) for n in "ab"]
        lost = database.write(lambda tx: put(tx, "nobody waits for it"))
        lost.cancel()
        assert await database.read(names) == set()
        assert not any(one.done() for one in later)
        go.set()
        assert await holding != threading.get_ident()
        await asyncio.gather(*later)
        assert order == ["slow", "a", "b"]
        assert await database.read(names) == {"slow", "a", "b", "nobody waits for it"}

    run(path, scenario)


def test_the_loop_goes_on_while_another_process_writes(path: Path) -> None:
    async def scenario(database: Database) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = [database.write(lambda tx, n=n: put(tx, n)[1]) for n in "ab"]
        async with asyncio.timeout(5):  # the connection waits for ten seconds
            assert await database.read(names) == set()
            await asyncio.sleep(0.05)
        assert not any(one.done() for one in waiting)
        other.execute("COMMIT")
        other.close()
        assert threading.get_ident() not in await asyncio.gather(*waiting)
        assert await database.write(lambda tx: put(tx, "c")[1]) == threading.get_ident()
        assert await database.read(names) == {"a", "b", "c"}

    run(path, scenario)


def test_what_finds_that_it_takes_long_is_begun_again_in_a_thread(path: Path) -> None:
    tries: list[str] = []

    def merge(tx: Tx, items: Sequence[Any]) -> list[Any]:
        found = []
        for name in items:
            tries.append(name)
            where = put(tx, name)[1]
            if name == "long":
                tx.long()
            found.append(where)
        return found

    async def scenario(database: Database) -> None:
        here = threading.get_ident()
        for together in (["a", "long", "b"], ["long"]):
            places = await asyncio.gather(*(database.write_merged(merge, name) for name in together))
            assert [place == here for place in places] == [name != "long" for name in together]
            assert await database.read(names) == set(together)
            await database.write(lambda tx: tx.driver("DELETE FROM epochs"))
        assert tries == ["a", "long", "a", "long", "b", "long", "long", "long"]

    run(path, scenario)


def test_what_finds_no_time_in_a_group_is_first_in_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LATEST", -1.0)
    seen = Seen()

    async def scenario(database: Database) -> None:
        given = [database.write(lambda tx, n=n: seen.put(tx, n), urgent=n != "b") for n in "abcd"]
        a, b, c, d = await asyncio.gather(*given)
        assert a < c < d
        assert {a, b, c, d} == {0, 1, 2, 3}

    run(path, scenario)


def test_a_long_transaction_on_the_loop_is_logged_with_its_function(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(database: Database) -> None:
        await database.write(lambda tx: put(tx, "short"))
        monkeypatch.setattr(writer, "LONG", 0.0)
        await database.write_merged(Seen().merge, "long")

    with own_logs() as logged:
        run(path, scenario)
    (found,) = (one for one in logged if one["event"] == "database.long_on_loop")
    assert (found["functions"], found["pieces"]) == (["Seen.merge"], 1)


@pytest.mark.parametrize("why", ["before the commit", "in the commit"])
def test_a_commit_that_fails_is_told_to_each_caller(path: Path, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails as a whole before the commit is run once more; nobody hears of success."""
    failing = {"COMMIT"} if why == "in the commit" else {"RELEASE SAVEPOINT piece"}
    failed: list[str] = []
    driver = Tx.driver

    def broken(tx: Tx, text: str, parameters: Sequence[Any] = ()) -> Any:
        if text in failing and len(failed) < (2 if why == "in the commit" else 1):
            failed.append(text)
            problem = sqlite3.OperationalError("disk I/O error")
            problem.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise problem
        return driver(tx, text, parameters)

    async def scenario(database: Database) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Tx, "driver", broken)
            given = [database.write(lambda tx, n=n: put(tx, n)) for n in "ab"]
            answers = await asyncio.gather(*given, return_exceptions=True)
        kinds = {type(one) for one in answers}
        assert kinds == ({DatabaseAway} if why == "in the commit" else {tuple})
        assert await database.read(names) == (set() if why == "in the commit" else {"a", "b"})
        await database.write(lambda tx: put(tx, "after"))

    run(path, scenario)


def test_large_requests_share_a_transaction_and_each_has_a_turn_of_the_loop(path: Path) -> None:
    seen, turns = Seen(), [0]
    at: dict[str, int] = {}

    def merge(tx: Tx, items: Sequence[str]) -> list[int]:
        at[items[0]] = turns[0]
        if items == ["bad"]:
            raise ValueError
        return seen.merge(tx, items)

    async def scenario(database: Database) -> None:
        def turn() -> None:
            turns[0] += 1
            if len(at) < 3:
                asyncio.get_running_loop().call_soon(turn)

        given = [database.write_merged(merge, n, weight=1000) for n in ("a", "bad", "c")]
        turn()
        a, bad, c = await asyncio.gather(*given, return_exceptions=True)
        assert (a, type(bad), c) == (0, ValueError, 0)
        assert at["a"] < at["bad"] < at["c"]
        assert await database.write_merged(merge, "d", weight=1000) == 1
        assert seen.threads == [threading.get_ident()] * 2
        assert await database.read(names) == {"a", "c", "d"}

    run(path, scenario)


def test_a_small_request_waits_for_no_further_large_one(path: Path) -> None:
    seen, small = Seen(), []

    async def scenario(database: Database) -> None:
        def merge(tx: Tx, items: Sequence[str]) -> list[int]:
            if items == ["a"]:
                small.append(database.write(lambda tx: seen.put(tx, "small")))
                small.append(database.write(names, slow=True))
            return seen.merge(tx, items)

        assert await asyncio.gather(*(database.write_merged(merge, n, weight=1000) for n in "abc")) == [0, 1, 1]
        assert await small[0] == 0
        assert {"a", "small"} <= await small[1]

    run(path, scenario)


def test_closing_writes_the_large_requests_that_wait(path: Path) -> None:
    async def scenario() -> None:
        database = Database(f"sqlite:///{path}")
        await database.write(lambda tx: None)
        closing: list[Any] = []

        def merge(tx: Tx, items: Sequence[str]) -> list[Any]:
            closing.append(closing or asyncio.ensure_future(database.close()))
            return [put(tx, one) for one in items]

        given = [database.write_merged(merge, n, weight=1000) for n in "abc"]
        async with asyncio.timeout(60):
            await asyncio.gather(*given, closing[0] if closing else asyncio.sleep(0))
            await closing[0]

    asyncio.run(scenario())
    with sqlite3.connect(path) as other:
        assert {row[0] for row in other.execute("SELECT name FROM epochs")} == {"a", "b", "c"}


@pytest.mark.parametrize(("text", "times"), [("COMMIT", 2), ("RELEASE SAVEPOINT piece", 1)])
def test_large_requests_are_told_of_a_commit_that_fails(
    path: Path, text: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commit all that was run is run once more, and nothing twice; nobody hears of success too early."""
    failed: list[str] = []
    driver = Tx.driver

    def broken(tx: Tx, asked: str, parameters: Sequence[Any] = ()) -> Any:
        ready = text == "COMMIT" or "b" in asked_for
        if asked == text and ready and len(failed) < times:
            failed.append(asked)
            problem = sqlite3.OperationalError("disk I/O error")
            problem.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise problem
        return driver(tx, asked, parameters)

    asked_for: list[str] = []

    def merge(tx: Tx, items: Sequence[str]) -> list[Any]:
        asked_for.extend(items)
        return [put(tx, one) for one in items]

    async def scenario(database: Database) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Tx, "driver", broken)
            given = [database.write_merged(merge, n, weight=1000) for n in "abc"]
            answers = await asyncio.gather(*given, return_exceptions=True)
        assert {type(one) for one in answers} == ({DatabaseAway} if text == "COMMIT" else {tuple})
        assert await database.read(names) == (set() if text == "COMMIT" else {"a", "b", "c"})
        await database.write(lambda tx: put(tx, "after"))

    run(path, scenario)


def test_requests_that_are_merged_and_fail_are_run_one_by_one(path: Path) -> None:
    """They had the transaction to themselves, without a savepoint."""
    seen = Seen()

    def merge(tx: Tx, items: Sequence[str]) -> list[int]:
        done = seen.merge(tx, items)
        if "bad" in items:
            raise ValueError
        return done

    async def scenario(database: Database) -> None:
        given = [database.write_merged(merge, n) for n in ("a", "bad", "c")]
        a, bad, c = await asyncio.gather(*given, return_exceptions=True)
        assert (a, type(bad), c) == (0, ValueError, 0)
        assert await database.read(names) == {"a", "c"}

    run(path, scenario)


def test_closing_waits_for_slow_work_and_for_what_waits_behind_it(path: Path) -> None:
    async def scenario(database: Database) -> None:
        began, go = threading.Event(), threading.Event()
        holding = database.write(lambda tx: (began.set(), go.wait(60), put(tx, "slow")), slow=True)
        await asyncio.to_thread(began.wait, 60)
        behind = [database.write(lambda tx, n=n: put(tx, n), urgent=n == "a") for n in "ab"]
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        go.set()
        await closing
        assert all(one.done() for one in (holding, *behind))
        with pytest.raises(RuntimeError):
            database.write(names)

    async def whole() -> None:
        async with asyncio.timeout(60):
            await scenario(Database(f"sqlite:///{path}"))

    asyncio.run(whole())
    with sqlite3.connect(path) as other:
        assert {row[0] for row in other.execute("SELECT name FROM epochs")} == {"slow", "a", "b"}


# Nobody waits in vain, and nothing is done for whom nobody waits.


def test_a_caller_whose_answer_meets_a_defect_keeps_no_other_from_theirs(path: Path) -> None:
    async def scenario(database: Database) -> None:
        def told(result: Any, failure: BaseException | None) -> None:
            raise LookupError("a defect")

        database.merge_then(lambda tx, items: items, 1, told)
        others = [database.write(lambda tx, n=number: put(tx, f"n{n}")) for number in range(300)]
        await asyncio.gather(*others)

    with own_logs() as logs:
        run(path, scenario)
    assert [entry["event"] for entry in logs] == ["database.not_told"]


def test_a_handler_that_raises_what_no_future_takes_is_answered(path: Path) -> None:
    async def scenario(database: Database) -> None:
        bad = database.write(lambda tx: next(iter(())))
        good = database.write(lambda tx: put(tx, "good"))
        with pytest.raises(RuntimeError, match="StopIteration"):
            await bad
        await good

    run(path, scenario)


def test_a_listener_that_raises_stops_neither_the_others_nor_the_line(path: Path) -> None:
    async def scenario(database: Database) -> None:
        woken: list[str] = []

        def broken() -> None:
            raise LookupError("a defect")

        database.on_wake("x", broken)
        database.on_wake("x", lambda: woken.append("x"))
        first = database.write(lambda tx: tx.wake("x"))
        others = [database.write(lambda tx, n=number: put(tx, f"n{n}")) for number in range(300)]
        await asyncio.gather(first, *others)
        assert woken == ["x"]

    with own_logs() as logs:
        run(path, scenario)
    assert [entry["event"] for entry in logs] == ["database.listener_failed"]


class Time:
    """What the writer takes for `time.monotonic`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(writer, "monotonic", lambda: self.now)
        monkeypatch.setattr(group, "monotonic", lambda: self.now)


def test_slow_requests_of_one_group_are_not_run_when_nobody_waits_any_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are all in one group, and each takes 10 seconds. Who came first is answered before the last is begun."""
    time, told = Time(monkeypatch), []

    async def scenario(database: Database) -> None:
        def work(tx: Tx) -> None:
            time.now += 10

        async def ask(number: int) -> None:
            try:
                await database.write(work, slow=True)
                told.append((number, "done"))
            except DatabaseAway:
                told.append((number, "late"))

        await asyncio.gather(*(ask(number) for number in range(5)))

    run(path, scenario)
    assert told == [(0, "done"), (1, "done"), (2, "done"), (3, "late"), (4, "late")]


def test_a_request_that_waited_for_another_process_for_too_long_is_not_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time(monkeypatch)

    async def scenario(database: Database) -> None:
        begin = database._connector.begin_write

        def waits() -> Tx:
            time.now += DEADLINE
            return begin()

        monkeypatch.setattr(database._connector, "begin_write", waits)
        with pytest.raises(DatabaseAway):
            await database.write(lambda tx: put(tx, "late"), slow=True)
        assert not await database.read(lambda tx: tx.driver("SELECT 1 FROM epochs WHERE name = 'late'").fetchone())

    run(path, scenario)


def test_a_late_request_that_rides_along_with_background_work_is_not_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop stood still, as beside a disk that hangs."""
    time = Time(monkeypatch)

    async def scenario(database: Database) -> None:
        calm = [database.write(lambda tx, n=number: put(tx, f"n{n}"), urgent=False) for number in range(3)]
        late = database.write(lambda tx: put(tx, "late"))
        time.now += DEADLINE + 1
        with pytest.raises(DatabaseAway):
            await late
        await asyncio.gather(*calm)
        found = await database.read(lambda tx: tx.driver("SELECT name FROM epochs WHERE value = 1").fetchall())
        assert {"n0", "n1", "n2"} <= {row[0] for row in found}
        assert ("late",) not in found

    run(path, scenario)
