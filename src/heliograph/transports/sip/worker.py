"""The worker process, seen from the server: calls are ordered and awaited; a worker that dies is started again."""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Callable

import structlog

from heliograph.transports.sip import orders
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.orders import Begin, Dial, Ended, Ready

COMMAND = (sys.executable, "-I", "-m", "heliograph.transports.sip.process")
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
"""What such a process has of an environment: none of our secrets."""

QUICK = 5.0
"""A worker that lived for less seconds is started again only after a pause, which doubles up to LONGEST."""

LONGEST = 30.0
FIRST = 0.2
END = 3.0
"""Seconds that a worker gets to hang up and to end."""

log = structlog.get_logger(__name__)


class Lost(Exception):
    """The worker died during a call. Nobody knows how the call went."""


class Worker:
    """Keeps one worker process running, from `start` to `close`."""

    def __init__(self, name: str, options: SipOptions) -> None:
        self.problem = ""
        self._name = name
        self._options = options
        self._numbers = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Ended]] = {}
        self._up = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def pid(self) -> int:
        """The process that makes the calls; 0: there is none now."""
        return self._process.pid if self._process is not None and self._up.is_set() else 0

    def start(self) -> None:
        """Start the process, in the background."""
        if self._life is None:
            self._closing.clear()
            self._life = asyncio.create_task(self._live())

    async def close(self) -> None:
        """End the process; calls that are left are hung up, and lost."""
        self._closing.set()
        if self._life is None:
            return
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        done, _ = await asyncio.wait({self._life}, timeout=END)
        if not done:
            self._kill()
            await asyncio.wait({self._life})
        self._life = None

    async def ready(self, seconds: float) -> bool:
        """Whether the process can call within so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._up.wait(), seconds)
        return self._up.is_set()

    async def call(self, make: Callable[[int], Dial], seconds: float) -> Ended:
        """Make a call, which takes so many seconds at most. Raises Lost."""
        process = self._process
        if process is None or process.stdin is None or not self._up.is_set():
            raise Lost
        number = next(self._numbers)
        future = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            process.stdin.write(orders.frame(make(number)))
            await process.stdin.drain()
            return await asyncio.wait_for(future, seconds)
        except ConnectionError:
            raise Lost from None
        except TimeoutError:
            log.error("sip.worker_hangs", transport=self._name)
            self._kill()
            raise Lost from None
        finally:
            self._calls.pop(number, None)

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _live(self) -> None:
        pause, loop = FIRST, asyncio.get_running_loop()
        while not self._closing.is_set():
            begun = loop.time()
            try:
                await self._run()
            except OSError as problem:
                log.error("sip.worker_not_started", transport=self._name, problem=str(problem))
            if self._closing.is_set() or self.problem:
                return
            lasted = loop.time() - begun
            pause = FIRST if lasted > QUICK else min(2 * pause, LONGEST)
            log.error("sip.worker_died", transport=self._name, after=round(lasted, 1), again=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)

    async def _run(self) -> None:
        """One process, from its start to its end. Raises OSError."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT)
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        telling = asyncio.create_task(self._tell(process.stderr))
        try:
            process.stdin.write(orders.frame(Begin(self._options)))
            if self._closing.is_set():
                process.stdin.close()
            while (report := await orders.next_report(process.stdout)) is not None:
                self._reported(report)
        finally:
            self._up.clear()
            self._kill()
            await process.wait()
            await telling
            process.stdin.close()
            for future in self._calls.values():
                if not future.done():
                    future.set_exception(Lost())

    def _reported(self, report: orders.Report) -> None:
        if isinstance(report, Ready):
            self.problem = report.problem
            if report.problem:
                log.error("sip.off", transport=self._name, why=report.problem)
            else:
                self._up.set()
            return
        future = self._calls.get(report.number)
        if future is not None and not future.done():
            future.set_result(report)

    async def _tell(self, errors: asyncio.StreamReader) -> None:
        """What the process complains about goes into the log."""
        while line := await errors.readline():
            log.warning("sip.worker", transport=self._name, said=line.decode("utf-8", "replace").rstrip()[:500])
