"""SQLite's log has its blocks before they are needed, and that loses nothing."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.db import logspace
from heliograph.db.database import Database
from heliograph.db.engine import Tx


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Iterator[Path]:
    copied = tmp_path / "heliograph.db"
    shutil.copyfile(sqlite_template, copied)
    yield copied
    with sqlite3.connect(copied) as last:
        assert last.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def put(tx: Tx, name: str) -> None:
    tx.driver("INSERT INTO epochs (name, value) VALUES (?, 1)", [name])


def names(tx: Tx) -> set[str]:
    return {row[0] for row in tx.driver("SELECT name FROM epochs").fetchall()}


async def opened(path: Path, megabytes: int = 2) -> Database:
    database = Database(f"sqlite:///{path}", log_space=megabytes)
    await database.read(names)  # a reader was there before
    return database


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def test_the_log_is_filled_once_and_used_from_its_beginning(path: Path) -> None:
    async def scenario() -> None:
        database = await opened(path)
        for number in range(20):
            await database.write(lambda tx, number=number: put(tx, f"n{number}"))  # type: ignore[misc]
        assert wal(path).stat().st_size == 2 * 2**20
        assert wal(path).read_bytes()[:3] == b"\x37\x7f\x06"
        assert len(await database.read(names)) == 20
        other = Database(f"sqlite:///{path}", log_space=3)
        await other.write(lambda tx: put(tx, "other"))
        assert wal(path).stat().st_size == 2 * 2**20
        assert len(await database.read(names)) == 21
        await other.close()
        await database.close()

    asyncio.run(scenario())
    assert not wal(path).exists()


@pytest.mark.parametrize("commits", [0, 3])
def test_what_is_left_of_a_killed_process_is_read(path: Path, tmp_path: Path, commits: int) -> None:
    copy = tmp_path / "copy.db"

    async def scenario() -> None:
        database = await opened(path)
        await database.write(lambda tx: None)
        for number in range(commits):
            await database.write(lambda tx, number=number: put(tx, f"n{number}"))  # type: ignore[misc]
        for end in ("", "-wal"):
            shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        await database.close()

    asyncio.run(scenario())
    with sqlite3.connect(copy) as found:
        assert len(found.execute("SELECT * FROM epochs").fetchall()) == commits


def test_a_log_that_others_have_begun_stays(path: Path) -> None:
    async def scenario() -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("INSERT INTO epochs (name, value) VALUES ('theirs', 1)")
        size = wal(path).stat().st_size
        database = await opened(path)
        await database.write(lambda tx: None)
        assert wal(path).stat().st_size == size
        assert await database.read(names) == {"theirs"}
        other.close()
        await database.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("why", ["no room", "the disk is full"])
def test_where_there_is_no_room_the_log_stays_empty(path: Path, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = os.write, []

    def full(descriptor: int, data: Any) -> int:
        if data is not logspace.PIECE:
            return write(descriptor, data)
        written.append(descriptor)
        return write(descriptor, data) if len(written) < 2 else write(descriptor, data[:100])

    if why == "no room":
        monkeypatch.setattr(logspace, "SPARE", 10**12)
    else:
        monkeypatch.setattr(os, "write", full)

    async def scenario() -> None:
        database = await opened(path)
        await database.write(lambda tx: None)
        assert wal(path).stat().st_size == 0
        await database.write(lambda tx: put(tx, "a"))
        assert await database.read(names) == {"a"}
        await database.close()

    with capture_logs() as logged:
        asyncio.run(scenario())
    assert [one["event"] for one in logged] == (["database.no_log_space"] if why == "the disk is full" else [])
