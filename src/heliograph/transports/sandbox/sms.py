"""The built-in SMS carrier: a simulated SMSC on loopback, reached over real SMPP."""

import secrets
from collections.abc import Sequence

from heliograph.settings import SmppOptions
from heliograph.transports.base import Events, Outcome, Outgoing
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp.pdu import Bind
from heliograph.transports.smpp.transport import SmppTransport

WINDOW = 500


class SandboxSms:
    """A transport with its own peer, `smsc`. Only this process can bind to it: the password is made up at random."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._bind = Bind("sandbox", secrets.token_hex(4))
        self.smsc = SimulatedSmsc(authenticate=lambda bind: bind.password == self._bind.password)
        self._client: SmppTransport | None = None

    @property
    def ready(self) -> bool:
        """Whether the client is bound to the SMSC."""
        return self._client is not None and self._client.ready

    @property
    def capacity(self) -> int:
        """Two windows, as for any SMPP bind."""
        return 2 * WINDOW

    async def open(self, events: Events) -> None:
        """Start the SMSC on a free port and bind to it."""
        port = await self.smsc.start()
        bind = self._bind
        options = SmppOptions("127.0.0.1", port, bind.system_id, bind.password, window=WINDOW)
        self._client = SmppTransport(self.name, options)
        await self._client.open(events)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over to the SMSC. The transport must be open."""
        assert self._client is not None
        return await self._client.send(batch)

    async def close(self) -> None:
        """Unbind and stop the SMSC."""
        if self._client is not None:
            await self._client.close()
        await self.smsc.stop()
