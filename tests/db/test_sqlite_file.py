"""The file of an SQLite database is taken away, or cannot be written: nothing is called written that is not."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from heliograph.db import dialect
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import epochs
from heliograph.errors import DatabaseAway

MOST_LATE = 10.0
"""Seconds in which it has to be noticed: a tenth of one, nominally, and the rest for a busy machine."""


@pytest.fixture
def path(sqlite_template: Path, tmp_path: Path) -> Path:
    """In a folder of its own, which can be moved away."""
    folder = tmp_path / "data"
    folder.mkdir()
    return Path(shutil.copyfile(sqlite_template, folder / "heliograph.db"))


def put(tx: Tx, name: str) -> None:
    tx.execute(epochs.insert().values(name=name, value=1))


def names(tx: Tx) -> set[str]:
    return {row[0] for row in tx.driver("SELECT name FROM epochs").fetchall()}


def run(path: Path, scenario: Callable[[Database], Awaitable[None]]) -> None:
    async def whole() -> None:
        database = Database(f"sqlite:///{path}")
        try:
            async with asyncio.timeout(120):
                await database.write(lambda tx: put(tx, "first"))
                assert await database.read(names) == {"first"}
                await scenario(database)
        finally:
            await database.close()

    asyncio.run(whole())


async def until_refused(database: Database) -> DatabaseAway:
    """Write until it is refused."""
    began, number = time.monotonic(), 0
    while True:
        number += 1
        assert time.monotonic() < began + MOST_LATE, f"{number} writes went into nothing"
        try:
            await database.write(lambda tx, number=number: put(tx, f"into nothing {number} {began}"))
        except DatabaseAway as refused:
            return refused


async def until_ready(database: Database) -> None:
    async with asyncio.timeout(60):
        while not await database.ready():  # noqa: ASYNC110 - a database tells nobody that it is back
            await asyncio.sleep(0.05)


async def grow(database: Database) -> None:
    """Write until the file is another one than it was, and known as such."""
    file = database._file
    assert file is not None
    before = -1
    for number in range(10_000):
        rows = [f"{time.monotonic()} {number} {row} {'x' * 500}" for row in range(50)]
        await database.write(lambda tx, rows=rows: [put(tx, row) for row in rows])
        if file._growth > before >= 0:
            return
        if before < 0:
            before = file._growth
    raise AssertionError("the log is not copied to the file")


def delete(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def move_back(path: Path) -> None:
    path.with_name("elsewhere.db").rename(path)


def move_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def put_a_backup_there(path: Path) -> None:
    shutil.copyfile(path, path.with_name("backup.db"))
    path.with_name("backup.db").replace(path)


def begin_anew(path: Path) -> None:
    path.unlink()
    sqlite3.connect(path).close()
    path.touch()


def delete_the_log(path: Path) -> None:
    path.with_name("heliograph.db-wal").unlink()


def cut_the_log_off(path: Path) -> None:
    with path.with_name("heliograph.db-wal").open("r+b") as file:
        file.truncate(0)


@pytest.mark.parametrize(
    "damage",
    [delete, move, move_the_folder, put_a_backup_there, begin_anew, delete_the_log, cut_the_log_off],
    ids=lambda damage: damage.__name__,
)
def test_a_file_that_is_taken_away_is_noticed(path: Path, damage: Callable[[Path], None]) -> None:
    async def scenario(database: Database) -> None:
        with structlog.testing.capture_logs() as log:
            damage(path)
            refused = await until_refused(database)
            for _ in range(3):
                with pytest.raises(DatabaseAway):
                    await database.write(lambda tx: put(tx, "no"))
            assert not await database.ready()
        assert (refused.status, refused.headers) == (503, {"Retry-After": "5"})
        critical = [entry for entry in log if entry["log_level"] == "critical"]
        assert [entry["event"] for entry in critical] == ["database.gone"]
        assert "heliograph.db" in critical[0]["why"]

    run(path, scenario)


@pytest.mark.parametrize("damage", [delete, put_a_backup_there], ids=lambda damage: damage.__name__)
def test_it_is_noticed_while_nobody_writes(path: Path, damage: Callable[[Path], None]) -> None:
    async def scenario(database: Database) -> None:
        damage(path)
        async with asyncio.timeout(MOST_LATE):
            while await database.ready():  # noqa: ASYNC110 - as whoever polls /readyz
                await asyncio.sleep(0.02)

    run(path, scenario)


@pytest.mark.parametrize("how", ["an older one", "garbage", "nothing"])
def test_a_file_that_is_overwritten_in_its_place_is_noticed(path: Path, how: str) -> None:
    async def scenario(database: Database) -> None:
        older = await asyncio.to_thread(path.read_bytes)
        await grow(database)
        octets = {"an older one": older, "garbage": b"garbage " * 100_000, "nothing": b""}[how]
        await asyncio.to_thread(path.write_bytes, octets)
        await until_refused(database)
        assert not await database.ready()

    run(path, scenario)


def test_what_is_moved_back_is_used_again(path: Path) -> None:
    async def scenario(database: Database) -> None:
        move(path)
        await until_refused(database)
        move_back(path)
        await until_ready(database)
        await database.write(lambda tx: put(tx, "after"))
        assert {"first", "after"} <= await database.read(names)

    run(path, scenario)


def test_a_command_beside_the_server_disturbs_nothing(path: Path) -> None:
    """Another process opens the file, writes, copies the log and closes it again."""

    async def scenario(database: Database) -> None:
        for number in range(3):
            with closing(sqlite3.connect(path)) as beside:
                beside.execute("INSERT INTO epochs (name, value) VALUES (?, 1)", [f"beside {number}"])
                beside.commit()
                beside.execute(f"PRAGMA wal_checkpoint({('PASSIVE', 'RESTART', 'TRUNCATE')[number]})")
                beside.execute("DELETE FROM epochs WHERE name LIKE '%xxx'")
                beside.commit()
                beside.execute("VACUUM")
            await grow(database)
            assert await database.ready()
        other = Database(f"sqlite:///{path}")
        await other.write(lambda tx: put(tx, "other"))
        await other.close()
        await database.write(lambda tx: put(tx, "last"))
        assert {"beside 0", "beside 1", "beside 2", "other", "last"} <= await database.read(names)

    run(path, scenario)


def test_a_writer_that_was_alone_may_begin_a_new_log(path: Path) -> None:
    """SQLite removes the log with the last connection; that is no theft."""

    async def scenario() -> None:
        for number in range(3):
            database = Database(f"sqlite:///{path}")
            await database.write(lambda tx, number=number: put(tx, f"{number}"))
            await asyncio.to_thread(database._connector.reset)
            await database.write(lambda tx, number=number: put(tx, f"{number} again"))
            assert await database.ready()
            await database.close()

    asyncio.run(scenario())


def test_a_file_that_another_process_holds_is_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it does. Reading goes on."""
    arguments = {"check_same_thread": False, "timeout": 0.2}
    monkeypatch.setattr(dialect.Dialect, "connect_args", lambda self, url, readonly: arguments)

    async def scenario(database: Database) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(
                database.write(lambda tx: put(tx, "no")), database.read(names), return_exceptions=True
            )
            assert isinstance(answers[0], DatabaseAway)
            assert answers[1] == {"first"}
            assert not await database.ready()
            other.execute("ROLLBACK")
        await until_ready(database)
        await database.write(lambda tx: put(tx, "after"))

    run(path, scenario)


@pytest.mark.parametrize("pieces", [1, 5])
def test_a_full_disk_is_away_until_there_is_room(path: Path, pieces: int) -> None:
    """SQLite ends the transaction itself then, and every piece in it is refused."""

    async def scenario(database: Database) -> None:
        began, go = threading.Event(), threading.Event()
        limit = database.write(lambda tx: (tx.driver("PRAGMA max_page_count = 1"), began.set(), go.wait(10)))
        await asyncio.to_thread(began.wait, 10)
        large = [
            database.write(lambda tx, n=n: [put(tx, f"{n} {row} {'x' * 5000}") for row in range(500)])
            for n in range(pieces)
        ]
        go.set()
        await limit
        refused = await asyncio.gather(*large, return_exceptions=True)
        assert {type(one) for one in refused} <= {DatabaseAway, type(None), list}
        await until_ready(database)
        await database.write(lambda tx: put(tx, "after"))
        assert "after" in await database.read(names)

    run(path, scenario)


def test_a_request_that_has_waited_for_too_long_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the writer is busy, and not run when it is free again. Background work waits."""
    monkeypatch.setattr("heliograph.db.writer.DEADLINE", 0.5)

    async def scenario(database: Database) -> None:
        began, go = threading.Event(), threading.Event()
        holding = database.write(lambda tx: (began.set(), go.wait(60)), slow=True)
        await asyncio.to_thread(began.wait, 10)
        late = [database.write(lambda tx: put(tx, "late")), database.write_merged(lambda tx, items: items, "late")]
        calm = database.write(lambda tx: put(tx, "calm"), urgent=False)
        refused = await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), 30)
        assert {type(one) for one in refused} == {DatabaseAway}
        assert not calm.done()
        go.set()
        await asyncio.gather(holding, calm)
        await database.write(lambda tx: put(tx, "in time"))
        assert await database.read(names) == {"first", "calm", "in time"}

    run(path, scenario)


def test_a_reader_that_has_waited_for_too_long_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.db.database.DEADLINE", 0.2)

    async def scenario() -> None:
        database = Database(f"sqlite:///{path}", readers=1)
        slow = database.read(lambda tx: time.sleep(0.6))
        with pytest.raises(DatabaseAway):
            await database.read(names)
        await slow
        await database.close()

    asyncio.run(scenario())


def test_a_commit_is_on_the_disk(path: Path) -> None:
    """FULL, which is 2. In a process of its own, since this one does without (conftest.py)."""
    program = (
        "import sys; from heliograph.db.engine import Connector; print(Connector(sys.argv[1]).run(sys.argv[2])[0])"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{path}", "PRAGMA synchronous"]
    assert subprocess.check_output(command, text=True) == "2\n"
