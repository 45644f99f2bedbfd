"""Background jobs: claimed by lanes, leased, tried again; the width of a lane follows how its jobs go."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.errors import Unavailable
from heliograph.queue import jobs, worker
from heliograph.queue.jobs import Job, Lanes
from heliograph.queue.worker import JobLoop
from support.clock import Clock, until

Scenario = Callable[[Database, Clock], Awaitable[None]]


def run(url: str, scenario: Scenario) -> None:
    async def whole() -> None:
        clock = Clock()
        database = Database(url, clock=clock)
        try:
            async with asyncio.timeout(60):
                await scenario(database, clock)
        finally:
            await database.close()

    asyncio.run(whole())


def numbers(found: list[Job]) -> list[int]:
    return [job.payload["n"] for job in found]


def put(tx: Tx, lane: str, *numbers: int, after: float = 0.0) -> None:
    for number in numbers:
        jobs.enqueue(tx, "test", {"n": number}, lane=lane, after=after)


def test_a_job_waits_for_its_time_and_for_its_lease(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        def claim(tx: Tx) -> list[Job]:
            return jobs.claim(tx, 10, {})

        await database.write(lambda tx: put(tx, "a", 1, after=5))
        assert await database.write(claim) == []
        assert await database.read(jobs.next_due) == clock.now + 5
        clock.now += 5
        (job,) = await database.write(claim)
        assert (job.kind, job.lane, job.attempt, job.payload) == ("test", "a", 1, {"n": 1})
        assert await database.write(claim) == []
        clock.now += jobs.LEASE - 1
        assert await database.write(claim) == []
        clock.now += 1
        (lost,) = await database.write(claim)
        assert (lost.job_id, lost.attempt) == (job.job_id, 2)
        await database.write(lambda tx: jobs.again(tx, job.job_id, 60, "why" * 5000))
        clock.now += 59
        assert await database.write(claim) == []
        clock.now += 1
        (third,) = await database.write(claim)
        assert third.attempt == 3
        await database.write(lambda tx: jobs.done(tx, job.job_id))
        clock.now += 10 * jobs.LEASE
        assert await database.write(claim) == []
        assert await database.read(jobs.next_due) is None

    run(migrated_url, scenario)


def test_no_lane_gets_more_than_its_room_and_the_oldest_go_first(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        await database.write(lambda tx: put(tx, "a", *range(10)))
        clock.now += 1
        await database.write(lambda tx: put(tx, "b", 10, 11))
        clock.now += 1
        await database.write(lambda tx: put(tx, "c", 12, 13, 14, 15))
        room = {"a": 3, "b": 0}
        first = await database.write(lambda tx: jobs.claim(tx, 100, room))
        assert numbers(first) == [0, 1, 2, 12, 13]  # of c nothing is known: it begins narrow
        assert numbers(await database.write(lambda tx: jobs.claim(tx, 1, {"a": 8}))) == [3]
        assert numbers(await database.write(lambda tx: jobs.claim(tx, 100, {"a": 0, "c": 0}))) == [10, 11]

    run(migrated_url, scenario)


def test_a_backlog_of_a_full_lane_does_not_hide_the_others(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        await database.write(lambda tx: put(tx, "dead", *range(3 * jobs.LOOK)))
        clock.now += 1
        await database.write(lambda tx: put(tx, "quick", 1000))
        assert numbers(await database.write(lambda tx: jobs.claim(tx, jobs.LOOK, {"dead": 0}))) == [1000]

    run(migrated_url, scenario)


def test_many_are_inserted_at_once(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        work = [("lane", {"n": number, "text": "ż\n"}) for number in range(120)]
        await database.write(lambda tx: jobs.enqueue_many(tx, "test", work, after=1))
        assert await database.write(lambda tx: jobs.claim(tx, 8, {"lane": 8})) == []
        clock.now += 1
        found = await database.write(lambda tx: jobs.claim(tx, 8, {"lane": 8}))
        assert numbers(found) == list(range(8))
        assert found[0].payload["text"] == "ż\n"

    run(migrated_url, scenario)


def test_a_waiting_job_can_be_hurried_but_not_one_that_is_in_hand(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        await database.write(lambda tx: put(tx, "a", 1, after=5))
        await database.write(lambda tx: put(tx, "b", 2))
        (running,) = await database.write(lambda tx: jobs.claim(tx, 8, {}))
        assert running.payload == {"n": 2}
        await database.write(lambda tx: jobs.hurry(tx, "other", [{"n": 1}]))
        assert await database.write(lambda tx: jobs.claim(tx, 8, {})) == []
        await database.write(lambda tx: jobs.hurry(tx, "test", [{"n": 1}, {"n": 2}, {"n": 3}]))
        assert numbers(await database.write(lambda tx: jobs.claim(tx, 8, {}))) == [1]

    run(migrated_url, scenario)


def test_two_workers_share_the_jobs(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        other = Database(migrated_url, clock=clock)
        try:
            await database.write(lambda tx: put(tx, "a", *range(60)))
            room = {"a": 8}
            found: list[int] = []
            while len(found) < 60:
                taken = await asyncio.gather(
                    *(one.write(lambda tx: jobs.claim(tx, 8, room)) for one in (database, other, database, other))
                )
                found += [number for part in taken for number in numbers(part)]
            assert sorted(found) == list(range(60))
        finally:
            await other.close()

    run(migrated_url, scenario)


def test_a_lane_widens_while_all_goes_well_and_shrinks_at_a_failure() -> None:
    lanes = Lanes()
    widths = []
    lanes.begin("a")  # one that stays, so that the lane is not forgotten
    for well in (True, True, True, True, None, False, None, True):
        lanes.begin("a")
        lanes.end("a", well)
        widths.append(lanes.room()["a"] + 1)
    assert widths == [4, 8, 8, 8, 8, 1, 1, 2]
    assert "b" not in lanes.room()


def test_an_idle_lane_is_forgotten_unless_it_went_badly() -> None:
    lanes = Lanes()
    for lane, well in (("good", True), ("bad", False), ("other", None)):
        lanes.begin(lane)
        lanes.end(lane, well)
    assert lanes.room() == {"bad": 1}
    for number in range(jobs.REMEMBERED + 1):
        lanes.begin(f"bad {number}")
        lanes.end(f"bad {number}", False)
    assert len(lanes.room()) <= jobs.REMEMBERED


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([True, False, None]))))
def test_what_runs_and_what_may_run_never_exceed_the_widest_lane(steps: list[tuple[str, bool | None]]) -> None:
    lanes, running = Lanes(), Counter[str]()
    for lane, well in steps:
        while lanes.room().get(lane, jobs.NARROW) > 0:
            lanes.begin(lane)
            running[lane] += 1
        assert 1 <= running[lane] <= jobs.WIDE
        lanes.end(lane, well)
        running[lane] -= 1
        assert all(0 <= room <= jobs.WIDE for room in lanes.room().values())


def test_the_loop_runs_jobs_and_keeps_what_has_to_come_again(migrated_url: str) -> None:
    """None: over. Seconds: again. An exception: again, later each time, and given up at last."""

    async def scenario(database: Database, clock: Clock) -> None:
        seen: asyncio.Queue[tuple[int, int]] = asyncio.Queue()

        async def runner(job: Job) -> float | None:
            seen.put_nowait((job.payload["n"], job.attempt))
            if job.payload["n"] == 2 and job.attempt == 1:
                return 30.0
            if job.payload["n"] == 3:
                raise LookupError("a defect")
            return jobs.GIVEN_UP if job.payload["n"] == 4 else None

        async def left(*expected: tuple[float, int, str]) -> None:
            """Wait until just these jobs are left: (seconds until due, attempts, error)."""
            sql = "SELECT due_at - ?, attempts, last_error FROM jobs ORDER BY job_id"

            def there(tx: Tx) -> bool:
                return [tuple(row) for row in tx.driver(sql, [clock.now]).fetchall()] == list(expected)

            await until(database, there)

        await database.write(lambda tx: [put(tx, f"lane {number}", number) for number in (1, 2, 3, 4)] and None)
        loop = JobLoop(database, {"test": runner})
        loop.start()
        assert {await seen.get() for _ in range(4)} == {(1, 1), (2, 1), (3, 1), (4, 1)}
        defect = "LookupError('a defect')"
        await left((30.0, 1, "tried again later"), (60.0, 1, defect))
        clock.now += 30
        await database.write(lambda tx: tx.wake("jobs"))
        assert await seen.get() == (2, 2)
        await left((30.0, 1, defect))
        text = "UPDATE jobs SET attempts = ?, due_at = 0"
        await database.write(lambda tx: tx.driver(text, [worker.MOST_ATTEMPTS - 1]) and tx.wake("jobs"))
        assert await seen.get() == (3, worker.MOST_ATTEMPTS)
        await left()
        await loop.stop()

    run(migrated_url, scenario)


def test_a_job_of_an_unknown_kind_waits_for_a_program_that_knows_it(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        await database.write(lambda tx: put(tx, "a", 1))
        loop = JobLoop(database, {})
        loop.start()
        sql = "SELECT due_at, last_error FROM jobs WHERE last_error IS NOT NULL"
        row = await until(database, lambda tx: tx.driver(sql).fetchone())
        assert row[0] == clock.now + 60
        assert "KeyError" in row[1]
        await loop.stop()

    run(migrated_url, scenario)


def test_what_is_under_way_at_the_end_comes_back_by_its_lease(migrated_url: str) -> None:
    async def scenario(database: Database, clock: Clock) -> None:
        begun = asyncio.Event()

        async def runner(job: Job) -> float | None:
            begun.set()
            await asyncio.Event().wait()
            return None

        await database.write(lambda tx: put(tx, "a", 1))
        loop = JobLoop(database, {"test": runner})
        loop.start()
        await begun.wait()
        await loop.stop(grace=0.01)
        clock.now += jobs.LEASE
        (job,) = await database.write(lambda tx: jobs.claim(tx, 1, {}))
        assert job.attempt == 2

    run(migrated_url, scenario)


def test_a_full_lane_does_not_hide_what_becomes_due_in_others(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its time, or since another process has put it in: nobody wakes the loop then."""
    monkeypatch.setattr(worker, "POLL", 0.01)

    async def scenario(database: Database, clock: Clock) -> None:
        begun: asyncio.Queue[int] = asyncio.Queue()
        may_end = asyncio.Event()

        async def runner(job: Job) -> float | None:
            begun.put_nowait(job.payload["n"])
            if job.lane == "full":
                await may_end.wait()
            return None

        await database.write(lambda tx: put(tx, "full", 1, 2, 3))
        await database.write(lambda tx: put(tx, "other", 4, after=60))
        loop = JobLoop(database, {"test": runner})
        loop.start()
        assert {await begun.get(), await begun.get()} == {1, 2}

        async def next_one() -> int:
            while begun.empty():
                clock.now += 1
                await asyncio.sleep(0.001)
            return begun.get_nowait()

        assert await next_one() == 4
        other = Database(database.address, clock=clock)
        await other.write(lambda tx: put(tx, "third", 5))
        await other.close()
        assert await next_one() == 5
        may_end.set()
        assert await begun.get() == 3
        await loop.stop()

    run(migrated_url, scenario)


def test_a_job_whose_lease_runs_out_in_our_hands_is_not_run_twice(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage, or with a long job. What it came to is written when the database is back."""
    monkeypatch.setattr(worker, "POLL", 0.01)
    monkeypatch.setattr("heliograph.db.database.AGAIN", (0.001,))

    async def scenario(database: Database, clock: Clock) -> None:
        begun: asyncio.Queue[int] = asyncio.Queue()
        may_end = asyncio.Event()

        async def runner(job: Job) -> float | None:
            begun.put_nowait(job.attempt)
            await may_end.wait()
            return None

        await database.write(lambda tx: put(tx, "a", 1))
        loop = JobLoop(database, {"test": runner})
        loop.start()
        assert await begun.get() == 1
        clock.now += jobs.LEASE
        await until(database, lambda tx: tx.driver("SELECT 1 FROM jobs WHERE attempts = 2").fetchone())
        refused: list[int] = []
        write = database.write

        def away(work: Any, **given: Any) -> Any:
            refused.append(1)
            raise Unavailable

        monkeypatch.setattr(database, "write", away)
        may_end.set()
        while len(refused) < 3:  # noqa: ASYNC110 - the double counts, and tells nobody
            await asyncio.sleep(0.001)
        monkeypatch.setattr(database, "write", write)
        await until(database, lambda tx: not tx.driver("SELECT 1 FROM jobs").fetchone())
        await loop.stop()
        assert begun.empty()

    run(migrated_url, scenario)


def test_the_next_process_on_sqlite_takes_up_at_once_what_a_lost_one_had_in_hand(migrated_url: str) -> None:
    """What waits for its time goes on waiting: a first time, or for another try. Elsewhere leases end."""

    async def scenario(database: Database, clock: Clock) -> None:
        alone = database.alone = database.dialect.on_loop
        await database.write(lambda tx: put(tx, "a", 1, 2))
        await database.write(lambda tx: put(tx, "b", 3, after=60))
        held, tried = await database.write(lambda tx: jobs.claim(tx, 8, {}))
        await database.write(lambda tx: jobs.again(tx, tried.job_id, 60, "why"))
        clock.now += 1
        loop = JobLoop(database, {})
        await loop.take_over()
        taken = await database.write(lambda tx: jobs.claim(tx, 8, {}))
        assert [(job.job_id, job.attempt) for job in taken] == ([(held.job_id, 2)] if alone else [])
        clock.now += 60
        assert numbers(await database.write(lambda tx: jobs.claim(tx, 8, {}))) == [2, 3]

    run(migrated_url, scenario)


@pytest.mark.parametrize(
    ("result", "well"), [(None, True), (0.0, None), (0.5, None), (1.0, False), (600.0, False), (jobs.GIVEN_UP, False)]
)
def test_what_a_result_tells_of_its_lane(result: Any, well: bool | None) -> None:
    assert worker._went_well(result) is well
