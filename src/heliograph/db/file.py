"""The file of an SQLite database: whether what this process has opened is still what lies in its place.

SQLite does not notice when its file is deleted, moved or overwritten: it goes on with what it has opened, and whatever
it commits is gone with the process.
"""

import os
import threading

import structlog

from heliograph.errors import DatabaseAway

LOOK = 0.05
"""Seconds between two looks at the folder. Each costs two system calls, so not every commit can have its own."""

MAGIC = b"SQLite format 3\0"
CHANGES = slice(24, 28)
"""Where the header of 100 octets counts changes (SQLite file format, section 1.3.5). The number only grows."""

log = structlog.get_logger(__name__)
_lock = threading.Lock()
_held: dict[tuple[int, int], tuple[int, int]] = {}
"""(device, inode) -> (descriptor, how many use it)."""

Inode = tuple[int, int]


class File:
    """To be made before SQLite opens the file, and closed after it is closed there. `gone` says what became of it."""

    def __init__(self, path: str) -> None:
        self.gone = ""
        self._path = path
        self._log = os.path.realpath(path) + "-wal"
        self._inode = _inode(_stat(path))
        self._log_inode: Inode | None = None
        self._log_size = 0
        self._descriptor = -1 if self._inode is None else _hold(path, self._inode)
        self._changes = -1
        self._overwritten = False
        self.next_look = 0.0

    def look_after_commit(self, now: float) -> None:
        """The same as `look`. To be called when `next_look` has come, at the time `now` of `time.monotonic`."""
        self.next_look = now + LOOK
        if self._log_inode is None:  # only now it is sure that the log is the one that our connection writes
            self._log_inode = _inode(_stat(self._log))
        self.look()

    def look(self) -> None:
        """Raises DatabaseAway when another file lies in the place, or none."""
        why = self._strange()
        if why and not self.gone:
            log.critical("database.gone", why=why, what_now="Nothing is written until the process is started again.")
        self.gone = why
        if why:
            raise DatabaseAway(why)

    def look_inside(self) -> None:
        """The same as `look`, and sees also what somebody else has written into the file."""
        if self._descriptor >= 0:
            header = os.pread(self._descriptor, 100, 0)
            changes = int.from_bytes(header[CHANGES], "big") if header.startswith(MAGIC) else -1
            self._overwritten |= changes < self._changes
            self._changes = max(changes, self._changes)
        self.look()

    def forget_log(self) -> None:
        """After the last connection is closed: SQLite removes its log with it, and the next one makes another."""
        if not self.gone:
            self._log_inode, self._log_size = None, 0

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0 and self._inode is not None:
            _release(self._inode)
            self._descriptor = -1

    def _strange(self) -> str:
        """What is wrong with what lies in the place; "" when nothing is."""
        found = _inode(_stat(self._path))
        if self._inode is None:
            self._inode = found
        if found != self._inode:
            return f"{self._path} was {'deleted or moved' if found is None else 'replaced by another file'}"
        if self._log_inode is not None:
            entry = _stat(self._log)
            if entry is None or _inode(entry) != self._log_inode or entry.st_size < self._log_size:
                return f"{self._log} was deleted, replaced or cut off"
            self._log_size = entry.st_size
        return f"{self._path} was overwritten" if self._overwritten else ""


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _inode(entry: os.stat_result | None) -> Inode | None:
    return None if entry is None else (entry.st_dev, entry.st_ino)


def _hold(path: str, inode: Inode) -> int:
    """A descriptor of the file, one for all in this process.

    Whoever closes any descriptor of a file ends all locks that the process has on it (POSIX), SQLite's as well.
    """
    with _lock:
        descriptor, users = _held.get(inode) or (os.open(path, os.O_RDONLY | os.O_CLOEXEC), 0)
        _held[inode] = (descriptor, users + 1)
        return descriptor


def _release(inode: Inode) -> None:
    with _lock:
        descriptor, users = _held.pop(inode)
        if users > 1:
            _held[inode] = (descriptor, users - 1)
        else:
            os.close(descriptor)
