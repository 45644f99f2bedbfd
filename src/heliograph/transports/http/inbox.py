"""What a carrier says by HTTP requests of its own: who may, and receipts and replies as the settings map them."""

import hmac
import time
from base64 import b64decode
from binascii import Error

import msgspec
import structlog

from heliograph.media import Medium
from heliograph.transports.base import Answer, Events, Inbound, Receipt, ReceiptState, Told
from heliograph.transports.http.template import document, found
from heliograph.transports.options import HttpOptions, HttpReceipts, HttpReplies, Mm7Options

log = structlog.get_logger(__name__)


def admits(options: HttpOptions | Mm7Options, authorization: str) -> bool:
    """Whether a carrier may report: HTTP Basic (RFC 7617), with the credentials that the options name for it."""
    scheme, _, given = authorization.partition(" ")
    try:
        shown = b64decode(given.strip(), validate=True)
    except (Error, ValueError):
        return False
    known = hmac.compare_digest(shown, f"{options.inbound_username}:{options.inbound_password}".encode())
    return known and scheme.lower() == "basic" and bool(options.inbound_password)


class TemplateInbox:
    """The receiving end: receipts and replies, as the settings map them."""

    def __init__(self, name: str, options: HttpOptions) -> None:
        self._name = name
        self._options = options

    def admits(self, authorization: str) -> bool:
        """Whether a request may come in."""
        return admits(self._options, authorization)

    async def receive(self, told: Told, events: Events) -> Answer:
        """Store a receipt or a reply. What is neither is a 400, which the carrier's log shows."""
        said = document(told.headers.get("content-type", ""), told.octets, told.query)
        receipt = self._options.receipts and self._receipt(said, self._options.receipts)
        reply = self._options.replies and self._reply(said, self._options.replies)
        if receipt:
            await events.on_receipts([receipt])
        elif reply:
            await events.on_inbound(reply)
        else:
            log.warning("http.not_understood", transport=self._name, octets=len(told.octets))
            why = "This is neither a receipt nor a message, as this server is told to read them."
            return Answer(400, "application/json", msgspec.json.encode({"error": why}))
        return Answer(200, "application/json", b'{"status":"ok"}')

    def _receipt(self, said: object, where: HttpReceipts) -> Receipt | None:
        remote_id, word = found(said, where.id), found(said, where.status)
        if not remote_id or not word:
            return None
        state: ReceiptState = (
            "delivered" if word in where.delivered else "failed" if word in where.failed else "enroute"
        )
        return Receipt(self._name, remote_id, state, int(time.time()), found(said, where.error) or None, word)

    def _reply(self, said: object, where: HttpReplies) -> Inbound | None:
        sender, recipient = found(said, where.sender), found(said, where.recipient)
        if not sender or not recipient:
            return None
        channel: Medium = self._options.carries[0]
        text = found(said, where.text).replace("\0", "")
        said_again = found(said, where.id) if where.id else ""
        return Inbound(self._name, channel, sender, recipient, text, int(time.time()), reference=said_again)
