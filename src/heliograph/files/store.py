"""Files that customers upload and download: facts in a table, an unguessable name, bytes in a store."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from sqlalchemy import case, select

from heliograph.db.engine import Tx
from heliograph.db.tables import exports, files, uploads
from heliograph.queue import jobs
from heliograph.queue.jobs import Job

EXPORT_LIFE = 24 * 3600
FORGET_JOB = "forget-files"
PIECE = 1024 * 1024


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


def create(tx: Tx, user_id: int, name: str, content_type: str, life: int) -> str:
    """Record a file that is about to be stored, and lives `life` seconds; its id.

    The record comes first, so that what a crash leaves in the store is removed with it.
    """
    file_id = str(uuid.uuid4()).upper()
    tx.execute(
        files.insert().values(
            file_id=file_id,
            user_id=user_id,
            name=name,
            content_type=content_type,
            size=0,
            ready=0,
            created_at=tx.now,
            expires_at=tx.now + life,
        )
    )
    return file_id


def finish(tx: Tx, file_id: str, size: int) -> None:
    """The file is stored, and may be downloaded."""
    tx.execute(files.update().where(files.c.file_id == file_id).values(size=size, ready=1))


def find(tx: Tx, file_id: str) -> Mapping[str, Any] | None:
    """The facts of a file that has not expired. `ready` is 0 while it is being made."""
    return tx.row(select(files).where(files.c.file_id == file_id.upper(), files.c.expires_at > tx.now))


def id_of(url: str, base_url: str) -> str | None:
    """The id of the file that a link of this server leads to, or None for any other URL."""
    found = re.match(r"/files/([0-9A-Fa-f-]{36})(?:[.?#]|$)", url.removeprefix(base_url))
    return found.group(1).upper() if found and base_url else None


def keep(tx: Tx, file_id: str, until: int) -> None:
    """Let a file live at least until `until` (Unix time), because a message needs it. It never shortens a life.

    Whoever knows the id may: it is what allows the download, too.
    """
    longer = case((files.c.expires_at < until, until), else_=files.c.expires_at)
    tx.execute(files.update().where(files.c.file_id == file_id.upper()).values(expires_at=longer))


def upload(tx: Tx, user_id: int, file_id: str, target: str) -> int:
    """Record that a file came by upload; the upload's id."""
    made = uploads.insert().values(user_id=user_id, file_id=file_id, target=target)
    return int(tx.scalar(made.returning(uploads.c.upload_id)))


def expire(tx: Tx, limit: int = 100) -> bool:
    """Forget files whose time is over; whether there were any. A duty of the upkeep."""
    ids = [row[0] for row in tx.execute(select(files.c.file_id).where(files.c.expires_at <= tx.now).limit(limit))]
    discard(tx, ids)
    return bool(ids)


def discard(tx: Tx, ids: Sequence[str]) -> None:
    """Forget files now. A job removes the bytes after the commit."""
    if ids:
        for table in (files, uploads, exports):
            tx.execute(table.delete().where(table.c.file_id.in_(ids)))
        jobs.enqueue(tx, FORGET_JOB, {"ids": list(ids)})


def copy(store: FileStore, file_id: str, size: int, into: BinaryIO) -> None:
    """Copy a stored file of `size` bytes into a local one, in pieces. Blocks. Raises FileNotFoundError, OSError."""
    for start in range(0, size, PIECE):
        into.write(store.read(file_id, start, min(PIECE, size - start)))


def forget(store: FileStore, job: Job) -> None:
    """Remove the bytes of forgotten files (FORGET_JOB)."""
    for file_id in job.payload["ids"]:
        store.remove(file_id)


def safe_name(text: str, default: str) -> str:
    """A customer's file name without folders and without what headers cannot carry."""
    name = re.sub(r"[^\w .()-]", "_", text.replace("\\", "/").rsplit("/", 1)[-1], flags=re.ASCII).strip(" .")
    return name[:100] or default
