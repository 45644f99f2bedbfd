"""What the SMS section takes and answers (endpoints 126 to 143)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from heliograph.billing import currencies, prices
from heliograph.errors import Status
from heliograph.fields import (
    Country,
    CustomString,
    MessageId,
    PhoneNumber,
    Price,
    Subaccount,
    UnixText,
    UnixTime,
    about,
)
from heliograph.links.link import NewLink
from heliograph.messaging import history
from heliograph.messaging.channel import Accepted, Sheet
from heliograph.messaging.shapes import Receipt

MOST_MESSAGES = 1000
"""Messages of one request (api-v3, "Send SMS")."""

DELIVERED = "Success: Message received on handset."
"""`status_text` of a delivered message."""

Carrier = Annotated[str, about("The network that the number was given to first; empty when unknown.", "Telstra")]


class SmsMessage(msgspec.Struct, kw_only=True):
    """One entry of `messages`. Source: api-v3, "Send SMS" (endpoint 126)."""

    to: Annotated[
        str | None,
        about("Phone number, in E.164 format or as it is written in `country`.", "+61411111111"),
    ] = None
    body: Annotated[str | None, about("The text.", "Hello from Heliograph")] = None
    from_: Annotated[
        str | None, about("Sender: a number, or up to 11 letters and digits; without it, a shared number.")
    ] = msgspec.field(default=None, name="from")
    source: Annotated[str | None, about("The program that sends.")] = None
    schedule: Annotated[
        int | str | float | None,
        about("Unix time in seconds, up to four months ahead; without it, or in the past: at once."),
    ] = None
    custom_string: Annotated[str | None, about("Your reference: replies and receipts bring it back.", "order 4711")] = (
        None
    )
    list_id: Annotated[int | None, about("A contact list, in place of `to`.")] = None
    country: Annotated[
        str | None, about("The country of a national number: ISO 3166 code or name; by default, the account's.")
    ] = None
    from_email: Annotated[str | None, about("Where replies are mailed to.")] = None


class ShortenedText(SmsMessage, kw_only=True):
    """A message whose first URL becomes a short link: its request has `shorten_urls`. None is read from a body."""


class CampaignText(SmsMessage, kw_only=True):
    """What a campaign asks for: its text may have literals for short links, which `Sms.personal` fills.

    It is made by the campaign engine and never read from a body. `url_to_shorten` is where the first three literals
    lead to (links/literals.py); "" without them. `links` are those in the text of one contact.
    """

    url_to_shorten: str = ""
    links: tuple[NewLink, ...] = ()


class SendSms(msgspec.Struct):
    """Body of send and price."""

    messages: Annotated[list[SmsMessage], about("At most 1000.", minItems=1, maxItems=MOST_MESSAGES)]
    shorten_urls: Annotated[
        bool | None,
        about("Make the first URL of each message a short link whose clicks are counted; up to 250 characters.", False),
    ] = None

    def asked(self) -> Sequence[SmsMessage]:
        """The messages as the channel takes them."""
        if not self.shorten_urls:
            return self.messages
        return [ShortenedText(**msgspec.structs.asdict(message)) for message in self.messages]


class SentSms(msgspec.Struct, kw_only=True, gc=False):
    """One entry of the answer to a send. Types: facts B."""

    to: PhoneNumber
    body: Annotated[str, about("The text, with placeholders filled.", "Hello")]
    from_: Annotated[str, about("The sender that the recipient sees.", "+61411111111")] = msgspec.field(name="from")
    schedule: Annotated[int | str, about("Unix time when it is to be sent; empty for a refused one.", 1792137600)]
    message_id: MessageId | msgspec.UnsetType = msgspec.UNSET
    custom_string: CustomString
    status: Annotated[str, about("SUCCESS, or why it was refused; a refused one costs nothing.", "SUCCESS")]
    direction: Annotated[str | msgspec.UnsetType, about("Always out.", "out")] = msgspec.UNSET
    date: UnixTime | msgspec.UnsetType = msgspec.UNSET
    message_parts: Annotated[int | msgspec.UnsetType, about("Segments that are charged.", 1)] = msgspec.UNSET
    message_price: Price | msgspec.UnsetType = msgspec.UNSET
    from_email: Annotated[str | msgspec.UnsetType | None, about("Where replies are mailed to.", None)] = msgspec.UNSET
    list_id: Annotated[int | msgspec.UnsetType | None, about("The list it was sent to.", None)] = msgspec.UNSET
    contact_id: Annotated[int | msgspec.UnsetType | None, about("The contact it was sent to.", None)] = msgspec.UNSET
    user_id: int | msgspec.UnsetType = msgspec.UNSET
    subaccount_id: Subaccount | msgspec.UnsetType = msgspec.UNSET
    country: Country | msgspec.UnsetType = msgspec.UNSET
    carrier: Carrier | msgspec.UnsetType = msgspec.UNSET


class SendSmsAnswer(msgspec.Struct, kw_only=True):
    """`data` of send and price."""

    total_price: Annotated[float | int, about("Sum of the prices, in units of the currency.", 0.0715)]
    total_count: Annotated[int, about("Messages of the request.", 1)]
    queued_count: Annotated[int, about("Messages that were accepted.", 1)]
    messages: Annotated[list[SentSms], about("What became of each message, in the order of the request.")]
    currency: currencies.Currency = msgspec.field(name="_currency")
    blocked_count: Annotated[int, about("Messages to countries that the account has not selected.", 0)]


class SmsTemplateBody(msgspec.Struct):
    """Body of the template endpoints."""

    template_name: Annotated[str, about("Name of the template; not empty.", "Greeting", pattern=r"\S")]
    body: Annotated[str, about("Text of the template; not empty.", "Hello!", pattern=r"\S")]


class SmsHistoryEntry(msgspec.Struct, kw_only=True):
    """A message in the history (142), and the columns of its export (143)."""

    direction: Literal["out"]
    date: Annotated[UnixText, about("When it was accepted.")]
    to: PhoneNumber
    body: str
    status: Annotated[str, about("Scheduled, Queued, Sending, Sent, Completed, Failed or Cancelled.", "Completed")]
    from_: Annotated[str, about("The sender that the recipient sees.", "+61411111111")] = msgspec.field(name="from")
    schedule: Annotated[UnixText, about("When it was to be sent.")]
    status_code: Annotated[str | None, about("200 on its way, 201 delivered, 300 tried again, 301 failed.", "201")]
    status_text: str | None
    error_code: Annotated[str | None, about("The carrier's own code for what went wrong.", None)]
    error_text: str | None
    message_id: MessageId
    message_parts: Annotated[str, about("Segments that were charged; an MMS is one.", "1.00")]
    message_price: Annotated[str, about("Price in units of the currency, six decimals.", "0.071500")]
    from_email: str | None
    list_id: int | None
    custom_string: CustomString
    contact_id: Annotated[int, about("0 when it was not sent to a contact.", 0)]
    user_id: int
    subaccount_id: Subaccount
    country: Country
    carrier: Carrier
    first_name: str
    last_name: str
    api_username: Annotated[str, about("User name of the subaccount.")] = msgspec.field(name="_api_username")


class SmsReceipt(Receipt, kw_only=True):
    """A receipt (130)."""

    message_type: Literal["sms"]


class ListedSmsReceipt(SmsReceipt, kw_only=True):
    """A receipt in the list (129), where the contract spells its type differently; it has both (facts L)."""

    listed_type: Literal["sms"] = msgspec.field(name="_message_type")


class SmsTemplate(msgspec.Struct, kw_only=True):
    """A template (138 to 140)."""

    template_id: Annotated[int, about("Id of the template.", 1)]
    body: str
    template_name: str


def quoted(fate: Accepted) -> SentSms:
    """An entry of a price request: it has no id, nor anything else that only a sent message has."""
    draft = fate.draft
    return SentSms(
        to=draft.recipient,
        body=draft.body,
        from_=draft.sender,
        schedule=draft.schedule or fate.date,
        message_parts=draft.units if draft.refusal is None else 0,
        message_price=prices.fixed(fate.price_micros, 4),
        custom_string=draft.custom_string,
        country=draft.country,
        status=fate.status,
    )


def sent(fate: Accepted, user_id: int, subaccount_id: int) -> SentSms:
    """An entry of a send."""
    draft = fate.draft
    # A refused country is told with everything else that is known of the message (facts B).
    if draft.refusal is not None and draft.refusal != Status.COUNTRY_NOT_ENABLED:
        return SentSms(
            to=draft.recipient,
            body=draft.body,
            from_=draft.sender,
            schedule="",
            message_id=fate.message_id,
            custom_string=draft.custom_string,
            status=fate.status,
        )
    return SentSms(
        direction="out",
        date=fate.date,
        to=draft.recipient,
        body=draft.body,
        from_=draft.sender,
        schedule=draft.schedule or fate.date,
        message_id=fate.message_id,
        message_parts=draft.units,
        message_price=prices.fixed(fate.price_micros, 4),
        from_email=draft.from_email,
        list_id=draft.list_id,
        custom_string=draft.custom_string,
        contact_id=draft.contact_id,
        user_id=user_id,
        subaccount_id=subaccount_id,
        country=draft.country,
        carrier=draft.carrier,
        status=fate.status,
    )


def history_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a history entry that SMS and MMS have alike, with the documented types."""
    return {
        "direction": "out",
        "date": str(row["date"]),
        "to": row["recipient"],
        "body": row["body"],
        "status": row["status"],
        "from_": row["sender"],
        "schedule": str(row["schedule"]),
        "status_code": row["status_code"],
        "status_text": row["status_text"],
        "error_code": row["error_code"],
        "error_text": row["error_text"],
        "message_id": row["message_id"],
        "message_parts": f"{row['units']:.2f}",
        "message_price": prices.fixed(row["price_micros"], 6),
        "from_email": row["from_email"],
        "list_id": row["list_id"],
        "custom_string": row["custom_string"],
        "contact_id": row["contact_id"] or 0,
        "user_id": row["user_id"],
        "subaccount_id": row["subaccount_id"],
        "country": row["country"],
        "carrier": row["carrier"],
        "first_name": row["first_name"],
        "last_name": row["last_name"],
        "api_username": row["api_username"],
    }


def _history_entry(row: Mapping[str, Any]) -> SmsHistoryEntry:
    return SmsHistoryEntry(**history_fields(row))


SHEET = Sheet(history.COLUMNS, SmsHistoryEntry, _history_entry)
