"""Mails of a sandbox that are for the house itself: they come back in by its mail server, as others do."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import aiosmtplib
import structlog

from heliograph.transports.sandbox.mailreaders import Reply

PATIENCE: Final = 30.0
log = structlog.get_logger(__name__)


class Inward:
    """Hands mails for `domains` to the mail server whose address (host and port) is in a file while it listens."""

    def __init__(self, domains: Collection[str], place: Path) -> None:
        self._domains = domains
        self._place = place

    def own(self, recipients: Sequence[str]) -> list[str]:
        """Those of the house."""
        return [one for one in recipients if one.rpartition("@")[2].lower() in self._domains]

    async def back(self, reply: Reply) -> None:
        """Hand in what a reader or a host of the sandbox answers, if it is for the house."""
        if self.own([reply.recipient]):
            await self.hand_in(reply.sender, [reply.recipient], reply.octets)

    async def hand_in(self, sender: str, recipients: Sequence[str], octets: bytes) -> None:
        """One mail, once: what it is refused with is in the log. `sender` is "" for the null sender."""
        try:
            host, port = self._place.read_text().split()
            client = aiosmtplib.SMTP(hostname=host, port=int(port), timeout=PATIENCE, start_tls=False)
            async with client:
                _, said = await client.sendmail(sender, list(recipients), octets)
        except (OSError, ValueError, aiosmtplib.SMTPException) as problem:
            log.warning("inward.refused", recipients=len(recipients), why=str(problem))
            return
        log.info("inward.handed_in", recipients=len(recipients), said=said)
