"""The MMS section (endpoints 90 to 93)."""

from collections.abc import Sequence

from heliograph.billing import prices
from heliograph.channels.api import sending_and_pricing
from heliograph.channels.mms import shapes
from heliograph.channels.mms.channel import NAME
from heliograph.channels.mms.shapes import LARGEST_FILE, MmsMessage, MmsReceipt, Picture, SendMms, SendMmsAnswer
from heliograph.errors import BadRequest, Status, required
from heliograph.fields import Null
from heliograph.files.task import Refused
from heliograph.http.request import Reply, Request
from heliograph.messaging import api
from heliograph.messaging.channel import Accepted

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
