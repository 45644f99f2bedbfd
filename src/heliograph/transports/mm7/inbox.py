"""What an MMSC says by requests of its own: delivery reports, read replies, messages that arrive (MO).

Knows no socket: whoever listens gives the octets of a request and gets those of its answer. A request is acknowledged
after what it said is stored.
"""

import asyncio
import time
from datetime import datetime

import structlog

from heliograph.transports.base import LONGEST_ID, Answer, Events, Inbound, Mms, Receipt, ReceiptState, Told
from heliograph.transports.http.client import LONGEST_WORDS
from heliograph.transports.http.inbox import admits
from heliograph.transports.mm7 import envelope
from heliograph.transports.mm7.envelope import Dialect, Envelope, Malformed, Tree, local
from heliograph.transports.mm7.package import opened
from heliograph.transports.mm7.transport import SHORT_CODE, dialect_of
from heliograph.transports.options import Mm7Options

STATES: dict[str, ReceiptState] = {
    "Retrieved": "delivered",
    "Delivered": "delivered",
    "Expired": "expired",
    "Rejected": "failed",
    "DeliveryConditionNotMet": "failed",
    "Cancelled": "failed",
    "Deferred": "enroute",
    "Indeterminate": "enroute",
    "Forwarded": "enroute",
    "Unrecognised": "enroute",
}
"""MMStatus of a delivery report, and what it means for the message. Any other leaves it on its way."""

READ, DELETED = "Read by the recipient", "Deleted by the recipient, perhaps without being read"
"""Words of a read reply in the timeline."""

SHOWN = ("true", "1", "True")
"""Values of `displayOnly`: an address that is no recipient of this message."""

LARGE = 100_000
"""Bytes of a request from which on it is taken apart beside the event loop."""

XML = "text/xml; charset=utf-8"

log = structlog.get_logger(__name__)


class Mm7Inbox:
    """The receiving end of one MM7 transport."""

    def __init__(self, name: str, options: Mm7Options) -> None:
        self._name = name
        self._options = options
        self._dialect = dialect_of(options)

    def admits(self, authorization: str) -> bool:
        """Whether a request may come in."""
        return admits(self._options, authorization)

    async def receive(self, told: Told, events: Events) -> Answer:
        """Store what a request says, and answer it. Raises what `events` raises: then nothing is stored."""
        request: Envelope | None = None
        try:
            kind = told.headers.get("content-type", "")
            if len(told.octets) > LARGE:
                soap, message = await asyncio.to_thread(opened, kind, told.octets)
            else:
                soap, message = opened(kind, told.octets)
            request = envelope.read(soap, self._dialect.namespace)
            if request.name == "DeliveryReportReq":
                await events.on_receipts([self._report(request)])
            elif request.name == "ReadReplyReq":
                await events.on_receipts([self._read_reply(request)])
            elif request.name == "DeliverReq":
                await events.on_inbound(self._arrived(request, message))
            else:
                raise Malformed(f"{request.name} is not taken here")
        except Malformed as problem:
            log.warning("mm7.malformed", transport=self._name, problem=str(problem))
            return self._fault(str(problem), request)
        return self._done(request)

    def _report(self, request: Envelope) -> Receipt:
        status = request.text("MMStatus")
        words = " ".join(filter(None, (status, request.text("StatusText"))))
        state = STATES.get(status, "enroute")
        return Receipt(
            self._name,
            _required(request, "MessageID"),
            state,
            _seconds(request.text("Date") or request.text("TimeStamp")),
            error=status if state in ("failed", "expired") else None,
            raw=words[:LONGEST_WORDS],
        )

    def _read_reply(self, request: Envelope) -> Receipt:
        at = _seconds(request.text("TimeStamp"))
        words = DELETED if request.text("MMStatus") == "Deleted" else READ
        return Receipt(self._name, _required(request, "MessageID"), "enroute", at, raw=words)

    def _arrived(self, request: Envelope, message: Mms) -> Inbound:
        subject = request.text("Subject")
        details = {"subject": subject} if subject else None
        stamp = request.text("TimeStamp")
        return Inbound(
            transport=self._name,
            channel="mms",
            sender=_address(request, "Sender"),
            recipient=_address(request, "Recipients", "To"),
            body=message.text or subject,
            at=_seconds(stamp),
            details=details,
            media=message.media,
            reference=f"{request.transaction_id} {stamp}" if request.transaction_id and stamp else "",
        )

    def _done(self, request: Envelope) -> Answer:
        """The answer to a request, by the same TransactionID, in the release that it came in."""
        dialect = self._dialect_of(request)
        status: Tree = [("StatusCode", str(envelope.SUCCESS)), ("StatusText", "Success")]
        name = request.name.removesuffix("Req") + "Rsp"
        tree: Tree = [("MM7Version", dialect.version), ("Status", status)]
        return Answer(200, XML, envelope.write(dialect, name, request.transaction_id, tree))

    def _dialect_of(self, request: Envelope) -> Dialect:
        return Dialect(request.dialect.namespace, request.dialect.version or self._dialect.version)

    def _fault(self, why: str, request: Envelope | None) -> Answer:
        """The answer to what cannot be taken; by its TransactionID and release, as far as they could be read."""
        dialect, transaction_id = self._dialect, ""
        if request is not None:
            dialect, transaction_id = self._dialect_of(request), request.transaction_id
        code, words = str(envelope.CORRUPT), "Message format corrupt"
        status: Tree = [("StatusCode", code), ("StatusText", words), ("Details", why)]
        tree: Tree = [("MM7Version", dialect.version), ("Status", status)]
        return Answer(400, XML, envelope.write(dialect, "RSErrorRsp", transaction_id, tree, fault=True))


def _required(request: Envelope, name: str) -> str:
    found = request.text(name)
    if not 0 < len(found) <= LONGEST_ID:
        raise Malformed(f"{request.name} has no {name} of up to {LONGEST_ID} characters")
    return found


def _address(request: Envelope, *path: str) -> str:
    """The number or short code at a place. MMSCs write it with or without a plus, with a type behind a slash, and some
    without an element of its own (facts O3). Who is only shown, as others in a group, is not meant.
    """
    place = request.child(*path)
    given = [] if place is None else [(local(one), one.text) for one in place if one.get("displayOnly") not in SHOWN]
    if place is not None:
        given.append(("", place.text))
    for kind, text in given:
        found = (text or "").strip().partition("/")[0]
        digits = found.removeprefix("+")
        if digits.isascii() and digits.isdigit():
            return digits if kind == "ShortCode" or len(digits) <= SHORT_CODE else f"+{digits}"
        if found:
            return found
    raise Malformed(f"{request.name} has no {path[-1]}")


def _seconds(stamp: str) -> int:
    """Unix seconds of an XML date; now when it cannot be read."""
    try:
        return int(datetime.fromisoformat(stamp.strip()).timestamp())
    except (ValueError, OverflowError, OSError):
        return int(time.time())
