"""Asking a trunk whether it is there: OPTIONS, and any answer (RFC 3261, 11)."""

import asyncio
import contextlib
import secrets

from heliograph.transports.sip import message
from heliograph.transports.sip.message import Message

AGAIN = 0.5
"""Seconds after which a datagram that was not answered is sent again (RFC 3261, T1)."""


def question(host: str, port: int, protocol: str, mine: str) -> bytes:
    """An OPTIONS request from the address `mine`."""
    branch = f"z9hG4bK{secrets.token_hex(8)}"
    headers = [
        ("Via", f"SIP/2.0/{protocol.upper()} {mine};branch={branch};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:heliograph@{mine}>;tag={secrets.token_hex(6)}"),
        ("To", f"<sip:{host}:{port}>"),
        ("Call-ID", secrets.token_hex(12)),
        ("CSeq", "1 OPTIONS"),
        ("Contact", f"<sip:heliograph@{mine};transport={protocol}>"),
    ]
    return Message(f"OPTIONS sip:{host}:{port} SIP/2.0", headers).encode()


async def is_there(host: str, port: int, protocol: str, seconds: float) -> bool:
    """Whether anything that speaks SIP answers within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            if protocol == "tcp":
                return await _by_tcp(host, port)
            return await _by_udp(host, port)
    except (OSError, TimeoutError):
        return False


async def _by_tcp(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        mine = writer.get_extra_info("sockname")
        writer.write(question(host, port, "tcp", f"{mine[0]}:{mine[1]}"))
        answer = message.decode(await reader.readuntil(b"\r\n\r\n"))
        return answer is not None and answer.status > 0
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class _Asked(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = message.decode(data)
        if answer is not None and answer.status and not self.answer.done():
            self.answer.set_result(True)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_result(False)


async def _by_udp(host: str, port: int) -> bool:
    loop = asyncio.get_running_loop()
    transport, asked = await loop.create_datagram_endpoint(_Asked, remote_addr=(host, port))
    try:
        mine = transport.get_extra_info("sockname")
        text = question(host, port, "udp", f"{mine[0]}:{mine[1]}")
        pause = AGAIN
        while not asked.answer.done():
            transport.sendto(text)
            await asyncio.wait({asked.answer}, timeout=pause)
            pause *= 2
        return asked.answer.result()
    finally:
        asked.answer.cancel()
        transport.close()
