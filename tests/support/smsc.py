"""An SMSC that does what a test says: it lets everybody bind, and all that it answers and sends is a script."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

from heliograph.transports.smpp import pdu

PATIENCE = 40.0
"""Seconds for what takes milliseconds on a machine that has nothing else to do."""
BIND_FAILED = 0x0D
RECEIVING = frozenset({pdu.BIND_RECEIVER, pdu.BIND_TRANSCEIVER})


class Heard(NamedTuple):
    """A PDU that the ESME wrote."""

    command: int
    status: int
    sequence: int
    body: bytes


Script = Callable[[Heard], Iterable[bytes]]
"""Whole PDUs to write upon a submit_sm; none: it stays unanswered."""


def taken(remote_id: str) -> Script:
    """Takes every message under the same id."""
    return lambda heard: [answer(heard, remote_id=remote_id)]


def answer(heard: Heard, status: int = 0, remote_id: str = "", command: int = 0) -> bytes:
    """The response to a request; `command` makes it another PDU under the same number."""
    body = pdu.c_string(remote_id) if remote_id else b""
    return pdu.encode(command or heard.command | pdu.RESPONSE, status, heard.sequence, body)


class Bound:
    """One connection of an ESME."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.kind = 0
        self.writer = writer

    def cut(self) -> None:
        self.writer.transport.abort()


class ScriptedSmsc:
    """`async with ScriptedSmsc(script) as smsc` listens at `smsc.port`.

    `refuse` says which kinds of bind fail. `binds` keeps the kinds of those that did not, in their order, `goodbyes`
    those that were unbound, `submits` the submit_sm, `heard_submits` also where each came in; `there` are the
    connections.
    """

    def __init__(self, script: Script, *, refuse: Callable[[int], bool] = lambda kind: False) -> None:
        self.script = script
        self.refuse = refuse
        self.port = 0
        self.binds: list[int] = []
        self.goodbyes: list[int] = []
        self.heard_submits: list[tuple[Bound, Heard]] = []
        self.there: list[Bound] = []
        self._answers: dict[tuple[Bound, int], asyncio.Future[Heard]] = {}
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def submits(self) -> list[Heard]:
        return [heard for _, heard in self.heard_submits]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for bound in self.there:
            bound.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when something about binds and submits has come true."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(condition)

    async def bound(self, kind: int) -> Bound:
        """A connection that is bound in this way, as soon as there is one."""
        await self.until(lambda: any(bound.kind == kind for bound in self.there))
        return next(bound for bound in self.there if bound.kind == kind)

    async def deliver(self, body: bytes, command: int = pdu.DELIVER_SM, sequence: int = 1, status: int = 0) -> Heard:
        """Send a request by the first bind that receives; what it is answered with."""
        await self.until(lambda: any(bound.kind in RECEIVING for bound in self.there))
        bound = next(bound for bound in self.there if bound.kind in RECEIVING)
        future = self._answers[bound, sequence] = asyncio.get_running_loop().create_future()
        bound.writer.write(pdu.encode(command, status, sequence, body))
        async with asyncio.timeout(PATIENCE):
            return await future

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        bound = Bound(writer)
        self.there.append(bound)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(bound, reader)
        finally:
            self.there.remove(bound)
            writer.close()
            self._tasks.discard(task)
            await self._tell()

    async def _serve(self, bound: Bound, reader: asyncio.StreamReader) -> None:
        while True:
            length, *rest = pdu.HEADER.unpack(await reader.readexactly(pdu.HEADER.size))
            heard = Heard(*rest, await reader.readexactly(length - pdu.HEADER.size))
            if heard.command & pdu.RESPONSE:
                waiting = self._answers.pop((bound, heard.sequence), None)
                if waiting is not None:
                    waiting.set_result(heard)
            elif heard.command in pdu.BINDS:
                self._bind(bound, heard)
            elif heard.command == pdu.SUBMIT_SM:
                self.heard_submits.append((bound, heard))
                bound.writer.write(b"".join(self.script(heard)))
            else:
                if heard.command == pdu.UNBIND:
                    self.goodbyes.append(bound.kind)
                bound.writer.write(answer(heard))
            await self._tell()

    def _bind(self, bound: Bound, heard: Heard) -> None:
        if self.refuse(heard.command):
            bound.writer.write(answer(heard, BIND_FAILED))
            return
        bound.writer.write(answer(heard, 0, "smsc"))
        bound.kind = heard.command
        self.binds.append(heard.command)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
