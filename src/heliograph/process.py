"""A process of the program from its start to a clean end: the HTTP server, the worker, and what signals do to them.

SIGTERM and Ctrl-C: accept nothing new, finish what is under way, exit code 0. SIGHUP: read heliograph.toml again.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvicorn
import uvloop

from heliograph import carriers, mailroom
from heliograph.app import House, build, database_url
from heliograph.connections import Gate, raise_file_limit
from heliograph.db import holder
from heliograph.esme.server import EsmeServer
from heliograph.front import web
from heliograph.mailserver.server import MailServer
from heliograph.option import SettingsError
from heliograph.settings import Settings, reached
from heliograph.transports.options import Carriers

GRACE = 30
"""Seconds that requests under way get to end."""
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than proxies keep theirs (60, as a rule), since a request that is
sent while its connection is being closed is lost."""
BACKLOG = 2048
GARBAGE = 20_000
"""Objects after which the collector looks for circles. At 700 it looked at what waits for one commit, several times."""
PR_SET_DUMPABLE = 4
log = structlog.get_logger(__name__)


class Problem(Exception):
    """Ends the program with one sentence and exit code 1."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on uvloop, in a process that others cannot look into."""
    keep_secrets()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def keep_secrets() -> None:
    """Keep what this process was told (HELIOGRAPH_SECRET, the database's password) from others of the same user.

    The values of our options disappear from /proc/<pid>/environ, where the kernel shows what the process was started
    with, and from what children inherit; Python has copies. Only root can read the memory then, and no core is written.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return  # without /proc there is nothing to see
    start, end = (
        int(fields[47]),
        int(fields[48]),
    )  # env_start, env_end: proc_pid_stat(5), whose third field is our first
    at = start
    for entry in ctypes.string_at(start, max(0, end - start)).split(b"\0"):
        name, mark, value = entry.partition(b"=")
        if name.startswith(b"HELIOGRAPH_"):
            ctypes.memset(at + len(name) + len(mark), 0, len(value))
        at += len(entry) + 1


def told(command: str, options: Settings) -> str:
    """A command of ours as somebody may type it for this data folder."""
    usual = options.data == Settings().data
    return f"heliograph {command}" if usual else f"heliograph {command} --data {shlex.quote(str(options.data))}"


async def serve(options: Settings) -> None:
    """Run the HTTP server until a signal ends it. Raises Problem, SettingsError, OSError, the database's errors."""
    await make_server(options).serve()


async def work(options: Settings) -> None:
    """Deliver until a signal ends it. Raises as `serve` does."""
    end, again = asyncio.Event(), asyncio.Event()
    with _signals(lambda number: end.set(), again.set):
        async with _standing(options, again) as house, mails(house):
            log.info("worker.started", mode=options.mode)
            await end.wait()
    log.info("worker.stopped")


async def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run something that never ends by itself, until SIGTERM or Ctrl-C cancels it."""
    task = asyncio.ensure_future(work)

    def end(number: int) -> None:
        task.cancel()

    with _signals(end, lambda: None):
        try:
            await task
        except asyncio.CancelledError:
            return


def make_server(options: Settings, started: "asyncio.Future[House] | None" = None) -> "Server":
    """A server for a running loop; `started` is told of the house as soon as it stands."""
    return Server(options, started or asyncio.get_running_loop().create_future())


def esmes(house: House) -> EsmeServer:
    """The SMPP server for customers of a started house."""
    return EsmeServer(house.options, house.database, house.vault, house.channels, house.limits.logins)


def mails(house: House) -> MailServer:
    """The server of a started house that mails arrive at."""
    return mailroom.mails(house.options, house.database, house.vault, house.hooks, house.limits)


class Server(uvicorn.Server):
    """uvicorn around a house: nothing is answered before the house stands, and it stands until the last answer."""

    def __init__(self, options: Settings, started: "asyncio.Future[House]") -> None:
        self._gate = Gate(options, raise_file_limit())
        protocol: Any = self._gate  # uvicorn calls it as it calls a class of protocols
        super().__init__(
            uvicorn.Config(
                _nobody,
                http=protocol,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=GRACE,
                timeout_keep_alive=KEEP_ALIVE,
                server_header=False,
                proxy_headers=bool(options.trusted_proxies),
                forwarded_allow_ips=options.trusted_proxies,
                backlog=BACKLOG,
            )
        )
        self.url = ""
        self.esmes: EsmeServer
        self.mails: MailServer
        self._options = options
        self._house = started
        self._again = asyncio.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, build the house, answer until `should_exit`, and close everything."""
        options = self._options
        _refuse_a_second(options)  # here already: it may well have the port, too
        with self.capture_signals(), contextlib.ExitStack() as listening:
            listeners = sockets or listen(options.host, options.port)
            for listener in listeners:
                listening.enter_context(listener)
            options = msgspec.structs.replace(options, port=listeners[0].getsockname()[1])
            self.url = url(options.host, options.port)
            async with (
                _standing(options, self._again, self.url) as house,
                esmes(house) as self.esmes,
                mails(house) as self.mails,
            ):
                self.config.app, self._gate.api = web(house)
                self._gate.listeners = listeners
                self._house.set_result(house)
                log.info("server.listening", url=self.url, mode=options.mode, role=options.role)
                watching = asyncio.create_task(self._gate.watch())
                try:
                    await self._serve(listeners)
                finally:
                    watching.cancel()
        log.info("server.stopped")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours in place of uvicorn's, which ends a process that has stopped cleanly by the signal all the same."""
        with _signals(lambda number: self.handle_exit(number, None), self._again.set):
            yield


async def _nobody(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("The house does not stand yet.")


def _refuse_a_second(options: Settings) -> None:
    """Raises Problem when another process works on this SQLite database, OSError."""
    database = database_url(options)
    if found := holder.find(database):
        raise Problem(str(holder.Taken(database, found)))


@contextlib.asynccontextmanager
async def _standing(options: Settings, again: asyncio.Event, url: str = "") -> AsyncIterator[House]:
    """A house that is open, and that reads heliograph.toml again whenever `again` is set; `url` is where it answers.

    Raises Problem when another process works on this SQLite database, and what building raises.
    """
    found = carriers.read(options)  # before anything is made
    options.data.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as until_the_end:
        try:
            until_the_end.enter_context(holder.held(database_url(options), url))
        except holder.Taken as taken:
            raise Problem(str(taken)) from None
        async with _open(options, found, again) as house:
            yield house


@contextlib.asynccontextmanager
async def _open(options: Settings, found: Carriers, again: asyncio.Event) -> AsyncIterator[House]:
    house = await build(options, found)
    over = False

    async def reread() -> None:
        while await again.wait() and not over:
            again.clear()
            await _reread(house)

    rereading: asyncio.Task[None] | None = None
    try:
        await house.start()
        # What stands now stays: the collector need not walk it again and again while requests come and go.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE)
        rereading = asyncio.create_task(reread())
        yield house
    finally:
        over = True
        again.set()
        try:
            if rereading is not None:
                await rereading
        finally:
            await house.stop()


async def _reread(house: House) -> None:
    if not house.works:
        return
    before = house.carriers.transports
    try:
        await house.reload(carriers.read(house.options))
    except (SettingsError, OSError) as problem:
        log.error("settings.refused", why=str(problem))
        return
    now = house.carriers.transports
    kept = sorted(name for name in now if before.get(name) == now[name])
    log.info(
        "settings.reread",
        kept=kept,
        opened=sorted(now.keys() - set(kept)),
        closed=sorted(before.keys() - set(kept)),
        routes=len(house.carriers.routes),
    )


@contextlib.contextmanager
def _signals(end: Callable[[int], None], again: Callable[[], None]) -> Iterator[None]:
    """While open, SIGTERM and Ctrl-C call `end`, SIGHUP calls `again`. Only the main thread hears signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, again)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of a host, all on one port (0: a free one). Raises Problem."""
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            taken = listeners[0].getsockname()[1] if listeners else port
            where = (address[0], taken, *address[2:])
            listeners.append(socket.create_server(where, family=family, backlog=BACKLOG))
    except (OSError, UnicodeError) as problem:
        for listener in listeners:
            listener.close()
        raise cannot_listen(host, port, problem) from None
    return listeners


def cannot_listen(host: str, port: int, problem: Exception) -> Problem:
    """The sentence for an address that cannot be had. asyncio puts a longer text in place of the system's."""
    number = problem.errno if isinstance(problem, OSError) and not isinstance(problem, socket.gaierror) else None
    why = os.strerror(number) if number else getattr(problem, "strerror", None) or str(problem)
    return Problem(f"Cannot listen on {host or 'any address'}, port {port}: {why}.")


def url(host: str, port: int) -> str:
    """Where a server that listens on `host` is reached from this machine."""
    return f"http://{reached(host)}:{port}"
