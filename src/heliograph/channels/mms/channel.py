"""What is particular to MMS: reading a message out of a request, its subject, the picture for a carrier."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from heliograph import phone
from heliograph.accounts.account import Principal
from heliograph.channels import linked
from heliograph.channels.mms.shapes import LARGEST_FILE, LONGEST_SUBJECT, SHEET, CampaignMms, PicturedMms, link
from heliograph.channels.sms.channel import GSM, UCS2
from heliograph.channels.sms.segments import is_gsm
from heliograph.channels.sms.shapes import DELIVERED
from heliograph.channels.telephone import Telephone
from heliograph.contacts import audience
from heliograph.contacts.audience import Member
from heliograph.db.engine import Tx
from heliograph.errors import Status, Unavailable
from heliograph.files import store
from heliograph.files.convert import Busy
from heliograph.files.shrink import Picture, Shrink
from heliograph.files.store import FileStore
from heliograph.files.task import Refused, Unfinished
from heliograph.links.link import Shortener
from heliograph.media import Medium
from heliograph.messaging import dates, inbound
from heliograph.messaging.channel import Charge, Draft, Order, Words
from heliograph.messaging.rows import Message
from heliograph.settings import Settings
from heliograph.transports.base import Failed, Inbound, Limits, Media, Mms, Retry

NAME = "mms"
LONGEST_GSM, LONGEST_UNICODE = 1500, 500
"""Characters of a text; the rest is cut. Source: api-v3, "Send MMS"."""

_CHARGES = (Charge("message", 1),)
_AWAY = 30.0
"""Seconds until a message is tried again whose picture cannot be read at the moment."""


class MmsChannel:
    """The MMS channel. It makes drafts, and reads pictures for carriers."""

    name = NAME
    medium: Medium = "mms"
    words = Words(
        sent="Message sent to the network for delivery",
        taken="Accepted for delivery",
        delivered=DELIVERED,
        undelivered="undelivered by the carrier",
    )
    sheet = SHEET
    receipt_rules = "sms-receipts"
    inbound_rules = "sms-inbound"
    counted_as = "mms"
    unconfirmed = False
    lasting = False
    validity: float | None = None

    def __init__(self, settings: Settings, files: FileStore, shrink: Shrink) -> None:
        self._telephone = Telephone(settings)
        self._shortener = Shortener(settings)
        self._files = files
        self._shrink = shrink
        self._life = settings.mms_days * 24 * 3600
        self._public = settings.public_url.rstrip("/")

    def draft(self, who: Principal, given: PicturedMms, now: float) -> Draft:
        """What a request asks for, or the first reason to refuse it. Recipient before sender (facts B)."""
        subject = (given.subject or "").strip()[:LONGEST_SUBJECT]
        draft = Draft(
            recipient=given.to or "",
            sender=given.from_ or "",
            body=given.body or "",
            custom_string=given.custom_string or "",
            from_email=given.from_email or None,
            source=given.source or "",
            details={"subject": subject, "file": given.picture.file_name, "type": given.picture.content_type},
        )
        draft.refusal = self._telephone.address(draft, who, given)
        if draft.refusal is None:
            draft.refusal = self._refusal(draft, given, subject, now)
        return draft

    def _refusal(self, draft: Draft, given: PicturedMms, subject: str, now: float) -> str | None:
        """Fill the rest of a draft in; the first reason to refuse it."""
        if not subject:
            return Status.SUBJECT_REQUIRED
        if given.picture.refusal:
            draft.why = f"The file cannot be sent: {given.picture.refusal}"
            return Status.INVALID_MEDIA_FILE
        schedule = dates.scheduled(given.schedule, now)
        if schedule is None:
            return Status.INVALID_SCHEDULE
        links = given.links if isinstance(given, CampaignMms) else ()
        if links and not self._shortener.domain:
            return Status.SOMETHING_IS_WRONG
        plain = is_gsm(draft.body[:LONGEST_GSM])
        draft.encoding = GSM if plain else UCS2
        draft.body = draft.body[: LONGEST_GSM if plain else LONGEST_UNICODE]
        draft.schedule = schedule
        draft.links = tuple(link for link in links if link.code in draft.body)
        if phone.is_test(draft.recipient):
            draft.free, draft.units = True, 0
        else:
            draft.charges = _CHARGES
        return None

    def personal(self, given: PicturedMms) -> Callable[[Member], PicturedMms]:
        """A message to a list, addressed to the phone number of one contact."""
        entitle = audience.personal(given.subject or "")
        plain = audience.personal(given.body or "")
        url = given.url_to_shorten if isinstance(given, CampaignMms) else ""
        write = linked.writer(self._shortener, given.body or "", url) if isinstance(given, CampaignMms) else None

        def address(member: Member) -> PicturedMms:
            subject = entitle(member) if given.subject else None
            addressed = {"list_id": None, "to": member["phone_number"] or "", "subject": subject}
            if write is None:
                return msgspec.structs.replace(given, **addressed, body=plain(member))
            body, links = write(member)
            return msgspec.structs.replace(given, **addressed, body=body, links=links)

        return address

    def judge(self, tx: Tx, orders: Sequence[Order]) -> None:
        """Refuse the senders that belong to other accounts, and keep the pictures of what goes out."""
        self._telephone.judge(tx, orders)
        for order in orders:
            good = [draft for draft in order.drafts if draft.refusal is None and draft.details]
            names = {(draft.details or {})["file"] for draft in good}
            until = max((draft.schedule for draft in good), default=0) or tx.now
            gone = {
                name
                for name in names
                if not order.quote
                and not store.keep(tx, order.principal.user_id, name.partition(".")[0], until + self._life)
            }
            for draft in good if gone else ():
                if (draft.details or {})["file"] in gone:
                    draft.refusal, draft.why = Status.INVALID_MEDIA_FILE, "The file is gone."

    async def contents(self, messages: Sequence[Message], limits: Limits) -> Sequence[Mms | Retry | Failed]:
        """The picture of each message, which is read (and made smaller, if need be) once for all that have it."""
        pictures: dict[str, Media | Retry | Failed] = {}
        made: list[Mms | Retry | Failed] = []
        for row in messages:
            known = row.known()
            name = known["file"]
            if name not in pictures:
                pictures[name] = await self._picture(name, known["type"], limits)
            picture = pictures[name]
            made.append(Mms(known["subject"], row.body, (picture,)) if isinstance(picture, Media) else picture)
        return made

    async def _picture(self, name: str, content_type: str, limits: Limits) -> Media | Retry | Failed:
        try:
            octets = await asyncio.to_thread(self._files.read, name.partition(".")[0], 0, LARGEST_FILE)
            picture = await self._shrink(Picture(name, content_type, octets), limits)
        except FileNotFoundError:
            return Failed(None, "The picture is not kept any more")
        except (OSError, Unavailable):
            return Retry(_AWAY, "The picture cannot be read at the moment")
        except (Busy, Unfinished):
            return Retry(_AWAY, "The picture cannot be made smaller at the moment")
        except Refused as why:
            return Failed(None, f"The picture cannot be made as small as the carrier takes it: {why}".rstrip("."))
        url = link(self._public, picture.file_name) if self._public else ""
        return Media(f"picture.{picture.file_name.rpartition('.')[2]}", picture.content_type, picture.octets, url)

    def original(self, tx: Tx, arrived: Inbound, holder: int | None) -> Message | None:
        """The newest message from the number that was written to, to the number that wrote."""
        return inbound.by_number(tx, arrived, holder)
