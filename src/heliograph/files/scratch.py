"""Where a process works on files: a folder of its own, which a later process removes if this one was killed."""

import fcntl
import os
import shutil
import tempfile
import threading
from pathlib import Path

PREFIX = "heliograph-work-"


class Scratch:
    """A folder for temporary files, made at the first use. Safe to share between threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._folder: Path | None = None
        self._lock = -1

    def folder(self) -> Path:
        """The folder. What killed processes have left behind is removed when it is made."""
        with self._guard:
            if self._folder is None:
                _sweep(Path(tempfile.gettempdir()))
                self._folder, self._lock = _make()
            return self._folder

    def place(self) -> tempfile.TemporaryDirectory[str]:
        """A folder within it for one piece of work; it is removed when the `with` ends."""
        return tempfile.TemporaryDirectory(dir=self.folder(), ignore_cleanup_errors=True)

    def close(self) -> None:
        """Remove the folder and everything in it."""
        with self._guard:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                os.close(self._lock)
                self._folder = None


def _make() -> tuple[Path, int]:
    """A new folder and its lock. The kernel releases the lock however the process ends, so a lock means: it lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _open(folder)
        if lock is None:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)  # another process has removed it before it was locked


def _sweep(parent: Path) -> None:
    """Remove the folders whose processes are gone."""
    for folder in parent.glob(PREFIX + "*"):
        lock = _open(folder)
        if lock is None:
            continue
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # its process lives
        finally:
            os.close(lock)


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
