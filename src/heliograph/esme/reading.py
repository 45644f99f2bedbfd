"""What an ESME submits, read: addresses, text, times; and the codes of refusals. Pure.

Source: SMPP 3.4, 4.4.1 and 7.1.1; docs/smpp-server.md lists the codes.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from heliograph.accounts.account import Principal
from heliograph.channels.sms.shapes import SmsMessage
from heliograph.errors import Status
from heliograph.messaging.channel import Channel, Draft
from heliograph.messaging.deliver import VALID_UNTIL
from heliograph.transports.base import Part
from heliograph.transports.smpp import alphabet, parts, pdu
from heliograph.transports.smpp.address import text_of
from heliograph.transports.smpp.pdu import Address, PduError, ShortMessage
from heliograph.transports.smpp.session import Request

SOURCE: Final = "smpp"
"""`source` of the messages that came in over SMPP."""
TRANSPORT: Final = "(smpp server)"
"""In place of a carrier's name, for parts that customers submit; no table of heliograph.toml has such a name."""

NO_CREDIT: Final = 0x401
COUNTRY_NOT_ENABLED: Final = 0x402
OPTED_OUT: Final = 0x403
REPEATED: Final = 0x404
"""Codes of our own, in the range that the standard leaves to each SMSC (SMPP 3.4, 5.1.3)."""

CODES: Final[Mapping[str, int]] = {
    Status.SUCCESS: pdu.ESME_ROK,
    Status.INVALID_RECIPIENT: pdu.ESME_RINVDSTADR,
    Status.MISSING_REQUIRED_FIELDS: pdu.ESME_RINVDSTADR,
    Status.INVALID_SENDER_ID: pdu.ESME_RINVSRCADR,
    Status.EMPTY_MESSAGE: pdu.ESME_RINVMSGLEN,
    Status.INVALID_SCHEDULE: pdu.ESME_RINVSCHED,
    Status.INSUFFICIENT_CREDIT: NO_CREDIT,
    Status.COUNTRY_NOT_ENABLED: COUNTRY_NOT_ENABLED,
    Status.OPTED_OUT: OPTED_OUT,
    Status.THROTTLED: REPEATED,
}
"""The status that HTTP shows -> command_status. Not ESME_RTHROTTLED for a repeated text: an ESME would try again, and
double it.
"""

_TIME: Final = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\d(\d\d)([+\-R])", re.ASCII)


class Refused(Exception):
    """A request that cannot be served; `status` is the command_status of its response."""

    def __init__(self, status: int) -> None:
        super().__init__(pdu.status_name(status))
        self.status = status


class Submit(msgspec.Struct, kw_only=True):
    """A submit_sm that can be placed: a whole message, or a `part` of one (then `draft` only proves its addresses).

    `source` and `dest` are as the ESME wrote them (`address_text`). `valid_until` is in Unix seconds, 0: no limit.
    """

    given: SmsMessage
    draft: Draft
    registered: int
    source: str
    dest: str
    valid_until: int = 0
    part: Part | None = None


def read(channel: Channel, who: Principal, system_id: str, request: Request, now: float) -> Submit:
    """Read a submit_sm or data_sm. `now` is in Unix seconds. Raises Refused."""
    try:
        message = pdu.decode_short_message(request.command, request.body)
    except PduError:
        raise Refused(pdu.ESME_RINVPARLEN) from None
    if alphabet.is_binary(message.data_coding):
        raise Refused(pdu.ESME_RINVDCS)
    schedule, valid_until = _times(message, now)
    place, octets = parts.take_apart(message)
    text = "-" if place else alphabet.decode(octets, message.data_coding, "gsm")
    given = SmsMessage(
        to=text_of(message.dest),
        from_=text_of(message.source) or None,
        body=text,
        source=SOURCE,
        schedule=schedule or None,
    )
    submit = Submit(
        given=given,
        draft=drafted(channel, who, given, valid_until, now),
        registered=message.registered_delivery & 3,
        source=address_text(message.source),
        dest=address_text(message.dest),
        valid_until=valid_until,
    )
    if place is not None:
        ends = f"{system_id} {submit.source}", submit.dest
        submit.part = Part(
            TRANSPORT, *ends, place.reference, place.total, place.number, message.data_coding, octets, int(now)
        )
    if submit.draft.refusal is not None:
        raise Refused(code_of(submit.draft.refusal))
    return submit


def drafted(channel: Channel, who: Principal, given: SmsMessage, valid_until: int, now: float) -> Draft:
    """The draft of a text. One that would be cut is refused: who submits it has been told of no limit."""
    draft = channel.draft(who, given, now)
    text = given.body or ""
    if draft.refusal is None and len(draft.body) < len(text) and text.startswith(draft.body):
        draft.refusal = Status.EMPTY_MESSAGE
    if valid_until:
        draft.details = (draft.details or {}) | {VALID_UNTIL: valid_until}
    return draft


def code_of(status: str) -> int:
    """The command_status of a status."""
    return CODES.get(status, pdu.ESME_RSUBMITFAIL)


def _times(message: ShortMessage, now: float) -> tuple[int, int]:
    """When to send (0: now) and until when. Raises Refused."""
    try:
        schedule = moment(message.schedule, now)
    except ValueError:
        raise Refused(pdu.ESME_RINVSCHED) from None
    try:
        valid_until = moment(message.validity, now)
    except ValueError:
        raise Refused(pdu.ESME_RINVEXPIRY) from None
    if valid_until and valid_until <= max(now, schedule):
        raise Refused(pdu.ESME_RINVEXPIRY)
    return schedule, valid_until


def moment(text: str, now: float) -> int:
    """Unix seconds of a time as SMPP 3.4, 7.1.1 writes it, absolute or relative to `now`; 0 for an empty one.

    A relative year has 365 days, a month 30. Raises ValueError.
    """
    if not text:
        return 0
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    *digits, kind = found.groups()
    year, month, day, hour, minute, second, quarters = map(int, digits)
    if kind == "R":
        days = year * 365 + month * 30 + day
        return int(now) + int(timedelta(days=days, hours=hour, minutes=minute, seconds=second).total_seconds())
    if quarters > 48:
        raise ValueError(text)
    ahead = timedelta(minutes=15 * quarters) * (1 if kind == "+" else -1)
    return int((datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC) - ahead).timestamp())


def address_text(address: Address) -> str:
    """An address as one text: TON, NPI and what the ESME wrote."""
    return f"{address.ton} {address.npi} {address.text}"


def address_in(text: str) -> Address:
    """The address of such a text."""
    ton, npi, written = text.split(" ", 2)
    return Address(int(ton), int(npi), written)
