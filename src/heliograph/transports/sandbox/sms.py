"""The built-in SMS carrier: a simulated SMSC on loopback, reached over real SMPP."""

from collections.abc import Sequence

from heliograph.settings import SmppOptions
from heliograph.transports.base import Events, Outcome, Outgoing
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp.transport import SmppTransport


class SandboxSms:
    """A transport with its own peer."""

    capacity = 400

    def __init__(self, name: str) -> None:
        self.name = name
        self.smsc = SimulatedSmsc()
        self._inner: SmppTransport | None = None

    @property
    def ready(self) -> bool:
        """Whether the inner transport is bound."""
        return self._inner is not None and self._inner.ready

    async def open(self, events: Events) -> None:
        """Start the SMSC and bind to it."""
        port = await self.smsc.start()
        options = SmppOptions(host="127.0.0.1", port=port, system_id="sandbox", password="sandbox", window=200)  # noqa: S106
        self._inner = SmppTransport(self.name, options)
        await self._inner.open(events)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over to the simulated SMSC."""
        assert self._inner is not None
        return await self._inner.send(batch)

    async def close(self) -> None:
        """Unbind and stop the SMSC."""
        if self._inner is not None:
            await self._inner.close()
        await self.smsc.stop()
