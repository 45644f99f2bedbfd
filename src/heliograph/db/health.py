"""What is known of the database: whether it could be reached and written when that was tried last."""

import sqlite3
import sys
import threading
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from heliograph.db.file import File
from heliograph.errors import DatabaseAway

PAUSE = 1.0
"""Seconds after a vain attempt to reach the database in which nobody tries again: whoever waits is refused at once, and
not one after the other when each has waited for a server that is gone.
"""

log = structlog.get_logger(__name__)


def errors() -> tuple[type[BaseException], ...]:
    """What the drivers raise, by themselves and through SQLAlchemy. One that was never imported raises nothing."""
    psycopg = sys.modules.get("psycopg")
    return (SQLAlchemyError, sqlite3.Error, *((psycopg.Error,) if psycopg else ()))


def reason(problem: BaseException) -> str:
    """What a driver says, without SQLAlchemy's words around it and without the statement."""
    said = str(getattr(problem, "orig", None) or problem).strip() or type(problem).__name__
    return said.splitlines()[0].rstrip(".")


class Health:
    """Shared by the connections of a process. `writes`: whether writing works, as was seen last.

    `proved_at` is when that was proved, by `time.monotonic`.
    """

    def __init__(self, file: File | None = None) -> None:
        self.file = file
        self.writes = True
        self.proved_at = float("-inf")
        self._closed_until = float("-inf")
        self._why = ""
        self._open = 0
        self._lock = threading.Lock()

    def may_open(self) -> None:
        """Raises DatabaseAway when an attempt to reach the database would be in vain."""
        if monotonic() < self._closed_until:
            raise DatabaseAway(self._why)
        if self.file is not None:
            self.file.look()

    def opened(self) -> None:
        """Note a new connection."""
        with self._lock:
            self._open += 1

    def closed(self) -> None:
        """Note that one is no more."""
        with self._lock:
            self._open -= 1
            if not self._open and self.file is not None:
                self.file.forget_log()

    def unreachable(self, why: str) -> DatabaseAway:
        """Note that an attempt was in vain; the error that the callers get."""
        self._closed_until, self._why = monotonic() + PAUSE, why
        return DatabaseAway(why)

    def written(self) -> None:
        """After a commit: raises DatabaseAway when the file that it went into is not the database any more."""
        if self.file is not None and (now := monotonic()) >= self.file.next_look:
            self.file.look_after_commit(now)

    def works(self) -> None:
        """Note that something was written, and not only a transaction ended in which nothing was."""
        self.proved_at = monotonic()
        if not self.writes:
            self.writes = True
            log.info("database.back")

    def failed(self, why: str) -> None:
        """Note that something could not be written."""
        self.proved_at = monotonic()
        if self.writes:
            self.writes = False
            log.error("database.away", why=why)
