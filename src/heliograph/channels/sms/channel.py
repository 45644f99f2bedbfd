"""What is particular to SMS: reading a message out of a request, sender IDs, segments, the content for a carrier."""

import re
import zlib
from collections.abc import Callable, Sequence

import msgspec

from heliograph import phone
from heliograph.accounts.account import Principal
from heliograph.accounts.countries import selection
from heliograph.channels.schedule import due
from heliograph.channels.sms import segments
from heliograph.channels.sms.senders import refuse_foreign
from heliograph.channels.sms.shapes import DELIVERED, SHEET, SmsMessage
from heliograph.contacts import audience
from heliograph.contacts.audience import Member
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.media import Medium
from heliograph.messaging import inbound
from heliograph.messaging.channel import Charge, Draft, Order, Words
from heliograph.messaging.rows import Message
from heliograph.settings import Settings
from heliograph.transports.base import Inbound, SmsText

NAME = "sms"
MOST_PARTS = 8
"""Segments that a message can have at the most (facts F7)."""

GSM, UCS2 = "gsm", "ucs2"
"""`messages.encoding`: the alphabet of a text."""

_CHARGES = tuple((Charge("message", units),) for units in range(MOST_PARTS + 1))
"""What a message of so many segments costs, made once: a request has a thousand of them."""

NO_COUNTRY = "001"
"""What satellite and other global networks have for a country: there is no price for it."""

_ALPHANUMERIC = re.compile(r"[A-Za-z0-9._&'+*#@!?-]{1,11}", re.ASCII)
_DIGITS = re.compile(r"\+?\d{3,15}", re.ASCII)


class Sms:
    """The SMS channel. It makes drafts; it knows the settings and nothing of the database."""

    name = NAME
    medium: Medium = "sms"
    words = Words(
        sent="Message sent to the network for delivery",
        taken="Accepted for delivery",
        delivered=DELIVERED,
        undelivered="undelivered by the carrier",
    )
    sheet = SHEET
    receipt_rules = "sms-receipts"
    inbound_rules = "sms-inbound"
    late_failures = False
    lasting = False
    validity: float | None = None

    def __init__(self, settings: Settings) -> None:
        self._home_only = settings.countries == "home"
        self._unicode = settings.unicode_sms == "always"
        self._shared: dict[str, list[str]] = {}
        for number in filter(None, (part.strip() for part in settings.shared_senders.split(","))):
            self._shared.setdefault(_country(number), []).append(number)
        self.shared = [number for numbers in self._shared.values() for number in numbers]

    def draft(self, who: Principal, given: SmsMessage, now: float) -> Draft:
        """What a request asks for, or the first reason to refuse it. Recipient before sender (facts B)."""
        body = given.body or ""
        draft = Draft(
            recipient=given.to or "",
            sender=given.from_ or "",
            body=body,
            custom_string=given.custom_string or "",
            from_email=given.from_email or None,
            source=given.source or "",
        )
        if given.list_id is not None and not given.to:
            # It stands for the whole list until channels/audience.py has found it in the account.
            return _refuse(draft, Status.NOT_ENOUGH_PERMISSION_TO_LIST_ID)
        if not given.to:
            return _refuse(draft, Status.MISSING_REQUIRED_FIELDS)
        number = phone.parse(given.to, (given.country or who.country).upper())
        if number is None or number.country == NO_COUNTRY:
            return _refuse(draft, Status.INVALID_RECIPIENT)
        draft.recipient, draft.country = number.number, number.country
        draft.carrier = phone.carrier(number)
        sender = self._sender(draft, who.numbers)
        if sender is None:
            return _refuse(draft, Status.INVALID_SENDER_ID)
        draft.sender = sender
        if not selection.allows(who, draft.country, self._home_only):
            draft.units = 0
            return _refuse(draft, Status.COUNTRY_NOT_ENABLED)
        if not (who.unicode or self._unicode):
            body = segments.plain(body[: MOST_PARTS * 1000])  # far more than fits: each character is looked at
        if not body.strip():
            return _refuse(draft, Status.EMPTY_MESSAGE)
        schedule = due(given.schedule, now)
        if schedule is None:
            return _refuse(draft, Status.INVALID_SCHEDULE)
        measured = segments.measure(body, min(max(who.char_limit, 1), MOST_PARTS))
        draft.body, draft.units = measured.text, measured.count
        draft.encoding = UCS2 if measured.unicode else GSM
        draft.schedule = schedule
        if phone.is_test(number.number):
            draft.free, draft.units = True, 0
        draft.awaits = draft.units
        draft.charges = _CHARGES[draft.units]
        return draft

    def personal(self, given: SmsMessage) -> Callable[[Member], SmsMessage]:
        """A message to a list, addressed to the phone number of one contact."""
        write = audience.personal(given.body or "")

        def address(member: Member) -> SmsMessage:
            return msgspec.structs.replace(given, list_id=None, to=member["phone_number"] or "", body=write(member))

        return address

    def judge(self, tx: Tx, orders: Sequence[Order]) -> None:
        """Refuse the senders that belong to other accounts."""
        refuse_foreign(tx, orders, self.shared)

    async def contents(self, messages: Sequence[Message]) -> Sequence[SmsText]:
        """The segments of each text."""
        return [SmsText(segments.split(row.body, row.encoding == UCS2), row.encoding == UCS2) for row in messages]

    def original(self, tx: Tx, arrived: Inbound, holder: int | None) -> Message | None:
        """The newest message from the number that was written to, to the number that wrote."""
        return inbound.by_number(tx, arrived, holder)

    def _sender(self, draft: Draft, own: Sequence[str]) -> str | None:
        """The sender ID as it goes out, None for an invalid one (facts F1, F2).

        When none is given, a number that the account has bought, one of the recipient's country if there is one; an
        account without numbers shares those of the house.
        """
        given = draft.sender.strip()
        if not given:
            near = [number for number in own if _country(number) == draft.country] if own else []
            pool = near or own or self._shared.get(draft.country) or self.shared
            return pool[zlib.crc32(draft.recipient.encode()) % len(pool)] if pool else None
        if _DIGITS.fullmatch(given):
            return given
        compact = re.sub(r"[\s()-]", "", given)
        if _DIGITS.fullmatch(compact):
            return compact
        return given if _ALPHANUMERIC.fullmatch(given) else None


def _country(number: str) -> str:
    known = phone.parse(number)
    return known.country if known else ""


def _refuse(draft: Draft, status: str) -> Draft:
    draft.refusal = status
    return draft
