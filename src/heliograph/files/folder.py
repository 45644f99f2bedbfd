"""Files in a local folder, named by their ids."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO


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
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
            shutil.copyfileobj(content, part, 2**20)
            part.flush()
            os.fsync(part.fileno())
        Path(part.name).rename(path)

    def read(self, file_id: str, start: int, length: int) -> bytes:
        """A piece of a file. Raises FileNotFoundError."""
        with self._path(file_id).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def remove(self, file_id: str) -> None:
        """Remove a file; one that is gone already is no error."""
        self._path(file_id).unlink(missing_ok=True)
