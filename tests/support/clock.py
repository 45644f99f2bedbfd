"""A clock that only the test moves, waiting for what a background loop will have written, and the months of times."""

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

from heliograph.db.database import Database
from heliograph.db.engine import Tx


class Clock:
    """Unix time in seconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def until(database: Database, what: Callable[[Tx], Any], seconds: float = 30.0) -> Any:
    """Ask again until the answer is true."""
    async with asyncio.timeout(seconds):
        while not (found := await database.read(what)):  # noqa: ASYNC110 - a database tells nobody what it got
            await asyncio.sleep(0.005)
    return found


def usage_path(date: float) -> str:
    """The path of the usage of the month of this Unix time: a test may begin in one month and end in the next."""
    day = datetime.datetime.fromtimestamp(date, datetime.UTC)
    return f"/account/usage/{day.year}/{day.month}/subaccount"
