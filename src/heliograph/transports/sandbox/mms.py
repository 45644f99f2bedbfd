"""The built-in carrier of the MMS channel: the MM7 transport, and a simulated MMSC of its own on loopback."""

import secrets
from pathlib import Path

import msgspec
from aiohttp import web

from heliograph.transports.base import Events, Told
from heliograph.transports.http.client import LOOK_AGAIN
from heliograph.transports.mm7.inbox import Mm7Inbox
from heliograph.transports.mm7.transport import Mm7Transport
from heliograph.transports.options import Mm7Options
from heliograph.transports.sandbox.mmsc import Listener, SimulatedMmsc

LAST_REPORTS = 5.0
"""Seconds that reports get at the end, if they need them."""


class SandboxMms(Mm7Transport):
    """Sends every MMS to `mmsc`, which keeps its files in a folder. Nobody else can report to it."""

    def __init__(
        self, name: str, folder: Path, mmsc: SimulatedMmsc | None = None, *, look_again: float = LOOK_AGAIN
    ) -> None:
        password = secrets.token_hex(16)
        options = Mm7Options("http://127.0.0.1/", inbound_username="mmsc", inbound_password=password)
        super().__init__(name, options, look_again=look_again)
        self.mmsc = mmsc or SimulatedMmsc(folder)
        self._inbox = Mm7Inbox(name, self._options)
        self._listener: Listener | None = None

    async def open(self, events: Events) -> None:
        """Start the MMSC and what it reports to, each on a free port. Raises OSError: the folder cannot be made."""

        async def receive(request: web.Request) -> web.Response:
            if not self._inbox.admits(request.headers.get("Authorization", "")):
                return web.Response(status=401)
            headers = {name.lower(): value for name, value in request.headers.items()}
            told = Told(request.method, request.query_string, headers, await request.read())
            answer = await self._inbox.receive(told, events)
            return web.Response(status=answer.status, body=answer.octets, headers={"Content-Type": answer.content_type})

        options = msgspec.structs.replace(self._options, url=f"http://127.0.0.1:{await self.mmsc.start()}/")
        self._options, self._listener = options, Listener(receive)
        port = await self._listener.start()
        self.mmsc.report_to = (f"http://127.0.0.1:{port}/", options.inbound_username, options.inbound_password)
        await super().open(events)

    async def close(self) -> None:
        """Let reports that are due arrive, for nobody keeps them; then stop the MMSC."""
        await self.mmsc.quiet(LAST_REPORTS)
        await super().close()
        await self.mmsc.stop()
        if self._listener is not None:
            await self._listener.stop()
        self._listener = None
