"""Several processes measure by one clock, the PostgreSQL server's; with SQLite the machine's is the only one."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from heliograph import doctor
from heliograph.db.database import Database
from heliograph.db.engine import Connector, Tx
from heliograph.db.servertime import ServerTime
from heliograph.queue import claim, jobs
from support import postgres

machine = time.time


@contextmanager
def machine_clock(ahead: float) -> Iterator[None]:
    """The machine's clock is some seconds ahead; its monotonic one does not care."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: machine() + ahead)
        yield


@pytest.fixture
def url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    with postgres.database(postgres_url, postgres_template) as made:
        yield made


@pytest.mark.parametrize("ahead", [180.0, -180.0, 100 * 86400.0])
def test_a_wrong_clock_takes_no_lease_from_another_process(url: str, ahead: float) -> None:
    """Neither messages nor jobs, and what it claims itself is not held for longer, or shorter, than others are."""

    def fill(tx: Tx) -> None:
        claim.enqueue(tx, "sms", [(claim.SINGLE, tx.clock, 1, f"M{number}") for number in range(2)])
        for number in range(2):
            jobs.enqueue(tx, "test", {"n": number})

    def take(tx: Tx) -> tuple[int, int]:
        return len(claim.claim(tx, "sms", 1, 120.0)), len(jobs.claim(tx, 1, {}))

    async def scenario() -> None:
        right = Database(url)
        await right.write(fill)
        assert await right.write(take) == (1, 1)
        with machine_clock(ahead):
            wrong = Database(url)
            assert await wrong.write(take) == (1, 1), "what nobody has is for everybody"
            assert await wrong.write(take) == (0, 0)
            assert abs(wrong.clock() - machine()) < 2
            assert await wrong.read(lambda tx: claim.next_due(tx, "sms")) < machine() + 122
            due = await wrong.write(lambda tx: tx.driver("SELECT MIN(due_at), MAX(due_at) FROM jobs").fetchone())
            await wrong.close()
        assert machine() + 60 < due[0] <= due[1] < machine() + 122
        await right.close()

    asyncio.run(scenario())


def test_a_clock_that_jumps_while_running_changes_nothing(url: str) -> None:
    async def scenario() -> None:
        database = Database(url)
        times = []
        for ahead in (0.0, 100 * 86400.0, -3600.0, 0.0):
            with machine_clock(ahead):
                times.append(await database.write(lambda tx: tx.clock))
                times.append(await database.read(lambda tx: tx.clock))
                times.append(database.clock())
        assert max(times) - min(times) < 30
        assert abs(times[-1] - machine()) < 2
        await database.close()

    asyncio.run(scenario())


def test_sqlite_has_the_clock_of_the_machine(sqlite_template: Path) -> None:
    for ahead in (0.0, 500.0):
        with machine_clock(ahead):
            connector = Connector(f"sqlite:///{sqlite_template}", readonly=True)
            tx = connector.begin_read()
            assert abs(tx.clock - machine() - ahead) < 2
            connector.end_read(tx)
            connector.close()


def test_a_clock_that_is_given_is_the_one(url: str) -> None:
    connector = Connector(url, lambda: 1000.5)
    tx = connector.begin_write()
    assert (tx.clock, tx.now) == (1000.5, 1000)
    connector.close()


class Wire:
    """A server whose clock is `ahead`, and whose answers take some time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic, self.wall, self.ahead, self.trip = 1000.0, 50_000.0, 0.0, 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)
        monkeypatch.setattr(time, "time", lambda: self.wall)

    def __call__(self) -> float:
        self.pass_time(self.trip / 2)
        said = self.wall + self.ahead
        self.pass_time(self.trip / 2)
        return said

    def pass_time(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


def test_a_measurement_is_as_exact_as_its_round_trip_and_does_not_tremble(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch)
    clock = ServerTime()
    assert clock() == 50_000, "nothing better is known"
    wire.ahead, wire.trip = 7.0, 0.25
    clock.measure(wire)
    first = clock() - wire.wall
    assert abs(first - 7) <= 0.125
    wire.trip = 3.0
    clock.measure(wire)
    assert clock() - wire.wall == pytest.approx(first), "the longer trip tells nothing new"
    wire.ahead = -20.0
    clock.measure(wire)
    assert abs(clock() - wire.wall + 20) <= 1.5


def test_it_is_measured_again_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every few seconds, and at once when the machine has slept or its clock was set."""
    wire = Wire(monkeypatch)
    clock = ServerTime()
    assert clock.is_old()
    clock.measure(wire)
    assert not clock.is_old()
    wire.pass_time(4)
    assert not clock.is_old()
    wire.pass_time(2)
    assert clock.is_old()
    clock.measure(wire)
    wire.wall += 3600
    assert clock.is_old()


@pytest.mark.parametrize(("ahead", "fine"), [(0.0, True), (1.0, True), (180.0, False), (-3.5, False)])
def test_the_doctor_tells_of_a_clock_that_differs(url: str, ahead: float, fine: bool) -> None:
    with machine_clock(ahead):
        (found,) = [one for one in doctor._database(url) if one.what == "clock"]
    assert found.fine is fine
    assert fine or f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'}" in found.detail
