"""The built-in carrier of the SMS channel: the SMPP transport, bound to a simulated SMSC of its own on loopback."""

import secrets

import msgspec

from heliograph.transports.base import Events
from heliograph.transports.options import SmppOptions
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.sandbox.visits import Visitor
from heliograph.transports.smpp.transport import SmppTransport, Timing

WINDOW = 500
LAST_RECEIPTS = 5.0
"""Seconds that receipts get at the end, if they need them."""


class SandboxSms(SmppTransport):
    """Sends every SMS to `smsc`. Nobody else can bind to it: the password is made up at random.

    `links_at` is the host of the house's short links, which subscribers open.
    """

    def __init__(
        self, name: str, smsc: SimulatedSmsc | None = None, *, timing: Timing | None = None, links_at: str = ""
    ) -> None:
        password = secrets.token_hex(4)
        super().__init__(name, SmppOptions("127.0.0.1", 0, "sandbox", password, window=WINDOW), timing=timing)
        self.smsc = smsc or SimulatedSmsc(visitor=Visitor(links_at) if links_at else None)
        self.smsc.authenticate = lambda bind: bind.password == password

    async def open(self, events: Events) -> None:
        """Start the SMSC on a free port and bind to it."""
        self._options = msgspec.structs.replace(self._options, port=await self.smsc.start())
        await super().open(events)

    async def close(self) -> None:
        """Let receipts that are due arrive: nobody keeps them until the next bind. Unbind, then stop the SMSC."""
        await self.smsc.quiet(LAST_RECEIPTS)
        await super().close()
        await self.smsc.stop()
