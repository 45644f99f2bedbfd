"""SMPP by hand: one end of a connection that reads and writes single PDUs, for peers that misbehave on purpose."""

import asyncio
import contextlib
from typing import NamedTuple, Self

from heliograph.transports.smpp import pdu

PATIENCE = 5.0


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


def submit(dest: str, octets: bytes = b"hello", *, receipt: int = 1, esm_class: int = 0) -> bytes:
    """Body of a submit_sm from +61481074190."""
    source = pdu.encode_address(pdu.Address(1, 1, "61481074190"))
    to = pdu.encode_address(pdu.Address(1, 1, dest))
    return pdu.encode_short_message(source, to, octets, registered_delivery=receipt, esm_class=esm_class)


def report(remote_id: str, text: str | None = None) -> bytes:
    """Body of a deliver_sm with a receipt in text alone, as most carriers write it."""
    source = pdu.encode_address(pdu.Address(1, 1, "61400000001"))
    to = pdu.encode_address(pdu.Address(1, 1, "61481074190"))
    words = text or f"id:{remote_id} sub:001 dlvrd:001 submit date:2611240200 done date:2611240200 stat:DELIVRD err:000"
    return pdu.encode_short_message(source, to, words.encode("latin-1"), esm_class=pdu.RECEIPT)
