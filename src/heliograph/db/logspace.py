"""Room for SQLite's log, taken before it is needed.

A commit that makes the file longer has the disk write where the file lies as well as what is in it. In blocks that
exist already, a commit by itself takes about a quarter less time (docs/performance.md).
"""

import os
import shutil

import structlog
from sqlalchemy import Connection

from heliograph.db.dialect import Dialect

PIECE = bytes(1024 * 1024)
SPARE = 4
"""The disk must have this many times as much room, or nothing is taken."""

log = structlog.get_logger(__name__)


def take(connection: Connection, dialect: Dialect, path: str, megabytes: int) -> None:
    """Fill the log of the database at `path` with zeros, if it is empty: SQLite begins it anew then.

    Source: SQLite file format, 4.1: a log without a valid header has nothing in it. Nobody writes meanwhile, in this
    process or another. Where there is no room, the log stays as it is. Raises what the database raises.
    """
    name = os.path.realpath(path) + "-wal"
    connection.exec_driver_sql(dialect.begin_write)
    try:
        with open(name, "r+b", buffering=0) as file:  # SQLite has no locks on it that closing it would end
            if os.fstat(file.fileno()).st_size or shutil.disk_usage(name).free < SPARE * megabytes * len(PIECE):
                return
            _fill(file.fileno(), megabytes)
    except OSError as problem:
        log.warning("database.no_log_space", megabytes=megabytes, why=str(problem))
    finally:
        connection.exec_driver_sql("ROLLBACK")


def _fill(descriptor: int, megabytes: int) -> None:
    """Zeros, and no hole: the file system must have given the blocks. Raises OSError, and the file is empty then."""
    try:
        for _ in range(megabytes):
            if os.write(descriptor, PIECE) < len(PIECE):
                raise OSError("the disk took a part only")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, 0)
        raise
