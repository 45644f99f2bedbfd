"""What tests of MM7 need: pictures, messages, an MMSC whose answers are given, and requests as carriers write them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from heliograph.transports.base import Media, MessageKey, Mms, Outgoing
from heliograph.transports.mm7.transport import Mm7Transport
from heliograph.transports.options import Mm7Options
from transports.conformance import Recorder, until

PICTURE = Media(
    "picture.gif", "image/gif", bytes.fromhex("47494638396101000100800000ffffff0000002c00000000010001000002024401003b")
)

Answer = Callable[[bytes], bytes]
"""The octets of an HTTP answer to those of a request; none: the connection is cut."""


def an_mms(
    to: str = "+61411111111", subject: str = "Hello", text: str = "Look!", key: str = "MESSAGE-1", sender: str = ""
) -> Outgoing:
    """An MMS with a picture, to hand over."""
    content = Mms(subject, text, (PICTURE,))
    return Outgoing(MessageKey(7, "mms", key), sender or "+61481074190", to, content, int(time.time()) + 3600)


def http(body: bytes, status: str = "200 OK", kind: str = "text/xml", more: str = "") -> bytes:
    """An HTTP answer."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def answering(answer: Answer, port: int = 0) -> AsyncIterator[int]:
    """An HTTP server (at any port for 0) that gives these answers, and takes nothing else from HTTP; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # somebody looks whether there is a server
            writer.close()
            return
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        writer.write(answer(head + await reader.readexactly(length)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def transport(port: int, **options: object) -> AsyncIterator[Mm7Transport]:
    """A transport to this port that has found it, and does not look again by itself."""
    chosen = Mm7Options(f"http://127.0.0.1:{port}/mm7", timeout=20.0, **options)  # type: ignore[arg-type]
    made = Mm7Transport("mmsc", chosen, look_again=3600.0)
    await made.open(Recorder())
    try:
        await until(lambda: made.ready)
        yield made
    finally:
        await made.close()
