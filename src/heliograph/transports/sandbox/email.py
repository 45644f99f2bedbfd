"""The built-in carrier of the email channel: the SMTP transport, bound to a mail server of its own on loopback."""

from pathlib import Path

import msgspec

from heliograph.transports.base import Events
from heliograph.transports.options import SmtpOptions
from heliograph.transports.sandbox.inward import Inward
from heliograph.transports.sandbox.mailreaders import Readers
from heliograph.transports.sandbox.mailsink import MailSink
from heliograph.transports.sandbox.mailvisits import MailVisitor
from heliograph.transports.smtp.transport import SmtpTransport


class SandboxEmail(SmtpTransport):
    """Takes every mail over real SMTP and keeps it in a folder; no mail leaves the machine, and what is for the house
    itself goes `inward`: also what readers and hosts of the sandbox answer.

    `house` is the address of the server, whose pages recipients visit; "" when there is none.
    """

    def __init__(self, name: str, folder: Path, inward: Inward | None = None, house: str = "") -> None:
        super().__init__(name, SmtpOptions(host="127.0.0.1", helo="localhost", domain_pause=0.0))
        readers, visitor = Readers(inward.back) if inward else None, MailVisitor(house) if house else None
        self.sink = MailSink(folder, inward, readers, visitor)

    async def open(self, events: Events) -> None:
        """Start the mail server on a free port, then connect to it. Raises OSError when the folder cannot be made."""
        self._options = msgspec.structs.replace(self._options, port=await self.sink.start())
        await super().open(events)

    async def close(self) -> None:
        """Close the connections, then the mail server."""
        await super().close()
        await self.sink.stop()
