"""The built-in mail carrier: a mail sink on loopback, reached over real SMTP."""

from collections.abc import Sequence
from pathlib import Path

from heliograph.settings import SmtpOptions
from heliograph.transports.base import Events, Outcome, Outgoing
from heliograph.transports.sandbox.mailsink import MailSink
from heliograph.transports.smtp.transport import SmtpTransport


class SandboxEmail:
    """A transport with its own peer."""

    capacity = 20

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._sink = MailSink(folder)
        self._inner: SmtpTransport | None = None

    @property
    def ready(self) -> bool:
        """Whether the sink listens."""
        return self._inner is not None

    async def open(self, events: Events) -> None:
        """Start the sink."""
        port = await self._sink.start()
        self._inner = SmtpTransport(self.name, SmtpOptions(host="127.0.0.1", port=port))
        await self._inner.open(events)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over to the sink."""
        assert self._inner is not None
        return await self._inner.send(batch)

    async def close(self) -> None:
        """Leave and stop the sink."""
        if self._inner is not None:
            await self._inner.close()
        await self._sink.stop()
