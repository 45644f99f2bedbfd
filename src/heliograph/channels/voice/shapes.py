"""What the Voice section takes and answers (endpoints 169 to 176)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.voice.languages import LANGUAGES
from heliograph.errors import Status
from heliograph.fields import (
    Country,
    CustomString,
    Flag,
    MessageId,
    PhoneNumber,
    Price,
    Subaccount,
    UnixText,
    UnixTime,
    about,
)
from heliograph.messaging import history
from heliograph.messaging.channel import Accepted, Sheet
from heliograph.messaging.shapes import Receipt, SampleReceipt

MOST_MESSAGES = 1000
"""Messages of one request (api-v3, "Send Voice Message")."""

Sender = Annotated[str | None, about("The number that calls, if one was given.", "+61411111111")]
Kind = Annotated[str, about("What the number is charged as: mobile or landline.", "mobile")]
Digits = Annotated[str, about("The keys that were pressed; empty for none.", "5")]
Lang = Annotated[str, about("Code of the language.", "en-au", enum=list(LANGUAGES))]
Voice = Annotated[str, about("female or male.", "female")]


class VoiceMessage(msgspec.Struct, kw_only=True):
    """One entry of `messages`. Source: api-v3, "Send Voice Message" (endpoint 169)."""

    to: Annotated[
        str | None,
        about("Phone number, in E.164 format or as it is written in `country`.", "+61411111111"),
    ] = None
    body: Annotated[
        str | None, about("The text, which may have SSML in it. A comma makes a short pause.", "Hello from Heliograph")
    ] = None
    lang: Annotated[
        str | None, about("Code of the language; without it, an English one of the recipient's country.", "en-au")
    ] = None
    voice: Annotated[str | None, about("female or male; without it, the first one of the language.", "female")] = None
    from_: Annotated[str | None, about("The number that calls: one of the account's.")] = msgspec.field(
        default=None, name="from"
    )
    source: Annotated[str | None, about("The program that sends.")] = None
    schedule: Annotated[
        int | str | float | None,
        about("Unix time in seconds, up to four months ahead; without it, or in the past: at once."),
    ] = None
    custom_string: Annotated[str | None, about("Your reference: receipts bring it back.", "order 4711")] = None
    list_id: Annotated[int | None, about("A contact list, in place of `to`.")] = None
    country: Annotated[
        str | None, about("The country of a national number: ISO 3166 code or name; by default, the account's.")
    ] = None
    require_input: Annotated[bool | None, about("Wait for keys after the text.", 1)] = None
    machine_detection: Annotated[
        bool | None, about("Notice an answering machine, and leave the message after its greeting.", 1)
    ] = None


class SendVoice(msgspec.Struct):
    """Body of send and price."""

    messages: Annotated[list[VoiceMessage], about("At most 1000.", minItems=1, maxItems=MOST_MESSAGES)]


class SentVoice(msgspec.Struct, kw_only=True, gc=False):
    """One entry of the answer to send and price; what a refused one does not have is left out."""

    date: UnixTime | msgspec.UnsetType = msgspec.UNSET
    to: PhoneNumber
    to_type: Kind | msgspec.UnsetType = msgspec.UNSET
    body: Annotated[str, about("The text, with placeholders filled.", "Hello")]
    from_: Sender = msgspec.field(name="from")
    lang: Annotated[str | msgspec.UnsetType, about("Code of the language.", "en-au")] = msgspec.UNSET
    voice: Annotated[str | msgspec.UnsetType, about("female or male.", "female")] = msgspec.UNSET
    schedule: Annotated[int, about("Unix time when the call is to be made.", 1792137600)]
    message_id: MessageId
    message_parts: Annotated[int, about("Parts that are charged.", 1)]
    message_price: Price
    custom_string: CustomString
    user_id: int | msgspec.UnsetType = msgspec.UNSET
    subaccount_id: Subaccount | msgspec.UnsetType = msgspec.UNSET
    country: Annotated[str | None, about("ISO 3166 code of two letters.", "AU")]
    carrier: Annotated[str | msgspec.UnsetType, about("The network that the number was given to first.", "Telstra")] = (
        msgspec.UNSET
    )
    require_input: Flag
    machine_detection: Flag
    status: Annotated[str, about("SUCCESS, or why it was refused; a refused one costs nothing.", "SUCCESS")]
    list_id: Annotated[
        str | msgspec.UnsetType | None, about("The list it was sent to; the official clients want text here.", None)
    ] = msgspec.UNSET


class SendVoiceAnswer(msgspec.Struct, kw_only=True):
    """`data` of send and price."""

    total_price: Annotated[float | int, about("Sum of the prices, in units of the currency.", 0.07)]
    total_count: Annotated[int, about("Messages of the request.", 1)]
    queued_count: Annotated[int, about("Messages that were accepted.", 1)]
    messages: Annotated[list[SentVoice], about("What became of each message, in the order of the request.")]
    currency: currencies.Currency = msgspec.field(name="_currency")


class VoiceLanguage(msgspec.Struct):
    """A language (171)."""

    code: Lang
    country: Annotated[str, about("Name of the language, and where it is spoken so.", "English, US")]
    gender: Annotated[list[str], about("Its voices; the first speaks when none is asked for.", ["female", "male"])]


class VoiceHistoryEntry(msgspec.Struct, kw_only=True):
    """A message in the history (175), and the columns of its export (176)."""

    date: Annotated[UnixText, about("When it was accepted.")]
    user_id: int
    subaccount_id: Subaccount
    list_id: int | None
    message_id: MessageId
    to: PhoneNumber
    to_type: Kind
    from_: Sender = msgspec.field(name="from")
    voice: Voice
    lang: Lang
    body: str
    carrier: Annotated[str, about("The network that the number was given to first; empty when unknown.", "Telstra")]
    country: Country
    custom_string: CustomString
    schedule: Annotated[UnixText, about("When the call was to be made.")]
    message_parts: Annotated[str, about("Parts that were charged.", "1.00")]
    message_price: Annotated[str, about("Price in units of the currency, two decimals or more.", "0.17")]
    status: Annotated[str, about("Scheduled, Queued, Sent, Completed, Failed or Cancelled.", "Completed")]
    status_code: Annotated[str | None, about("200 on its way, 201 delivered, 301 failed.", "201")]
    status_text: str | None
    date_added: UnixTime
    digits: Annotated[str | None, about("The keys that were pressed; null until there are any.", "5")]
    machine_detected: Annotated[Literal[0, 1], about("Whether an answering machine took the call.", 0)]
    require_input: Flag
    machine_detection: Flag
    api_username: Annotated[str, about("User name of the subaccount.")] = msgspec.field(name="_api_username")


class SampleVoiceReceipt(SampleReceipt, kw_only=True):
    """`data` of a test receipt."""

    digits: Digits = ""


class VoiceReceipt(Receipt, kw_only=True):
    """A receipt in the list (172)."""

    message_type: Literal["voice"]
    digits: Digits = ""


def entry(fate: Accepted, *, quote: bool, user_id: int, subaccount_id: int) -> SentVoice:
    """An entry of send or price. A price has no carrier; its id stands for no message."""
    draft = fate.draft
    known = draft.details or {}
    refused = draft.refusal is not None and draft.refusal != Status.COUNTRY_NOT_ENABLED
    more: dict[str, Any] = {}
    if not refused:
        more = {"date": fate.date, "to_type": known["to_type"], "user_id": user_id, "subaccount_id": subaccount_id}
        more |= {
            "lang": known["lang"],
            "voice": known["voice"],
            "list_id": None if draft.list_id is None else str(draft.list_id),
        }
        more |= {} if quote else {"carrier": draft.carrier}
    return SentVoice(
        message_id=fate.message_id,
        to=draft.recipient,
        body=draft.body,
        from_=draft.sender or None,
        schedule=draft.schedule or fate.date,
        message_parts=0 if draft.refusal is not None else draft.units,
        message_price=prices.fixed(fate.price_micros, 4),
        custom_string=draft.custom_string,
        country=draft.country or None,
        require_input=known.get("require_input", 0),
        machine_detection=known.get("machine_detection", 0),
        status=fate.status,
        **more,
    )


def _history_entry(row: Mapping[str, Any]) -> VoiceHistoryEntry:
    """An entry of the history with the documented types."""
    known = msgspec.json.decode(row["details"])
    return VoiceHistoryEntry(
        date=str(row["date"]),
        user_id=row["user_id"],
        subaccount_id=row["subaccount_id"],
        list_id=row["list_id"],
        message_id=row["message_id"],
        to=row["recipient"],
        to_type=known["to_type"],
        from_=row["sender"] or None,
        voice=known["voice"],
        lang=known["lang"],
        body=row["body"],
        carrier=row["carrier"],
        country=row["country"],
        custom_string=row["custom_string"],
        schedule=str(row["schedule"]),
        message_parts=f"{row['units']:.2f}",
        message_price=prices.exact(row["price_micros"]),
        status=row["status"],
        status_code=row["status_code"],
        status_text=row["status_text"],
        date_added=row["date"],
        digits=known.get("digits") or None,
        machine_detected=known.get("machine_detected", 0),
        require_input=known["require_input"],
        machine_detection=known["machine_detection"],
        api_username=row["api_username"],
    )


_ABSENT = {"from_email", "contact_id", "username"}

SHEET = Sheet(
    {name: column for name, column in history.COLUMNS.items() if name not in _ABSENT}
    | {"date_added": history.COLUMNS["date"], "_api_username": history.COLUMNS["username"]},
    VoiceHistoryEntry,
    _history_entry,
    reported={"digits": ""},
)
