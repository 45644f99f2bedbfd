"""Files that customers upload and download: a row in a table, an id that cannot be guessed, bytes in a store."""

import asyncio
import io
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import structlog
from sqlalchemy import case, select

from heliograph.clock import DAY
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import exports, files, shrunk, uploads, users
from heliograph.errors import Unavailable
from heliograph.files.task import Refused
from heliograph.queue import jobs
from heliograph.queue.jobs import Job

EXPORT_LIFE = DAY
FORGET_JOB = "forget-files"
PIECE = 1024 * 1024
AWAY = 60.0
"""Seconds after which a job looks again whether the store is back."""

STORED = "stored bytes"
"""Name of the counter that holds the bytes of an account's files."""

log = structlog.get_logger(__name__)
_OWN = re.compile(r"(?:/files/)?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?:\.\w{1,10})?")


class FileStore(Protocol):
    """Where the bytes are. The calls block: run them in a thread, never while a transaction is open.

    All raise OSError when the store is away.
    """

    def put(self, file_id: str, content: BinaryIO) -> None:
        """Store a file whole; it is safe when this returns."""

    def read(self, file_id: str, start: int, length: int) -> bytes:
        """A piece of a file, shorter at its end. Raises FileNotFoundError."""
        ...

    def remove(self, file_id: str) -> None:
        """Remove a file; one that is gone already is no error."""


class Full(Refused):
    """The account has no room for a file. The text is a sentence for the customer."""


def create(
    tx: Tx, user_id: int, name: str, content_type: str, life: int, *, size: int = 0, quota: int | None = None
) -> str:
    """Record a file that is about to be stored, and lives `life` seconds; its id.

    The record comes first, so that what a crash leaves in the store is removed with it. It takes the `size` bytes that
    are known already; with a `quota`, as many must be left of it, or this raises Full. What is over makes room.
    """
    taken = _take(tx, user_id, size)
    if quota is not None and taken > quota:
        over = select(files.c.file_id).where(files.c.expires_at <= tx.now, files.c.user_id == user_id)
        discard(tx, [row[0] for row in tx.execute(over)])
        taken = _take(tx, user_id, 0)
        if taken > quota:
            raise Full(
                f"There is no room for this file of {size:,} bytes: the account's files may have {quota:,} bytes"
                f" together, and those that have not expired have {taken - size:,}."
            )
    file_id = str(uuid.uuid4()).upper()
    tx.execute(
        files.insert().values(
            file_id=file_id,
            user_id=user_id,
            name=name,
            content_type=content_type,
            size=size,
            ready=0,
            created_at=tx.now,
            expires_at=tx.now + life,
        )
    )
    return file_id


def _take(tx: Tx, user_id: int, more: int) -> int:
    """Add to the bytes that an account has stored (or give some back); how many there are then.

    Whoever changes what is stored asks here first, with 0 if need be: from then on the account's count is locked until
    the commit, and so the sum of the sizes cannot change in between. It is made at the first call.
    """
    change = "UPDATE counters SET count = count + ? WHERE user_id = ? AND name = ? RETURNING count"
    row = tx.driver(change, [more, user_id, STORED]).fetchone()
    if row is None:
        sql = (
            "INSERT INTO counters (user_id, name, count, read_through, last_date)"
            " SELECT ?, ?, COALESCE(SUM(size), 0), 0, ? FROM files WHERE user_id = ?"
            " ON CONFLICT (user_id, name) DO NOTHING"
        )
        tx.driver(sql, [user_id, STORED, tx.now, user_id])
        row = tx.driver(change, [more, user_id, STORED]).fetchone()
    return int(row[0])


def finish(tx: Tx, file_id: str, size: int) -> None:
    """The file is stored, and may be downloaded. What was forgotten meanwhile is removed again."""
    mine = files.c.file_id == file_id
    user_id = tx.scalar(select(files.c.user_id).where(mine))
    if user_id is not None:
        _take(tx, user_id, 0)
        before = tx.scalar(select(files.c.size).where(mine))
        if before is not None:
            tx.execute(files.update().where(mine).values(size=size, ready=1))
            _take(tx, user_id, size - before)
            return
    jobs.enqueue(tx, FORGET_JOB, {"ids": [file_id]})


async def save(database: Database, store: FileStore, data: bytes, record: Callable[[Tx], str]) -> str:
    """Store a new file, whose record `record` makes; its id. Raises Unavailable when the store is away or full.

    And whatever `record` raises.
    """
    file_id = await database.write(record)
    try:
        await asyncio.to_thread(store.put, file_id, io.BytesIO(data))
    except OSError as problem:
        await database.write(lambda tx: discard(tx, [file_id]))
        raise away(problem) from None
    await database.write(lambda tx: finish(tx, file_id, len(data)))
    return file_id


def away(problem: OSError) -> Unavailable:
    """The error for a caller while the store is away; the reason is in the log, for the operator."""
    log.error("store.away", why=str(problem))
    return Unavailable("Files cannot be stored or read at the moment. Please try again.", headers={"Retry-After": "10"})


def find(tx: Tx, file_id: str) -> Mapping[str, Any] | None:
    """The facts of a file that has not expired. `ready` is 0 while it is being made."""
    return tx.row(select(files).where(files.c.file_id == file_id.upper(), files.c.expires_at > tx.now))


def named(url: str, base_url: str) -> str | None:
    """The id of our file that a link, or the bare `file_name` of an upload, means; None for any other URL."""
    path = urlsplit(url).path if url.lower().startswith(base_url.lower() + "/files/") else url
    found = _OWN.fullmatch(path)
    return found[1].upper() if found else None


def keep(tx: Tx, user_id: int, file_id: str, until: int) -> bool:
    """Keep an account's file at least until `until` (Unix time), because a message needs it; False: it is gone.

    It never makes a file expire earlier.
    """
    longer = case((files.c.expires_at < until, until), else_=files.c.expires_at)
    mine = (files.c.file_id == file_id, files.c.user_id == user_id, files.c.ready == 1, files.c.expires_at > tx.now)
    return bool(tx.execute(files.update().where(*mine).values(expires_at=longer)).rowcount)


def upload(tx: Tx, user_id: int, file_id: str, target: str, pages: int) -> int:
    """Record what a file was made for, and how many pages it has (0: none); the upload's id."""
    made = uploads.insert().values(user_id=user_id, file_id=file_id, target=target, pages=pages)
    return int(tx.scalar(made.returning(uploads.c.upload_id)))


def country(tx: Tx, user_id: int) -> str:
    """The country (ISO alpha-2) of an account, which tells how its texts are written; empty when there is none."""
    return str(tx.scalar(select(users.c.default_country_sms).where(users.c.user_id == user_id)) or "")


def uploaded(tx: Tx, user_id: int, file_id: str) -> Mapping[str, Any] | None:
    """An account's file that can be read, with `upload_id`, `target` and `pages`: None when it is no upload."""
    row = find(tx, file_id)
    if row is None or not row["ready"] or row["user_id"] != user_id:
        return None
    made = tx.row(select(uploads).where(uploads.c.file_id == row["file_id"]))
    return {**row, **(made or dict.fromkeys(("upload_id", "target", "pages")))}


def expire(tx: Tx, limit: int = 100) -> bool:
    """Forget files whose time is over; whether there were any. A duty of the upkeep."""
    ids = [row[0] for row in tx.execute(select(files.c.file_id).where(files.c.expires_at <= tx.now).limit(limit))]
    discard(tx, ids)
    return bool(ids)


def discard(tx: Tx, ids: Sequence[str]) -> None:
    """Forget files now, whose bytes are free again. A job removes them after the commit."""
    if not ids:
        return
    owners = sorted({row[0] for row in tx.execute(select(files.c.user_id).where(files.c.file_id.in_(ids)))})
    for user_id in owners:
        _take(tx, user_id, 0)
    freed = dict.fromkeys(owners, 0)
    gone = files.delete().where(files.c.file_id.in_(ids)).returning(files.c.user_id, files.c.size)
    for row in tx.rows(gone):
        freed[row["user_id"]] += row["size"]
    for user_id, size in freed.items():
        _take(tx, user_id, -size)
    for table in (uploads, exports, shrunk):
        tx.execute(table.delete().where(table.c.file_id.in_(ids)))
    jobs.enqueue(tx, FORGET_JOB, {"ids": list(ids)})


def copy(store: FileStore, file_id: str, size: int, into: BinaryIO) -> None:
    """Copy a stored file of `size` bytes into a local one, in pieces. Blocks. Raises FileNotFoundError, OSError."""
    for start in range(0, size, PIECE):
        into.write(store.read(file_id, start, min(PIECE, size - start)))


def forget(store: FileStore, job: Job) -> float | None:
    """Remove the bytes of forgotten files (FORGET_JOB)."""
    try:
        for file_id in job.payload["ids"]:
            store.remove(file_id)
    except OSError as problem:
        log.warning("store.away", why=str(problem))
        return AWAY
    return None


def safe_name(text: str, default: str) -> str:
    """A customer's file name without folders and without what headers cannot carry."""
    name = re.sub(r"[^\w .()-]", "_", text.replace("\\", "/").rsplit("/", 1)[-1], flags=re.ASCII).strip(" .")
    return name[:100] or default
