"""Conversion of customers' files, seen from the server: each runs in a process of its own (worker.py), with limits."""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import structlog

from heliograph.files.scratch import Scratch
from heliograph.files.task import CONTACTS, TARGETS, Outcome, Refused, Task, Unfinished
from heliograph.files.text import code_page
from heliograph.settings import Settings
from heliograph.transports.base import UNLIMITED, Limits

T = TypeVar("T")

LONGEST_LINE = 10
"""Files that may wait for each running conversion. The files and the requests they came in are in memory."""

CONTENT_TYPES = {"pdf": "application/pdf", "jpg": "image/jpeg", "gif": "image/gif", "csv": "text/csv; charset=utf-8"}
TOO_LONG = "The file took too long to convert."
BROKEN = "The file could not be converted."
log = structlog.get_logger(__name__)


class Converted(msgspec.Struct, frozen=True):
    """A converted file. `name` is the customer's with the new extension, `pages` is 0 for what has none."""

    data: bytes
    name: str
    extension: str
    pages: int

    @property
    def content_type(self) -> str:
        """Its media type."""
        return CONTENT_TYPES[self.extension]


class Busy(Exception):
    """Too many files wait already."""


class Converter:
    """Converts a limited number of files at once; the others wait. One for the whole process."""

    def __init__(self, options: Settings) -> None:
        self.scratch = Scratch()
        self.options = options
        self._threads = ThreadPoolExecutor(options.conversions, thread_name_prefix="convert")
        self._waiting = 0
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closing = False

    async def convert(
        self, data: bytes, name: str, target: str, country: str = "", limits: Limits = UNLIMITED
    ) -> Converted:
        """The file as `target` (one of task.TARGETS) wants it. Raises Refused with a sentence, and Busy.

        `name` is used for the name of the result only. `country` (ISO alpha-2) is where a text comes from that is not
        in Unicode. A picture for an MMS keeps to `limits`.
        """
        assert target in TARGETS, target
        return await self._queued(self._convert, data, name, target, code_page(country), limits)

    async def to_lines(self, source: Path, made: Path, country: str) -> None:
        """A spreadsheet or an address book as the rows that an import reads (lines.py). Raises Refused, and Busy."""
        await self._queued(self._to_lines, source, made, code_page(country))

    async def _queued(self, work: Callable[..., T], *arguments: Any) -> T:
        if self._waiting >= self.options.conversions * (1 + LONGEST_LINE):
            raise Busy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End what is under way."""
        self._closing = True
        for process in tuple(self._running):
            _kill(process)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        await asyncio.to_thread(self.scratch.close)

    def _convert(self, data: bytes, name: str, target: str, code_page: str, limits: Limits) -> Converted:
        with self.scratch.place() as place:
            folder = Path(place)
            (folder / "source").write_bytes(data)
            outcome = self._outcome(folder, target, code_page, limits)
            with _opened(folder / "result") as file:
                made = file.read()
        stem = name.rpartition(".")[0] or name
        return Converted(made, f"{stem}.{outcome.extension}", outcome.extension, outcome.pages)

    def _to_lines(self, source: Path, made: Path, code_page: str) -> None:
        with self.scratch.place() as place:
            folder = Path(place)
            shutil.copyfile(source, folder / "source")
            self._outcome(folder, CONTACTS, code_page)
            with _opened(folder / "result") as file, made.open("wb") as copy:
                shutil.copyfileobj(file, copy)

    def _outcome(self, folder: Path, target: str, code_page: str, limits: Limits = UNLIMITED) -> Outcome:
        """Convert the file `source` of a folder to its file `result`. Raises Refused."""
        self._work(folder, target, code_page, limits)
        try:
            with _opened(folder / "outcome") as file:
                outcome = msgspec.json.decode(file.read(), type=Outcome)
        except msgspec.DecodeError:
            raise Refused(BROKEN) from None
        if outcome.refusal:
            raise Refused(outcome.refusal)
        return outcome

    def _work(self, folder: Path, target: str, code_page: str, limits: Limits) -> None:
        """Run the worker in `folder` until it ends or its time is over. Raises Refused."""
        options = self.options
        memory, seconds = options.convert_memory * 2**20, options.convert_seconds
        reads = tuple(filter(None, map(str.strip, options.convert_reads.split(","))))
        task = Task(target, shutil.which(options.soffice) or "", memory, seconds, code_page, reads, limits)
        with tempfile.TemporaryFile() as errors:
            status = self._ended(_worker(folder, errors), task)
            size = errors.seek(0, os.SEEK_END)
            errors.seek(max(0, size - 2000))
            complaint = errors.read().decode("utf-8", "replace")
        if status or complaint:
            log.warning("convert.failed", target=target, status=status, complaint=complaint)
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            raise Refused(TOO_LONG)

    def _ended(self, process: subprocess.Popen[bytes], task: Task) -> int:
        """Have a worker do its task; its exit code. Raises Refused."""
        self._running.add(process)
        try:
            if self._closing:
                raise Unfinished("The server is stopping.")
            _tell(process, task)
            return process.wait(timeout=task.seconds)
        except subprocess.TimeoutExpired:
            log.warning("convert.killed", target=task.target, seconds=task.seconds)
            raise Unfinished(TOO_LONG) from None
        finally:
            _kill(process)
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
            self._running.discard(process)


def _worker(folder: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "heliograph.files.worker"],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )


def _opened(path: Path) -> IO[bytes]:
    """A file that the worker left. Raises Refused when there is none, or something else in its place.

    A worker that was taken over may leave a link to one of our own files, or a pipe that nobody writes to.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise Refused(BROKEN) from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(handle)
        raise Refused(BROKEN)
    return os.fdopen(handle, "rb")


def _tell(process: subprocess.Popen[bytes], task: Task) -> None:
    """Send the worker its task. Its stdin stays open: the worker ends when it is closed, also when this process is
    killed.

    Nothing is raised for a worker that has ended already: `_outcome` finds no outcome then.
    """
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(msgspec.json.encode(task) + b"\n")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the worker and whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
