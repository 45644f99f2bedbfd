"""What the MMS section takes and answers (endpoints 90 to 93). Types: facts B, L, N; clients 2, 5."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from heliograph.billing import prices
from heliograph.channels.sms.shapes import SmsHistoryEntry, SmsMessage, history_fields
from heliograph.fields import (
    Country,
    CustomString,
    MessageId,
    PhoneNumber,
    Price,
    UnixTime,
    about,
)
from heliograph.links.link import NewLink
from heliograph.messaging import history
from heliograph.messaging.channel import BASE_URL, Accepted, Sheet
from heliograph.messaging.shapes import Receipt

MOST_MESSAGES = 1000
"""Messages of one request (api-v3, "Send MMS")."""
LONGEST_SUBJECT = 20
LARGEST_FILE = 250_000
"""Characters of a subject and bytes of a file. Source: api-v3, "Send MMS"."""


class MmsMessage(SmsMessage, kw_only=True):
    """One entry of `messages`. Source: api-v3, "Send MMS" (endpoint 90)."""

    body: Annotated[
        str | None, about("The text; may be empty. 1500 characters, or 500 in other alphabets.", "Look!")
    ] = None
    subject: Annotated[str | None, about("Up to 20 characters; not empty.", "Holiday")] = None


class Picture(msgspec.Struct, frozen=True):
    """The file of a request: its name in the store and its type, or `refusal`: why it cannot be sent."""

    file_name: str = ""
    content_type: str = ""
    refusal: str = ""


class PicturedMms(MmsMessage, kw_only=True):
    """A message with the file of its request. None is read from a body."""

    picture: Picture


class CampaignMms(PicturedMms, kw_only=True):
    """What a campaign asks for: its text may have literals for short links. None is read from a body."""

    url_to_shorten: str = ""
    links: tuple[NewLink, ...] = ()


class SendMms(msgspec.Struct, kw_only=True):
    """Body of send and price."""

    media_file: Annotated[
        str | None,
        about("A jpg or gif up to 250,000 bytes: a URL, or the `file_name` of an upload with convert=mms."),
    ] = None
    messages: Annotated[list[MmsMessage], about("At most 1000.", minItems=1, maxItems=MOST_MESSAGES)]

    def pictured(self, picture: Picture) -> Sequence[PicturedMms]:
        """The messages as the channel takes them."""
        return [PicturedMms(**msgspec.structs.asdict(message), picture=picture) for message in self.messages]


class SentMms(msgspec.Struct, kw_only=True, gc=False):
    """One entry of the answer to a send or a price."""

    list_id: Annotated[int | None, about("The list it was sent to.", None)]
    contact_id: Annotated[int | None, about("The contact it was sent to.", None)]
    message_id: MessageId
    to: PhoneNumber
    subject: Annotated[str, about("The subject.", "Holiday")]
    from_: Annotated[str, about("The sender that the recipient sees.", "+61411111111")] = msgspec.field(name="from")
    body: Annotated[str, about("The text, with placeholders filled.", "Look!")]
    country: Country
    custom_string: CustomString
    schedule: Annotated[int | str, about("Unix time when it is to be sent; empty for now.", "")]
    message_parts: Annotated[int, about("Always 1; 0 for what costs nothing.", 1)]
    message_price: Price
    media_file_url: Annotated[str, about("Where the file can be looked at.")] = msgspec.field(name="_media_file_url")
    status: Annotated[str, about("SUCCESS, or why it was refused; a refused one costs nothing.", "SUCCESS")]


class SendMmsAnswer(msgspec.Struct, kw_only=True):
    """`data` of send and price."""

    total_price: Annotated[float | int, about("Sum of the prices, in units of the currency.", 2.42)]
    total_count: Annotated[int, about("Messages of the request.", 1)]
    queued_count: Annotated[int, about("Messages that were accepted.", 1)]
    messages: Annotated[list[SentMms], about("What became of each message, in the order of the request.")]


class MmsHistoryEntry(SmsHistoryEntry, kw_only=True):
    """A message in the history (92), and the columns of its export (93)."""

    subject: str
    media_file_url: Annotated[str, about("Where the file can be looked at.")] = msgspec.field(name="_media_file_url")
    date_added: Annotated[UnixTime, about("The same as `date`.")]
    priority: Annotated[int, about("Always 1.", 1)]


class MmsReceipt(Receipt, kw_only=True):
    """A receipt."""

    message_type: Literal["mms"]


def sent(fate: Accepted, base_url: str) -> SentMms:
    """An entry of a send or a price. Links begin with `base_url`."""
    draft = fate.draft
    known = draft.details or {}
    return SentMms(
        list_id=draft.list_id,
        contact_id=draft.contact_id,
        message_id=fate.message_id,
        to=draft.recipient,
        subject=known.get("subject", ""),
        from_=draft.sender,
        body=draft.body,
        country=draft.country,
        custom_string=draft.custom_string,
        schedule=draft.schedule or "",
        message_parts=draft.units if draft.refusal is None else 0,
        message_price=prices.fixed(fate.price_micros, 4),
        media_file_url=link(base_url, known.get("file", "")),
        status=fate.status,
    )


def link(base_url: str, file_name: str) -> str:
    """Where a file can be looked at; empty for none."""
    return f"{base_url}/files/{file_name}" if file_name else ""


def _history_entry(row: Mapping[str, Any]) -> MmsHistoryEntry:
    """An entry of the history with the documented types."""
    known = msgspec.json.decode(row["details"]) if row["details"] else {}
    return MmsHistoryEntry(
        **history_fields(row),
        subject=known.get("subject", ""),
        media_file_url=link(row.get(BASE_URL, ""), known.get("file", "")),
        date_added=row["date"],
        priority=1,
    )


SHEET = Sheet(history.COLUMNS, MmsHistoryEntry, _history_entry, linked=True)
