"""The MMS sections: messages (endpoints 90 to 93) and campaigns (94 to 99)."""

from collections.abc import Collection, Sequence

import msgspec

from heliograph.billing import prices
from heliograph.campaigns.api import NEEDED, Family, campaigning
from heliograph.campaigns.campaign import Row
from heliograph.campaigns.plan import Plan, Wanted
from heliograph.channels.api import sending_and_pricing
from heliograph.channels.campaign_shapes import LONGEST_BODY
from heliograph.channels.mms import campaigns as campaign_shapes
from heliograph.channels.mms import shapes
from heliograph.channels.mms.campaigns import MmsCampaign, MmsCampaignBody, MmsCampaignPrice, ViewedMmsCampaign
from heliograph.channels.mms.channel import NAME
from heliograph.channels.mms.shapes import LARGEST_FILE, MmsMessage, MmsReceipt, Picture, SendMms, SendMmsAnswer
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, Status, required
from heliograph.fields import Null
from heliograph.files.task import Refused
from heliograph.http.request import Reply, Request
from heliograph.messaging import api
from heliograph.messaging.channel import Accepted
from heliograph.settings import Settings

KINDS = ("jpeg", "gif")
"""Files that need not be uploaded first. Source: facts L."""


async def picture(req: Request, url: str | None) -> Picture:
    """The file of a request, fetched and made fit for phones. Raises BadRequest without one, Busy, Unavailable."""
    if not (url or "").strip():
        raise BadRequest({"media_file": required("media_file")})
    take = req.services.attachments.take
    try:
        found = await take(req.who.user_id, (url or "").strip(), NAME, req.base_url, only=KINDS, most=LARGEST_FILE)
    except Refused as why:
        return Picture(refusal=str(why))
    return Picture(found.file_name, found.content_type)


async def _gather(req: Request, given: SendMms) -> Sequence[MmsMessage]:
    """The messages with their picture; of too many, or none, nothing is fetched."""
    if not 0 < len(given.messages) <= shapes.MOST_MESSAGES:
        return given.messages
    return given.pictured(await picture(req, given.media_file))


async def _fetch(req: Request, wanted: Wanted, named: Collection[str]) -> Wanted:
    """A campaign with its file. Raises BadRequest: the file, or an empty subject, cannot be sent."""
    details = wanted.details
    if "subject" in named and not details["subject"].strip():
        raise BadRequest({"subject": required("subject")})
    if "media_file" not in named:
        return wanted
    found = await picture(req, details["media_file"])
    if found.refusal:
        raise BadRequest({"media_file": found.refusal})
    return msgspec.structs.replace(wanted, details={**details, "picture": msgspec.to_builtins(found)})


def _sent(req: Request, fates: list[Accepted]) -> Reply:
    """Send messages with a picture. Each has a status of its own, and only those that are accepted are charged."""
    return _answer(req, fates)


def _priced(req: Request, fates: list[Accepted]) -> Reply:
    """See what messages would cost."""
    return _answer(req, fates)


def _answer(req: Request, fates: list[Accepted]) -> Reply:
    good = [fate for fate in fates if fate.status == Status.SUCCESS]
    return Reply(
        SendMmsAnswer(
            total_price=prices.number(sum(fate.price_micros for fate in good)),
            total_count=len(fates),
            queued_count=len(good),
            messages=[shapes.sent(fate, req.base_url) for fate in fates],
        )
    )


send, price = sending_and_pricing(
    NAME,
    SendMms,
    SendMmsAnswer,
    _sent,
    _priced,
    most=shapes.MOST_MESSAGES,
    response_msg="Messages queued for delivery.",
    gather=_gather,
    asked=list,
)
view_history = api.viewing(NAME, shapes.SHEET)
export_history = api.exporting(NAME)
cancel, cancel_all = api.cancelling(NAME, answer=Null)
receipts = api.receipts(NAME, MmsReceipt, MmsReceipt)
inbound = api.inbound(NAME)


def _campaign_price(plan: Plan, now: int) -> MmsCampaignPrice:
    return campaign_shapes.priced(plan.first, plan.count, plan.micros, plan.who.currency, plan.schedule or now)


def _keep(tx: Tx, row: Row, plan: Plan, *, settings: Settings) -> None:
    """Keep the file until it has been sent, and as long after as that of any message."""
    campaign_shapes.keep(tx, row["user_id"], plan.wanted.details, (plan.schedule or tx.now) + settings.mms_days * DAY)


campaigns = campaigning(
    Family(
        channel=NAME,
        id_name="mms_campaign_id",
        body=MmsCampaignBody,
        longest_body=LONGEST_BODY,
        created=(MmsCampaign, lambda row, _: campaign_shapes.created(row)),
        changed=(ViewedMmsCampaign, campaign_shapes.viewed),
        listed=(ViewedMmsCampaign, campaign_shapes.viewed),
        viewed=(ViewedMmsCampaign, campaign_shapes.viewed),
        priced=(MmsCampaignPrice, _campaign_price),
        texts={
            "send": "MMS campaign has been created.",
            "price": "Here is your result.",
            "update": "MMS campaign has been updated.",
            "cancel": "Scheduled MMS campaign has been cancelled.",
            "view_all": "Here are your data.",
            "view": "Here is your result.",
        },
        needed=(*NEEDED, "subject", "media_file"),
        fetch=_fetch,
        keep=_keep,
        bare=True,
        cancelled_once=True,
    )
)
