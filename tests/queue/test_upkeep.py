"""Duties that come round: all slices of each, and no failure of one ends the others."""

import asyncio

import pytest
from sqlalchemy import text

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.queue import upkeep
from heliograph.queue.upkeep import Upkeep
from support.clock import until


def test_every_slice_of_every_duty_is_done_again_and_again(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upkeep, "EVERY", 0.01)
    done: list[str] = []

    def sliced(tx: Tx) -> bool:
        done.append("sliced")
        return done.count("sliced") % 3 != 0

    def broken(tx: Tx) -> bool:
        done.append("broken")
        tx.execute(text("DELETE FROM no_such_table"))
        return True

    def last(tx: Tx) -> bool:
        done.append("last")
        return False

    async def scenario() -> None:
        database = Database(migrated_url)
        rounds = Upkeep(database, {"sliced": sliced, "broken": broken, "last": last})
        rounds.start()
        await until(database, lambda tx: done.count("last") >= 3)
        await rounds.stop()
        await rounds.stop()
        await database.close()

    asyncio.run(scenario())
    assert done[:10] == [*["sliced"] * 3, "broken", "last", *["sliced"] * 3, "broken", "last"]
    assert "upkeep.failed" in capsys.readouterr().err


def test_it_can_be_stopped_before_it_was_started(migrated_url: str) -> None:
    async def scenario() -> None:
        database = Database(migrated_url)
        await Upkeep(database, {}).stop()
        await database.close()

    asyncio.run(scenario())
