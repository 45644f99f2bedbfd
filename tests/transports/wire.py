"""SMPP by hand: one end of a connection that reads and writes single PDUs, and a transport that is bound to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple, Self

from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.transport import SmppTransport, Timing
from transports.conformance import PATIENCE, Recorder, run, soon

QUICK = Timing(unbind_wait=0.05, throttle_pause=0.02, segment_pause=0.01, first_reconnect=0.02)
TAKEN = "+61491570156"
SERVICE = "+61481074190"


class Pdu(NamedTuple):
    command: int
    status: int
    sequence: int
    body: bytes


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def read(self) -> Pdu:
        async with asyncio.timeout(PATIENCE):
            length, *rest = pdu.HEADER.unpack(await self._reader.readexactly(16))
            return Pdu(*rest, await self._reader.readexactly(length - 16))

    def write(self, *pdus: Pdu) -> None:
        """All of them in one write."""
        self.writer.write(b"".join(pdu.encode(*one) for one in pdus))

    async def ask(self, command: int, body: bytes = b"", sequence: int = 1) -> Pdu:
        self.write(Pdu(command, 0, sequence, body))
        return await self.read()

    async def bind(self, command: int = pdu.BIND_TRANSCEIVER, system_id: str = "esme", password: str = "") -> Pdu:
        return await self.ask(command, pdu.encode_bind(pdu.Bind(system_id, password)))

    async def ended(self) -> bool:
        """Whether the other end closed the connection and sent nothing before."""
        async with asyncio.timeout(PATIENCE):
            try:
                return not await self._reader.read(1)
            except ConnectionResetError:
                return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Carrier:
    """A server that answers binds and leaves all the rest to the test: `connection` gives the next bound one."""

    def __init__(self) -> None:
        self._bound: asyncio.Queue[Wire] = asyncio.Queue()
        self._wires: list[Wire] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for wire in self._wires:
            await wire.close()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self._wires.append(wire)
        bind = await wire.read()
        wire.write(Pdu(bind.command | pdu.RESPONSE, 0, bind.sequence, b"carrier\0"))
        self._bound.put_nowait(wire)

    async def connection(self) -> Wire:
        async with asyncio.timeout(PATIENCE):
            return await self._bound.get()


@contextlib.asynccontextmanager
async def bound(timing: Timing = QUICK, **options: Any) -> AsyncIterator[tuple[SmppTransport, Wire, Recorder]]:
    """A transport that is bound to a carrier that the test plays."""
    async with Carrier() as far:
        events = Recorder()
        transport = SmppTransport("carrier", SmppOptions("127.0.0.1", far.port, **options), timing=timing)
        opening = asyncio.create_task(transport.open(events))
        wire = await far.connection()
        await soon(opening)
        try:
            yield transport, wire, events
        finally:
            events.gate.set()
            await soon(transport.close())


def play(
    scenario: Callable[[SmppTransport, Wire, Recorder], Awaitable[None]], timing: Timing = QUICK, **options: Any
) -> None:
    """Run a scenario with such a transport."""

    async def whole() -> None:
        async with bound(timing, **options) as (transport, wire, events):
            await scenario(transport, wire, events)

    run(whole())


def response(request: Pdu, status: int = 0, remote_id: str = "") -> Pdu:
    return Pdu(request.command | pdu.RESPONSE, status, request.sequence, pdu.c_string(remote_id) if remote_id else b"")


def submit(dest: str, octets: bytes = b"hello", *, receipt: int = 1, esm_class: int = 0) -> bytes:
    """Body of a submit_sm from +61481074190."""
    source = pdu.encode_address(pdu.Address(1, 1, SERVICE[1:]))
    to = pdu.encode_address(pdu.Address(1, 1, dest))
    return pdu.encode_short_message(source, to, octets, registered_delivery=receipt, esm_class=esm_class)


def deliver(
    octets: bytes,
    esm_class: int = 0,
    sequence: int = 1,
    source: pdu.Address | None = None,
    tlvs: tuple[tuple[int, bytes], ...] = (),
    data_coding: int = 0,
) -> Pdu:
    """A deliver_sm to +61481074190."""
    ends = (source or pdu.Address(1, 1, TAKEN[1:]), pdu.Address(1, 1, SERVICE[1:]))
    body = pdu.encode_short_message(
        *map(pdu.encode_address, ends), octets, esm_class=esm_class, tlvs=tlvs, data_coding=data_coding
    )
    return Pdu(pdu.DELIVER_SM, 0, sequence, body)
