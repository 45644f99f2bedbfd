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

MAGIC, LOG_MAGIC = b"SQLite format 3\0", b"\x37\x7f\x06"
"""What the file and its log begin with."""

GROWTH = slice(24, 32)
"""Where the header counts changes of connections that take turns, and then pages (SQLite file format, 1.3.5, 1.3.6). As
one number they only grow: VACUUM gives pages back, but counts as a change.
"""

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
        self._descriptor = -1 if self._inode is None else _hold(path, self._inode)
        self._growth = -1
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
            log.critical("database.gone", why=why, what_now="Nothing more is written until a new start.")
        self.gone = why
        if why:
            raise DatabaseAway(why)

    def look_inside(self) -> None:
        """The same as `look`, and sees also what somebody else has written into the file or its log."""
        if self._descriptor >= 0:
            header = os.pread(self._descriptor, 100, 0)
            growth = int.from_bytes(header[GROWTH], "big") if header.startswith(MAGIC) else -1
            self._overwritten |= growth < self._growth
            self._growth = max(growth, self._growth)
        if self._log_inode is not None:
            self._overwritten |= not _is_log(self._log)
        self.look()

    def forget_log(self) -> None:
        """After the last connection is closed: SQLite removes its log with it, and the next one makes another."""
        if not self.gone:
            self._log_inode = None

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
        if self._log_inode is not None and _inode(_stat(self._log)) != self._log_inode:
            return f"{self._log} was deleted or replaced"
        return f"{self._path} or its log was overwritten" if self._overwritten else ""


def _is_log(path: str) -> bool:
    """Whether the log, if there is one, begins as such: SQLite may cut it off as a whole, and then begins it anew.

    SQLite has no locks on it, so it may be closed again.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(len(LOG_MAGIC)) in (LOG_MAGIC, b"")
    except OSError:
        return True


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
