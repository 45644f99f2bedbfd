"""Web servers for the tests of the client for customers' URLs."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from heliograph.webhooks.fetch import WebClient


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """No scenario may hang."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


@asynccontextmanager
async def client(allow_private: bool = True, seconds: float = 10.0) -> AsyncIterator[WebClient]:
    made = WebClient(allow_private, seconds)
    try:
        yield made
    finally:
        await made.close()


class Site:
    """A web server that keeps what it is asked and answers `answer`."""

    def __init__(self) -> None:
        self.asked: list[tuple[web.BaseRequest, bytes]] = []
        self.connections: set[Any] = set()
        self.answer = web.Response

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.connections.add(request.transport)
        self.asked.append((request, await request.read()))
        return self.answer()


@asynccontextmanager
async def serving(site: Site, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The site's address, without a slash at its end."""
    runner = web.ServerRunner(web.Server(site.handle), shutdown_timeout=0.1)
    await runner.setup()
    place = web.TCPSite(runner, host, 0, ssl_context=tls)
    await place.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        await runner.cleanup()


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """A server that reads a request's head and then does what a script says."""
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
        except (asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(data: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return script
