"""What a carrier says by HTTP requests of its own: who may, and receipts and replies as the settings map them."""

import hmac
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import msgspec
import structlog
from yarl import URL

from heliograph.media import Medium
from heliograph.transports.base import LONGEST_ID, Answer, Events, Inbound, Media, Receipt, ReceiptState, Told
from heliograph.transports.http.client import LONGEST_WORDS
from heliograph.transports.http.template import document, every, found
from heliograph.transports.options import HttpOptions, HttpReceipts, HttpReplies, Mm7Options

log = structlog.get_logger(__name__)


def admits(options: HttpOptions | Mm7Options, authorization: str) -> bool:
    """Whether a carrier may report: HTTP Basic (RFC 7617), with the credentials that the options name for it."""
    scheme, _, given = authorization.partition(" ")
    try:
        shown = b64decode(given.strip(), validate=True)
    except ValueError:
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
        if not 0 < len(remote_id) <= LONGEST_ID or not word:
            return None
        state: ReceiptState = (
            "delivered" if word in where.delivered else "failed" if word in where.failed else "enroute"
        )
        error = found(said, where.error)[:LONGEST_WORDS]
        return Receipt(self._name, remote_id, state, int(time.time()), error or None, word[:LONGEST_WORDS])

    def _reply(self, said: object, where: HttpReplies) -> Inbound | None:
        sender, recipient = found(said, where.sender), found(said, where.recipient)
        if not sender or not recipient:
            return None
        text, subject = found(said, where.text), found(said, where.subject)
        links = tuple(self._with_login(link) for link in every(said, where.media))
        media = tuple(self._files(every(said, where.content)))
        channel: Medium = (
            "mms" if (links or media or subject) and "mms" in self._options.carries else self._options.carries[0]
        )
        return Inbound(
            transport=self._name,
            channel=channel,
            sender=sender,
            recipient=recipient,
            body=text or subject,
            at=int(time.time()),
            details={"subject": subject} if subject else None,
            media=media,
            links=links,
            reference=found(said, where.id),
        )

    def _files(self, contents: Sequence[str]) -> Iterator[Media]:
        """Files that came along. What is no base64 is left out, and the log says so."""
        for content in contents:
            try:
                octets = b64decode(content.partition(";base64,")[2] or content, validate=True)
            except ValueError:
                log.warning("http.file_not_understood", transport=self._name, characters=len(content))
            else:
                yield Media("file", "", octets)

    def _with_login(self, link: str) -> str:
        """A link with our name and password for the carrier, if it leads to the very server that takes our messages."""
        options = self._options
        try:
            given, ours = URL(link), URL(options.url)
            same = (given.scheme, given.host, given.port) == (ours.scheme, ours.host, ours.port)
            plain = given.user is None and given.password is None
        except ValueError:
            return link
        if not (options.username and same and plain):
            return link
        scheme, mark, rest = link.partition("://")
        return f"{scheme}{mark}{quote(options.username, safe='')}:{quote(options.password, safe='')}@{rest}"
