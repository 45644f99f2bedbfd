"""Which process works on an SQLite database. It can be one only, and commands and a second server find out which.

The lock is the kernel's, on a file beside the database, so that it ends with its process, however that ends. What
stands in the file is for people: it may be of a process that is gone.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from heliograph.db import dialect

LOOK = 0.2
"""Seconds that somebody who only looks may have the lock."""


class Holder(msgspec.Struct, frozen=True):
    """A process that works on the database: its id (0: it has not said yet) and where it answers HTTP, if it does."""

    pid: int = 0
    url: str = ""

    def __str__(self) -> str:
        return (f"process {self.pid}" if self.pid else "another process") + (f" ({self.url})" if self.url else "")


class Taken(Exception):
    """Another process works on the database already."""

    def __init__(self, database: str, holder: Holder) -> None:
        path = dialect.path_of(database)
        super().__init__(
            f"{path} is in use by {holder}. SQLite is made for one server: stop it, or take another folder."
        )


def find(database: str) -> Holder | None:
    """Who works on the database at this URL; None for nobody, and on PostgreSQL, where many may. Raises OSError."""
    path = _beside(database)
    if path is None or not path.exists():
        return None
    with path.open("rb") as file:
        return None if _locked(file.fileno(), fcntl.LOCK_SH) else _told(file.read())


@contextmanager
def held(database: str, url: str) -> Iterator[None]:
    """Work on the database at this URL alone; nothing on PostgreSQL. Raises Taken, OSError."""
    path = _beside(database)
    if path is None:
        yield
        return
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        end = time.monotonic() + LOOK
        while not _locked(file.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise Taken(database, _told(file.read()))
            time.sleep(LOOK / 10)
        file.truncate(0)
        file.write(msgspec.json.encode(Holder(os.getpid(), url)))
        file.flush()
        yield


def _beside(database: str) -> Path | None:
    """The file that is locked: one for each database, by whatever name it is reached."""
    path = dialect.path_of(database)
    return Path(os.path.realpath(path) + "-server") if path else None


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _told(content: bytes) -> Holder:
    try:
        return msgspec.json.decode(content, type=Holder)
    except msgspec.DecodeError:
        return Holder()
