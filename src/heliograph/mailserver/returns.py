"""The desk for what comes back: bounces, complaints and unsubscribes of mails that the house has sent.

Each mail has a return path of its own (mail/verp.py), so a bounce is known by the address that it comes to; nobody else
can make such an address, and what comes to another one counts nothing. A complaint also comes to `complaints@`, as mail
hosts are asked to send them; the return path that it quotes must be a good one.
"""

import asyncio
from collections.abc import Collection
from typing import Final

import structlog

from heliograph.accounts.vault import Vault
from heliograph.channels.email.draft import NAME
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.mail import feedback, readers, suppressions
from heliograph.mail.feedback import Feedback
from heliograph.mail.verp import BOUNCE, UNSUBSCRIBE, Purpose, Verp
from heliograph.mailserver.desk import Arrived, Recipient, Visit
from heliograph.messaging import message, receipts
from heliograph.messaging.hooks import Hooks
from heliograph.messaging.rows import Message
from heliograph.settings import Settings
from heliograph.transports.base import MessageKey, Receipt, ReceiptState

COMPLAINTS: Final = "complaints"
"""Local part of the address that feedback loops are registered with."""
AT_ONCE: Final = 4
"""Mails that are read at the same time."""
UNNAMED: Final = "bounce"
"""`error_code` of a bounce that names no status."""

STATES: dict[feedback.Kind, ReceiptState] = {
    feedback.FAILED: "failed",
    feedback.DELAYED: "delayed",
    feedback.COMPLAINT: "complaint",
}

log = structlog.get_logger(__name__)


class ReturnsDesk:
    """A desk (desk.py)."""

    def __init__(self, options: Settings, database: Database, vault: Vault, hooks: Hooks) -> None:
        self._domain = options.bounce_domain.lower()
        self._database = database
        self._hooks = hooks
        purposes: tuple[Purpose, ...] = (BOUNCE, UNSUBSCRIBE)
        self._paths = {purpose: Verp(vault, self._domain, purpose) for purpose in purposes}
        self._room = asyncio.Semaphore(AT_ONCE)

    @property
    def domains(self) -> Collection[str]:
        """The domain of return paths."""
        return (self._domain,)

    async def knows(self, visit: Visit, recipient: Recipient) -> bool:
        """An address that the house has made, or the one for complaints."""
        return recipient.local.lower() == COMPLAINTS or any(self._meant(recipient))

    def _meant(self, recipient: Recipient) -> tuple[str | None, ...]:
        """The message that an address leads back to, by purpose."""
        return tuple(path.message_id(str(recipient)) for path in self._paths.values())

    async def take(self, arrived: Arrived) -> str:
        """Note what a mail says of the messages that it is about. Nobody is answered."""
        told = []
        for recipient in arrived.recipients:
            bounced, wished = self._meant(recipient)
            async with self._room:
                said = await asyncio.to_thread(feedback.read, arrived.octets, at=UNSUBSCRIBE if wished else BOUNCE)
            quoted = self._paths[BOUNCE].message_id(said.original.envelope_sender)
            told.append((bounced or wished or quoted, said))
        await self._database.write(lambda tx: self._note(tx, told), urgent=False, slow=True)
        return "2.0.0 Noted"

    def _note(self, tx: Tx, told: list[tuple[str | None, Feedback]]) -> None:
        for message_id, said in told:
            row = _found(tx, message_id) if message_id else None
            if row is None:
                log.info("returns.of_no_message", kind=said.kind)
            elif said.kind in STATES:
                receipts.apply(tx, [_receipt(tx, row, said)], self._hooks)
            elif said.kind == feedback.WISH:
                _unsubscribe(tx, row)
            else:
                log.info("returns.ignored", kind=said.kind, message=row.message_id)


def _found(tx: Tx, message_id: str) -> Message | None:
    """A mail by its id, whoever has sent it."""
    rows = (message.find(tx, user_id, message_id) for user_id in message.owners(tx, message_id))
    return next((row for row in rows if row is not None and row.channel == NAME), None)


def _receipt(tx: Tx, row: Message, said: Feedback) -> Receipt:
    """What a mail says, as the receipt of a carrier. The words are those of the host that refused."""
    key = MessageKey(row.user_id, row.channel, row.message_id)
    words = said.words or "The mail host gave no reason"
    return Receipt("", "", STATES[said.kind], tx.now, error=said.status or UNNAMED, raw=words, key=key)


def _unsubscribe(tx: Tx, row: Message) -> None:
    """The recipient of a mail wants no more campaigns of its account; one that was sent by itself says so, too."""
    if readers.unsubscribe(tx, row.message_id, message.record):
        return
    if suppressions.add(tx, row.user_id, [row.recipient], suppressions.UNSUBSCRIBE, message_id=row.message_id):
        message.record(tx, [(*row.key, row.status, "The recipient has unsubscribed by mail.")])
