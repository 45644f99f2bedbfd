"""Files that customers download: bytes in a folder, facts in a table, an unguessable name."""

import os
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from heliograph.db.engine import Tx
from heliograph.db.tables import files

EXPORT_LIFE = 24 * 3600


class FileStore:
    """A folder of files named by their id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, file_id: str) -> Path:
        """Where a file lies. Ids are ours, never a customer's text."""
        return self._folder / file_id[:2] / file_id

    def write(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Store the pieces under a new id; (id, size). The file is on disk when this returns."""
        file_id = str(uuid.uuid4()).upper()
        path = self.path(file_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as out:
            for piece in pieces:
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
            size = out.tell()
        part.rename(path)
        return file_id, size

    def remove(self, file_id: str) -> None:
        """Remove a file; one that is gone already is no error."""
        self.path(file_id).unlink(missing_ok=True)


def register(tx: Tx, user_id: int, file_id: str, name: str, content_type: str, size: int, life: int) -> None:
    """Record a stored file that lives `life` seconds."""
    tx.execute(
        files.insert().values(
            file_id=file_id,
            user_id=user_id,
            name=name,
            content_type=content_type,
            size=size,
            created_at=tx.now,
            expires_at=tx.now + life,
        )
    )


def find(tx: Tx, file_id: str) -> Mapping[str, Any] | None:
    """The facts of a file that has not expired."""
    return tx.row(select(files).where(files.c.file_id == file_id.upper(), files.c.expires_at > tx.now))


def expired(tx: Tx, limit: int = 100) -> list[str]:
    """Forget files whose time is over; their ids, for the caller to remove from the folder after the commit."""
    ids = [row[0] for row in tx.execute(select(files.c.file_id).where(files.c.expires_at <= tx.now).limit(limit))]
    tx.driver_in("DELETE FROM files WHERE file_id IN ({})", [], ids)
    return ids


def safe_name(text: str, default: str) -> str:
    """A customer's file name without folders and without what headers cannot carry."""
    name = re.sub(r"[^\w .()-]", "_", text.replace("\\", "/").rsplit("/", 1)[-1], flags=re.ASCII).strip(" .")
    return name[:100] or default
