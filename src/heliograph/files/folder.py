"""Files in a local folder, named by their ids."""

import os
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO

PART = ".part"


class FolderStore:
    """Fulfils store.FileStore. Ids are ours, never a customer's text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, file_id: str) -> Path:
        return self._folder / file_id[:2] / file_id

    def put(self, file_id: str, content: BinaryIO) -> None:
        """Store a file whole; it is on disk when this returns."""
        path = self._path(file_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{file_id}.{uuid.uuid4().hex}{PART}")
        try:
            with part.open("xb") as file:
                shutil.copyfileobj(content, file, 2**20)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        _sync(path.parent)

    def read(self, file_id: str, start: int, length: int) -> bytes:
        """A piece of a file. Raises FileNotFoundError."""
        with self._path(file_id).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def remove(self, file_id: str) -> None:
        """Remove a file, with what a process that was killed has left of it; one that is gone already is no error."""
        path = self._path(file_id)
        for file in (path, *path.parent.glob(f"{file_id}.*{PART}")):
            file.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Write down a folder's entries: without that a new name may be lost with the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
