"""What is particular to SMS: reading a message out of a request, sender IDs, segments, the content for a carrier."""

from collections.abc import Callable, Sequence

import msgspec
import structlog

from heliograph import phone, webaddress
from heliograph.accounts.account import Principal
from heliograph.channels import linked
from heliograph.channels.sms import segments
from heliograph.channels.sms.shapes import DELIVERED, SHEET, CampaignText, ShortenedText, SmsMessage
from heliograph.channels.telephone import Telephone
from heliograph.contacts import audience
from heliograph.contacts.audience import Member
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.links.link import URL, NewLink, Shortener
from heliograph.media import Medium
from heliograph.messaging import dates, inbound
from heliograph.messaging.channel import Charge, Draft, Order, Words
from heliograph.messaging.rows import Message
from heliograph.settings import Settings
from heliograph.transports.base import Inbound, Limits, SmsText

NAME = "sms"
MOST_PARTS = 8
"""Segments that a message can have at the most (facts F7)."""

GSM, UCS2 = "gsm", "ucs2"
"""`messages.encoding`: the alphabet of a text."""

_CHARGES = tuple((Charge("message", units),) for units in range(MOST_PARTS + 1))
"""What a message of so many segments costs, made once: a request has a thousand of them."""

LONGEST_SHORTENED = 250
"""Characters of a URL that `shorten_urls` takes (facts G6); a longer one stays as it is."""

log = structlog.get_logger(__name__)


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
    counted_as = "sms"
    unconfirmed = False
    lasting = False
    validity: float | None = None

    def __init__(self, settings: Settings) -> None:
        self._telephone = Telephone(settings)
        self._unicode = settings.unicode_sms == "always"
        self._shortener = Shortener(settings)

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
        refusal = self._telephone.address(draft, who, given)
        if refusal is not None:
            return _refuse(draft, refusal)
        links: tuple[NewLink, ...] = ()
        if type(given) is not SmsMessage:
            body, links = self._linked(given, body)
        if links and not self._shortener.domain:
            log.warning("links.no_domain", why="HELIOGRAPH_LINK_DOMAIN is not set, so no message can have a link.")
            return _refuse(draft, Status.SOMETHING_IS_WRONG)
        if not (who.unicode or self._unicode):
            body = segments.plain(body[: MOST_PARTS * 1000])  # far more than fits: each character is looked at
        if not body.strip():
            return _refuse(draft, Status.EMPTY_MESSAGE)
        schedule = dates.scheduled(given.schedule, now)
        if schedule is None:
            return _refuse(draft, Status.INVALID_SCHEDULE)
        measured = segments.measure(body, min(max(who.char_limit, 1), MOST_PARTS))
        draft.body, draft.units = measured.text, measured.count
        draft.encoding = UCS2 if measured.unicode else GSM
        draft.schedule = schedule
        if links:
            draft.links = tuple(link for link in links if link.code in measured.text)
        if phone.is_test(draft.recipient):
            draft.free, draft.units = True, 0
        draft.awaits = draft.units
        draft.charges = _CHARGES[draft.units]
        return draft

    def personal(self, given: SmsMessage) -> Callable[[Member], SmsMessage]:
        """A message to a list, addressed to the phone number of one contact; a campaign's has links of its own."""
        if isinstance(given, CampaignText):
            return self._personal_campaign(given)
        write = audience.personal(given.body or "")

        def address(member: Member) -> SmsMessage:
            return msgspec.structs.replace(given, list_id=None, to=member["phone_number"] or "", body=write(member))

        return address

    def _personal_campaign(self, given: CampaignText) -> Callable[[Member], SmsMessage]:
        write = linked.writer(self._shortener, given.body or "", given.url_to_shorten)

        def address(member: Member) -> SmsMessage:
            body, links = write(member)
            return msgspec.structs.replace(given, list_id=None, to=member["phone_number"] or "", body=body, links=links)

        return address

    def _linked(self, given: SmsMessage, body: str) -> tuple[str, tuple[NewLink, ...]]:
        """The text as it goes out, and the short links in it."""
        if isinstance(given, CampaignText):
            return body, given.links
        at = webaddress.first(body) if isinstance(given, ShortenedText) else None
        if at is None or at.stop - at.start > LONGEST_SHORTENED or webaddress.problem(body[at]):
            return body, ()
        link = self._shortener.new(URL, body[at])
        return body[: at.start] + self._shortener.shown(link) + body[at.stop :], (link,)

    def judge(self, tx: Tx, orders: Sequence[Order]) -> None:
        """Refuse the senders that belong to other accounts."""
        self._telephone.judge(tx, orders)

    async def contents(self, messages: Sequence[Message], limits: Limits) -> Sequence[SmsText]:
        """The segments of each text."""
        return [SmsText(segments.split(row.body, row.encoding == UCS2), row.encoding == UCS2) for row in messages]

    def original(self, tx: Tx, arrived: Inbound, holder: int | None) -> Message | None:
        """The newest message from the number that was written to, to the number that wrote."""
        return inbound.by_number(tx, arrived, holder)


def _refuse(draft: Draft, status: str) -> Draft:
    draft.refusal = status
    return draft
