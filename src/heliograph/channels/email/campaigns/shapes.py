"""What the Email Campaign section takes and answers (endpoints 54 to 61). Types: facts C, L; clients 2, 5, 6."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.email.campaigns.counts import COUNTS, NOTHING
from heliograph.fields import Subaccount, UnixText, about

LONGEST_BODY = 1_000_000
"""Characters of a body: each is encoded once for all recipients."""

Heard = Annotated[int, about("How often this was reported of its mails.", 0)]


Row = Mapping[str, Any]


class EmailCampaignBody(msgspec.Struct, kw_only=True):
    """Body of send, price and update; an update changes what it names. Source: api-v3, "Send Email Campaign"."""

    name: Annotated[str | None, about("Your name for the campaign. Needed at first.", "My Campaign 1")] = None
    subject: Annotated[str | None, about("The subject, with placeholders. Needed at first.", "Lorem Ipsum")] = None
    body: Annotated[
        str | None, about("HTML, if it has tags, or plain text, with placeholders.", "<p>This is a test</p>")
    ] = None
    template_id: Annotated[
        int | None, about("Id of one of your templates: without `body`, that is what is sent.", 31)
    ] = None
    from_email_address_id: Annotated[
        int | None, about("Id of one of your verified addresses (endpoint 48). Needed at first.", 2)
    ] = None
    from_name: Annotated[str | None, about("Your name. Needed at first.", "From name")] = None
    list_id: Annotated[int | None, about("The contact list; at most 20,000 contacts. Needed at first.", 456)] = None
    schedule: Annotated[
        int | str | float | None,
        about("Unix time in seconds, up to four months ahead; without it, or in the past: at once."),
    ] = None
    draft: Annotated[bool | None, about("1: nothing is charged or sent until an update has `draft` 0.", 0)] = None
    custom_string: Annotated[str | None, about("Your reference: receipts bring it back.", "spring")] = None


class ListedEmailCampaign(msgspec.Struct, kw_only=True):
    """A campaign in the list (56)."""

    email_campaign_id: Annotated[int, about("Id of the campaign.", 69)]
    name: str
    user_id: int
    subaccount_id: Subaccount
    subject: Annotated[str, about("The subject, with its placeholders.", "Lorem Ipsum")]
    list_id: int
    from_email_address_id: Annotated[int, about("Id of the address that it comes from.", 2)]
    from_name: Annotated[str, about("The name that it comes from.", "From name")]
    template_id: Annotated[int | None, about("Id of the template that it was made of; null without one.", 31)]
    schedule: Annotated[str, about("Unix time for which it was ordered; empty for at once.", "")]
    status: Annotated[str, about("Draft, Scheduled, Queued, Sending, Paused, Sent, Cancelled or Failed.", "Queued")]
    date_added: UnixText
    custom_string: Annotated[str, about("Your reference, as it was given.", "")]
    send_count: Annotated[int, about("Mails that were handed over, or that a mail host refused.", 0)]
    open_count: Heard
    click_count: Heard
    hard_bounce_count: Heard
    soft_bounce_count: Heard
    abuse_count: Heard
    unsubscribe_count: Heard
    body: Annotated[str, about("The body, with its placeholders.", "<p>This is a test</p>")]
    body_plain_text: Annotated[str, about("The body in plain text.", "This is a test")]


class EmailCampaign(ListedEmailCampaign, kw_only=True):
    """A campaign (54, 57 to 59)."""


class OrderedEmailCampaign(msgspec.Struct, kw_only=True):
    """`data` of an order (54)."""

    total_count: Annotated[int, about("Contacts of the list.", 6)]
    totlal_count: Annotated[int, about("The same.", 6)]
    total_price: Annotated[str, about("Price of the mails that are queued, in units of the currency.", "0.0066")]
    queued_count: Annotated[int, about("Contacts who get a mail.", 2)]
    data: EmailCampaign
    currency: currencies.Currency = msgspec.field(name="_currency")


class PricedFields(msgspec.Struct, kw_only=True):
    """What a price was asked for."""

    name: str
    subject: str
    from_email_address_id: int
    from_name: str
    template_id: int | None
    body: str
    list_id: int


class EmailCampaignPrice(msgspec.Struct, kw_only=True):
    """`data` of a price (55)."""

    total_count: Annotated[int, about("Contacts of the list.", 6)]
    total_price: Annotated[str, about("Price of the mails that would be queued.", "0.0066")]
    queued_count: Annotated[int, about("Contacts who would get a mail.", 2)]
    data: PricedFields
    currency: currencies.Currency = msgspec.field(name="_currency")


class CampaignMail(msgspec.Struct, kw_only=True):
    """What a campaign asks of the channel, with the bodies as they are sent. None is read from a body."""

    from_: str = msgspec.field(name="from")
    custom_string: str | None = None
    subject: str
    html: str
    text: str
    from_name: str
    from_email_address_id: int


def ordered(row: Row, seen: int, count: int, micros: int, currency: str) -> OrderedEmailCampaign:
    """The answer of 54: for `count` of `seen` contacts, which costs `micros` in all."""
    return OrderedEmailCampaign(
        total_count=seen,
        totlal_count=seen,
        total_price=prices.exact(micros),
        queued_count=count,
        data=viewed(row),
        currency=currencies.describe(currency),
    )


def priced(given: PricedFields, seen: int, count: int, micros: int, currency: str) -> EmailCampaignPrice:
    """The answer of 55."""
    return EmailCampaignPrice(
        total_count=seen,
        total_price=prices.exact(micros),
        queued_count=count,
        data=given,
        currency=currencies.describe(currency),
    )


def viewed(row: Row) -> EmailCampaign:
    """The answer of 57 to 59."""
    return EmailCampaign(**_fields(row))


def listed(row: Row) -> ListedEmailCampaign:
    """An entry of 56."""
    return ListedEmailCampaign(**_fields(row))


def _fields(row: Row) -> dict[str, Any]:
    known = msgspec.json.decode(row["details"])
    same = ("name", "user_id", "subaccount_id", "list_id", "status", "body")
    return {
        **{name: row[name] for name in same},
        **{name: known[name] for name in ("subject", "from_email_address_id", "from_name", "body_plain_text")},
        **msgspec.structs.asdict(row.get(COUNTS, NOTHING)),
        "email_campaign_id": row["campaign_id"],
        "template_id": known.get("template_id"),
        "schedule": str(row["schedule"]) if known["timed"] else "",
        "date_added": str(row["date_added"]),
        "custom_string": row["custom_string"] or "",
    }
