"""What the MMS Campaign section takes and answers (endpoints 94 to 99). Types: facts L; clients 2, 5."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.campaign_shapes import CampaignBody, FirstMessage
from heliograph.channels.mms.shapes import link
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest
from heliograph.fields import Flag, Subaccount, UnixTime, about
from heliograph.files import store
from heliograph.messaging.channel import BASE_URL, Draft


class MmsCampaignBody(CampaignBody, kw_only=True):
    """Body of send, price and update; an update changes what it names. Source: api-v3, "Send MMS Campaign"."""

    subject: Annotated[str | None, about("Up to 20 characters. Needed at first.", "Holiday")] = None
    media_file: Annotated[
        str | None,
        about("A jpg or gif up to 250,000 bytes: a URL, or the `file_name` of an upload with convert=mms."),
    ] = None


class MmsCampaign(msgspec.Struct, kw_only=True):
    """A campaign that was ordered (94)."""

    mms_campaign_id: Annotated[int, about("Id of the campaign.", 7)]
    name: str
    user_id: int
    subaccount_id: Subaccount
    list_id: int
    from_: Annotated[str, about("The sender that was asked for, or that the first recipient sees.")] = msgspec.field(
        name="from"
    )
    subject: str
    file_name: Annotated[str, about("Id of its file, with the ending.", "8EA5FA8C-3216-4A5D-86EA-6BE78050E439.jpg")]
    body: Annotated[str, about("The text, with its placeholders.")]
    schedule: Annotated[UnixTime, about("When it is, or was, to be sent.")]
    status: Annotated[str, about("Draft, Scheduled, Queued, Sending, Sent, Cancelled or Failed.", "Queued")]
    date_added: Annotated[UnixTime, about("When it was ordered.")]
    total_count: Annotated[int, about("Recipients that it was ordered for.", 10)] = msgspec.field(name="_total_count")
    list_name: Annotated[str, about("The name that its list had then.")] = msgspec.field(name="_list_name")
    media_file_url: Annotated[str, about("Where the file can be looked at.")] = msgspec.field(name="_media_file_url")


class ViewedMmsCampaign(MmsCampaign, kw_only=True):
    """A campaign as it is looked at or changed (96 to 99)."""

    custom_string: str | None
    country: str | None
    unsubscribe_link: Annotated[Flag, about("Whether its text has StopMsg.me/xxxxx.")]


class MmsCampaignPrice(msgspec.Struct, kw_only=True):
    """`data` of a price (95)."""

    total_count: Annotated[int, about("Recipients who would get a message.", 1)]
    total_price: Annotated[str, about("In units of the currency.", "0.429")]
    data: Annotated[FirstMessage, about("The message to the first recipient.")]
    currency: currencies.Currency = msgspec.field(name="_currency")


def created(row: Mapping[str, Any]) -> MmsCampaign:
    """The answer of 94, of a row of `campaigns`."""
    return MmsCampaign(**_fields(row))


def viewed(row: Mapping[str, Any]) -> ViewedMmsCampaign:
    """The answer of 96 to 99, of a row of `campaigns`."""
    more = {"custom_string": row["custom_string"], "country": row["country"] or None}
    return ViewedMmsCampaign(**_fields(row), **more, unsubscribe_link=row["unsubscribe_link"])


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    same = ("name", "user_id", "subaccount_id", "list_id", "body", "schedule", "status", "date_added", "total_count")
    known = msgspec.json.decode(row["details"])
    file_name = known["picture"]["file_name"]
    return {
        **{name: row[name] for name in (*same, "list_name")},
        "mms_campaign_id": row["campaign_id"],
        "from_": row["sender"] or row["first_sender"],
        "subject": known["subject"],
        "file_name": file_name,
        "media_file_url": link(row[BASE_URL], file_name),
    }


def priced(first: Draft | None, count: int, micros: int, currency: str, at: int) -> MmsCampaignPrice:
    """The answer of 95. `micros` is the sum; `at` is when it would be sent, in Unix seconds."""
    return MmsCampaignPrice(
        total_count=count,
        total_price=str(prices.number(micros)),
        data=FirstMessage(from_=first.sender if first else "", schedule=at, body=first.body if first else ""),
        currency=currencies.describe(currency),
    )


def keep(tx: Tx, user_id: int, details: Mapping[str, Any], until: int) -> None:
    """Keep the file of a campaign until a Unix time. Raises BadRequest: it is gone."""
    file_id = details["picture"]["file_name"].partition(".")[0]
    if not store.keep(tx, user_id, file_id, until):
        raise BadRequest({"media_file": "The file is gone. Please send it again."})
