"""Connections that cost a stranger nothing must not cost the server everything: how many there may be, and for how long
one may be half-way through a request. uvicorn has limits for neither.

Nothing is measured while requests come and go; a round every few moments looks at all connections.
"""

import asyncio
import contextlib
import ipaddress
import resource
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog

from heliograph.http.protocol import PIECE, Api, ApiProtocol
from heliograph.limited import Bites, network
from heliograph.settings import Settings

AT_ONCE = 64
"""Connections that are accepted in one turn of the loop."""
RESERVE = 256
"""Files that are not connections of clients: the database, carriers, webhooks, conversions."""
MOST_HEAD = 64 * 1024
"""Bytes of a request's line and headers, of a chunk's line, and of trailers."""
MOST_HEADERS = 200
"""Headers, or trailers, that come in more than one piece."""
PACE = 64 * 1024
"""Bytes of a body for which it gets another second."""


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one, as every connection is one; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a hard limit above what the kernel allows
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 2**31


log = structlog.get_logger(__name__)


class Gate:
    """All connections of a server. `api` handles their hot requests, once there is one."""

    api: Api | None = None
    listeners: Sequence[socket.socket] = ()
    """Where clients connect."""

    def __init__(self, settings: Settings, files: int) -> None:
        self._all: set[Connection] = set()
        self._by_address: dict[str, int] = {}
        self._most = max(16, min(settings.connections, files - RESERVE))
        self._most_of_one = min(settings.connections_per_address, max(8, self._most // 2))
        self._head_seconds, self._body_seconds = settings.head_seconds, settings.body_seconds
        self._proxies = [
            ipaddress.ip_network(one.strip()) for one in settings.trusted_proxies.split(",") if one.strip()
        ]
        self._full, self._crowded = Bites("connections.full"), Bites("connections.of_one_address")
        self._arguments: dict[str, Any] = {}
        self._accepting: set[asyncio.Task[Any]] = set()
        self._late, self._long = Bites("connections.too_slow"), Bites("connections.head_too_long")

    def __call__(self, **arguments: Any) -> "Connection":
        """A connection, as uvicorn asks for it."""
        self._arguments = arguments
        return Connection(self, **arguments)

    def accept_more(self) -> None:
        """Take the other connections that wait, after one has come.

        libuv accepts one in each turn of the loop, and a turn beside bulk has a transaction of a thousand messages.
        """
        loop = asyncio.get_running_loop()
        for listener in self.listeners:
            with contextlib.suppress(OSError):  # nobody waits, or no file is left, or it is closed
                for _ in range(AT_ONCE):
                    wire, _address = listener.accept()
                    wire.setblocking(False)
                    task = loop.create_task(loop.connect_accepted_socket(lambda: self(**self._arguments), wire))
                    self._accepting.add(task)
                    task.add_done_callback(self._accepted)

    def _accepted(self, task: "asyncio.Task[Any]") -> None:
        self._accepting.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.warning("connections.not_accepted", error=repr(problem))

    def enter(self, connection: "Connection") -> bool:
        """Count a connection; whether there is room for it."""
        address = connection.address
        self._all.add(connection)
        self._by_address[address] = self._by_address.get(address, 0) + 1
        if len(self._all) > self._most:
            self._full.bite(connections=self._most)
            return False
        if self._by_address[address] > self._most_of_one and not self._is_proxy(connection.client):
            self._crowded.bite(address=address, connections=self._most_of_one)
            return False
        return True

    def leave(self, connection: "Connection") -> None:
        """Count it no longer."""
        if connection in self._all:
            self._all.discard(connection)
            left = self._by_address[connection.address] - 1
            if left:
                self._by_address[connection.address] = left
            else:
                del self._by_address[connection.address]

    def too_long(self, connection: "Connection") -> None:
        """Note that its headers, or what stands in their place in a body, had no end."""
        self._long.bite(address=connection.address)

    async def watch(self) -> None:
        """Go round until cancelled, and close what is too slow."""
        pause = min(1.0, self._head_seconds / 4, self._body_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            now = asyncio.get_running_loop().time()
            for connection in tuple(self._all):
                seconds = {"head": self._head_seconds, "body": self._body_seconds, "answer": self._body_seconds}
                stage, since = connection.stage(now)
                if stage in seconds and now - since > seconds[stage] + connection.fed // PACE * (stage == "body"):
                    self._late.bite(address=connection.address, waited_for=stage)
                    connection.give_up(stage)

    def _is_proxy(self, client: tuple[str, int] | None) -> bool:
        try:
            parsed = ipaddress.ip_address(client[0].partition("%")[0] if client else "")
        except ValueError:
            return False
        return any(parsed in proxies for proxies in self._proxies)


class Connection(ApiProtocol):
    """A connection that is counted and, when it dawdles, closed."""

    def __init__(self, gate: Gate, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._gate = gate
        self.api = gate.api
        self.address = ""
        self.fed = 0
        """Bytes since the request under way began."""
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def connection_made(self, transport: Any) -> None:
        """Count it, and refuse it when there are too many."""
        super().connection_made(transport)
        self._gate.accept_more()
        self.address = network(self.client[0]) if self.client else ""
        if not self._gate.enter(self):
            self.refuse(partial(self._tell, b"503 Service Unavailable", b"retry-after: 5\r\n"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no longer."""
        self._gate.leave(self)
        super().connection_lost(exc)

    def parse(self, piece: bytes | memoryview) -> None:
        """Take octets, as long as a head, a chunk's line and trailers have an end."""
        self.fed += len(piece)
        self.stretch += len(piece)
        super().parse(piece)
        if self.stretch > PIECE and not self.deaf and self._has_no_end():
            self._gate.too_long(self)
            self.refuse(partial(self._tell, b"431 Request Header Fields Too Large"))

    def on_message_begin(self) -> None:
        """Begin to count what a request has."""
        super().on_message_begin()
        self.fed = self.stretch = 0
        self._seen = None

    def stage(self, now: float) -> tuple[str, float]:
        """What it is waited for, and since when as far as the rounds have seen: head, body, answer, or nothing."""
        mark: tuple[str, int]
        if self.transport.is_closing() or self.flow.write_paused:
            name, mark = "answer", ("answer", self.transport.get_write_buffer_size())
        elif self.deaf or self.flow.read_paused:  # what is missing may have come, and waits for us
            name, mark = "", ("", id(self.scope))
        elif self._in_head():
            name, mark = "head", ("head", id(self.scope))
        elif self.cycle.more_body and not self.cycle.response_complete:
            name, mark = "body", ("body", id(self.scope))
        else:
            # What is left of a body whose answer was given, or a request that is being worked on.
            left = self.cycle.response_complete and self.resting_since is None
            name, mark = ("head" if left else ""), ("left" if left else "", id(self.scope))
        if mark != self._seen:
            self._seen, self._since = mark, now
        return name, self._since

    def give_up(self, stage: str) -> None:
        """Close it."""
        if stage == "answer":
            self.transport.abort()
        elif stage == "head" and self.scope is not None and self._in_head():
            self.refuse(partial(self._tell, b"408 Request Timeout"))
        else:
            self.refuse()

    def _in_head(self) -> bool:
        return self.cycle is None or self.cycle.scope is not self.scope

    def _has_no_end(self) -> bool:
        return self.stretch > MOST_HEAD or len(self.headers or ()) > MOST_HEADERS

    def _tell(self, status: bytes, more: bytes = b"") -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\n" + more + b"connection: close\r\ncontent-length: 0\r\n\r\n")
