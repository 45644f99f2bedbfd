"""The log's disk is full when the database's is: what cannot be logged must not end the thread that writes."""

import asyncio
import errno
from typing import Any

import pytest

from heliograph.db import writer
from heliograph.db.database import Database
from heliograph.db.engine import Connector, Tx


class Full:
    """Standard error on a full disk."""

    def __getattr__(self, level: str) -> Any:
        def refused(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        return refused


def counted(tx: Tx) -> int:
    return int(tx.driver("SELECT COUNT(*) FROM messages").fetchone()[0])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.xfail(
    strict=True,
    raises=TimeoutError,
    reason="log.error raises OSError in the writer's thread, which ends: nothing is written or answered any more,"
    " /healthz says ok, and SIGTERM does not end the process",
)
def test_the_writer_outlives_a_log_that_cannot_be_written(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "log", Full())
    begin, failures = Connector.begin_write, [OSError(errno.ENOSPC, "No space left on device")]

    def begin_write(self: Connector) -> Tx:
        if failures:
            raise failures.pop()
        return begin(self)

    monkeypatch.setattr(Connector, "begin_write", begin_write)

    async def scenario() -> None:
        database = Database(migrated_url)
        try:
            async with asyncio.timeout(3):
                with pytest.raises(OSError, match="No space"):
                    await database.write(counted)
                assert await database.write(counted) == 0
        finally:
            await database.close()

    asyncio.run(scenario())
