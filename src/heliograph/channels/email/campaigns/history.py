"""The mails of one campaign: what 60 lists and 61 exports."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from sqlalchemy import Select, case, func, select

from heliograph.channels.email.campaigns.counts import HARD, SOFT
from heliograph.channels.email.campaigns.mails import FROM_ID, FROM_NAME, NAME
from heliograph.channels.email.draft import NAME as EMAIL
from heliograph.db.engine import Tx
from heliograph.db.shown import Columns, Shown
from heliograph.db.tables import campaign_bounces, message_events, messages
from heliograph.fields import Mail, MessageId, about
from heliograph.mail.tracking_counts import times_used
from heliograph.mail.uses import CLICK, OPEN
from heliograph.messaging import history, message
from heliograph.messaging.channel import Sheet
from heliograph.messaging.history import Listing

_NANO = 1_000_000_000

_STATUS = case(
    (messages.c.status.in_((message.QUEUED, message.SCHEDULED)), None),
    (messages.c.status == message.COMPLETED, message.SENT),
    else_=messages.c.status,
)
"""Null before it was sent; what is never sent, as it is to a test address, looks as if it had been."""

_PROCESSED = (
    select(func.min(message_events.c.seq) / _NANO)
    .where(
        message_events.c.user_id == messages.c.user_id,
        message_events.c.message_id == messages.c.message_id,
        message_events.c.status.in_((message.SENT, message.FAILED)),
    )
    .correlate(messages)
    .scalar_subquery()
)
"""When a relay took it, or it failed; in Unix seconds."""

_HARD, _SOFT = (func.coalesce(campaign_bounces.c[name], 0) for name in (HARD, SOFT))
_OPENS, _CLICKS = times_used(OPEN), times_used(CLICK)

LISTING = Listing(
    messages,
    EMAIL,
    select(
        messages,
        _STATUS.label("shown_status"),
        _PROCESSED.label("processed_at"),
        _HARD.label(HARD),
        _SOFT.label(SOFT),
        _OPENS.label("open_count"),
        _CLICKS.label("click_count"),
    ).join_from(
        messages,
        campaign_bounces,
        (campaign_bounces.c.campaign_id == messages.c.campaign_id)
        & (campaign_bounces.c.message_id == messages.c.message_id),
        isouter=True,
    ),
)

COLUMNS: Columns = {
    "date": Shown(messages.c.date, messages.c.date, exact=messages.c.ordinal),
    "to_address": messages.c.recipient,
    "contact_id": messages.c.contact_id,
    "subject": messages.c.body,
    "message_id": messages.c.message_id,
    "status": _STATUS,
    "open_count": _OPENS,
    "click_count": _CLICKS,
    HARD: _HARD,
    SOFT: _SOFT,
}
"""What they can be searched and sorted by."""

Times = Annotated[int, about("How often this was heard of the mail.", 0)]


class CampaignMailEntry(msgspec.Struct, kw_only=True):
    """A mail of a campaign (60), and the columns of its export (61)."""

    email_campaign_id: int
    from_name: Annotated[str, about("The name that it comes from.", "From name")]
    from_address: Annotated[str, about("The id of the address that it comes from.", "4")]
    to_name: Annotated[str, about("The contact's name, or the address.", "Jane Doe")]
    to_address: Mail
    contact_id: int
    subject: Annotated[str, about("The subject as the recipient sees it.", "Lorem Ipsum")]
    message_id: MessageId
    processed_at: Annotated[str | None, about("Unix time when it was handed over; null before.", "1458011424")]
    status: Annotated[str | None, about("Sent, Failed, SpamReport or Cancelled; null before it was sent.", "Sent")]
    open_count: Times
    click_count: Times
    hard_bounce_count: Times
    soft_bounce_count: Times


def between(tx: Tx, row: Mapping[str, Any], start: int | None, end: int | None) -> tuple[int, int]:
    """(ordinals before the mails of a campaign, last ordinal of them), of those dated from `start` to `end`.

    Others stand between them.
    """
    first, last = tx.driver(
        "SELECT MIN(ordinal), MAX(ordinal) FROM messages WHERE campaign_id = ?", [row["campaign_id"]]
    ).fetchone()
    if first is None:
        return 0, 0
    low, high = history.between(tx, row["user_id"], LISTING, start, end)
    return max(first - 1, low), max(first - 1, min(last, high))


def of(row: Mapping[str, Any], first: int, last: int) -> Select[Any]:
    """The mails of a campaign with ordinals in (first, last]."""
    return history.selection(row["user_id"], LISTING.of_campaign(row["campaign_id"]), first, last)


def entry(row: Mapping[str, Any]) -> CampaignMailEntry:
    """An entry with the documented types."""
    known = msgspec.json.decode(row["details"])
    at, counted = row["processed_at"], (HARD, SOFT, "open_count", "click_count")
    return CampaignMailEntry(
        **{name: int(row[name]) for name in counted},
        message_id=row["message_id"],
        email_campaign_id=row["campaign_id"],
        from_name=known[FROM_NAME],
        from_address=str(known[FROM_ID]),
        to_name=known.get(NAME) or row["recipient"],
        to_address=row["recipient"],
        contact_id=row["contact_id"],
        subject=row["body"],
        processed_at=None if at is None else str(int(at)),
        status=row["shown_status"],
    )


SHEET = Sheet(COLUMNS, CampaignMailEntry, entry, listing=LISTING)
