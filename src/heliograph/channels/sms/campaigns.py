"""What the SMS Campaign section takes and answers (endpoints 144 to 149). Types: facts L; clients 2, 5."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.campaign_shapes import CampaignBody, FirstMessage
from heliograph.fields import Flag, Subaccount, UnixText, about
from heliograph.messaging.channel import Draft


class Sender(msgspec.Struct, kw_only=True):
    """The sender for recipients of one country. Source: clients 2 (a field of newer clients)."""

    recipient_country_code: Annotated[str, about("ISO 3166 code of the recipients' country.", "NZ")]
    sender_id: Annotated[str, about("What they see: a number, or up to 11 letters and digits.", "Heliograph")]
    sender_type: Annotated[str, about("Kept and shown.", "alpha_tag")] = ""
    sender_country_code: Annotated[str, about("Kept and shown.")] = ""


class SmsCampaignBody(CampaignBody, kw_only=True):
    """Body of send, price and update; an update changes what it names. Source: api-v3, "Send SMS Campaign"."""

    draft: Annotated[bool | None, about("1: keep it, but send and charge nothing yet. An update with 0 starts it.")] = (
        None
    )
    senders: Annotated[list[Sender] | None, about("Senders for recipients of some countries.", maxItems=300)] = None


class NamedSender(msgspec.Struct, kw_only=True):
    """The sender for recipients of one country, as an answer shows it."""

    recipient_country_code: str
    sender_id: str
    sender_type: str
    sender_country_code: str


class SmsCampaign(msgspec.Struct, kw_only=True):
    """A campaign that was ordered (144)."""

    sms_campaign_id: Annotated[int, about("Id of the campaign.", 7)]
    name: str
    user_id: int
    subaccount_id: Subaccount
    list_id: int
    from_: Annotated[str, about("The sender that was asked for, or that the first recipient sees.")] = msgspec.field(
        name="from"
    )
    body: Annotated[str, about("The text, with its placeholders.")]
    schedule: Annotated[UnixText, about("When it is, or was, to be sent.")]
    status: Annotated[str, about("Draft, Scheduled, Queued, Sending, Sent, Cancelled or Failed.", "Queued")]
    date_added: Annotated[UnixText, about("When it was ordered.")]
    custom_string: str | None
    source: str | None
    url_to_shorten: Annotated[str, about("Where the short links in its messages lead to; empty without one.", "")]
    unsubscribe_link: Annotated[Flag, about("Whether its text has StopMsg.me/xxxxx.")]
    senders: Annotated[list[NamedSender], about("Senders for recipients of some countries.")]
    total_count: Annotated[int, about("Recipients that it was ordered for.", 10)] = msgspec.field(name="_total_count")
    list_name: Annotated[str, about("The name that its list had then.")] = msgspec.field(name="_list_name")


class ViewedSmsCampaign(SmsCampaign, kw_only=True):
    """A campaign as it is looked at or changed (146 to 149)."""

    ip_address: Annotated[str, about("Where it was ordered from.", "192.168.10.1")]


class SmsCampaignPrice(msgspec.Struct, kw_only=True):
    """`data` of a price (145)."""

    total_count: Annotated[int, about("Recipients who would get a message.", 1)]
    total_price: Annotated[str, about("In units of the currency, four decimals.", "0.0350")]
    data: Annotated[FirstMessage, about("The message to the first recipient.")]
    currency: currencies.Currency = msgspec.field(name="_currency")


def created(row: Mapping[str, Any]) -> SmsCampaign:
    """The answer of 144, of a row of `campaigns`."""
    return SmsCampaign(**_fields(row))


def viewed(row: Mapping[str, Any]) -> ViewedSmsCampaign:
    """The answer of 146 to 149, of a row of `campaigns`."""
    return ViewedSmsCampaign(**_fields(row), ip_address=row["ip_address"])


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    same = ("name", "user_id", "subaccount_id", "list_id", "body", "status", "custom_string", "source")
    known = msgspec.json.decode(row["details"]) if row["details"] else {}
    return {
        **{name: row[name] for name in same},
        "sms_campaign_id": row["campaign_id"],
        "from_": row["sender"] or row["first_sender"],
        "schedule": str(row["schedule"]),
        "date_added": str(row["date_added"]),
        "url_to_shorten": row["url_to_shorten"],
        "unsubscribe_link": row["unsubscribe_link"],
        "senders": msgspec.convert(known.get("senders", []), list[NamedSender]),
        "total_count": row["total_count"],
        "list_name": row["list_name"],
    }


def priced(first: Draft | None, count: int, micros: int, currency: str, at: int) -> SmsCampaignPrice:
    """The answer of 145. `micros` is the sum; `at` is when it would be sent, in Unix seconds."""
    return SmsCampaignPrice(
        total_count=count,
        total_price=prices.fixed(micros, 4),
        data=FirstMessage(from_=first.sender if first else "", body=first.body if first else "", schedule=at),
        currency=currencies.describe(currency),
    )
