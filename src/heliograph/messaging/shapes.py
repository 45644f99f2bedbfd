"""What endpoints answer that every channel has: receipts, inbound messages, exports, the timeline."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from heliograph.fields import CustomString, MessageId, PhoneNumber, Subaccount, UnixText, about
from heliograph.messaging import rows


class Export(msgspec.Struct):
    """`data` of the exports (endpoint 143 and its like)."""

    url: Annotated[
        str,
        about(
            "Where the file can be downloaded for a day, without credentials. While a long one is being written, that "
            "answers 503 with Retry-After."
        ),
    ]


class ExportState(msgspec.Struct):
    """`data` of the state of an export."""

    export_id: Annotated[str, about("The id in the link of the export.", "7C1E3B5A-90D4-4C3F-8E2B-1A6D5F4C3B2A")]
    ready: Annotated[bool, about("Whether the file can be downloaded.")]
    rows_done: Annotated[int, about("Messages that are written.")]
    rows: Annotated[int, about("Messages that the export will hold.")]
    url: Annotated[str, about("Where the file can be downloaded.")]


class Cancelled(msgspec.Struct):
    """`data` of cancelling all (endpoint 137 and its like)."""

    count: Annotated[int, about("How many messages were cancelled.")]


class Step(msgspec.Struct):
    """A step of a message's timeline."""

    at: Annotated[float, about("Unix time in seconds, to the millisecond.", 1792137600.125)]
    status: Annotated[str, about("The status that the message had from then on.", "Sent")]
    detail: Annotated[str, about("What happened, with the carrier's own words.")]


Steps = Annotated[list[Step], about("What happened, oldest first.")]


class DateBefore(msgspec.Struct):
    """Body of the read marks."""

    date_before: Annotated[
        int | None, about("Mark what is older than this Unix time; without it, everything.", 1792137600)
    ] = None


class TargetUrl(msgspec.Struct):
    """Body of the test events."""

    url: Annotated[str, about("Where the test event is sent.", "https://example.com/hook")]


Marked = Annotated[Literal[1], about("Always 1.")]


class SampleReceipt(msgspec.Struct, kw_only=True):
    """`data` of a test receipt (128)."""

    timestamp: UnixText
    message_id: MessageId
    status_code: Annotated[str, about("201 delivered, 300 tried again, 301 failed.", "201")]
    status_text: Annotated[str, about("What happened.", "Success: Message received on handset.")]
    error_code: Annotated[str | None, about("The carrier's own code for what went wrong.", None)]
    error_text: str | None
    custom_string: CustomString | None


class Receipt(SampleReceipt, kw_only=True):
    """What the receipts of all channels have. A channel adds `message_type` or `listed_type`: its name."""

    timestamp_send: Annotated[UnixText, about("When the message was sent.")]
    status: Annotated[str, about("Delivered or Undelivered.", "Delivered")]
    user_id: int
    subaccount_id: Subaccount


R = TypeVar("R", bound=Receipt)


S = TypeVar("S", bound=SampleReceipt)


def sample_receipt(kind: type[S], row: rows.Receipt) -> S:
    """The answer to a test receipt."""
    return kind(
        **_reported(kind, row.details),
        timestamp=str(row.timestamp),
        message_id=row.message_id,
        status_code=row.status_code,
        status_text=row.status_text,
        error_code=row.error_code,
        error_text=row.error_text,
        custom_string=None,
    )


def receipt(kind: type[R], row: Mapping[str, Any]) -> R:
    """A row of `receipts` as a channel's receipt, which tells the channel in the fields that it has for that."""
    named = {name: row["channel"] for name in ("message_type", "listed_type") if name in kind.__struct_fields__}
    return kind(
        **named,
        **_reported(kind, row["details"]),
        timestamp_send=str(row["timestamp_send"]),
        timestamp=str(row["timestamp"]),
        message_id=row["message_id"],
        status=row["status"],
        status_code=row["status_code"],
        status_text=row["status_text"],
        error_code=row["error_code"],
        error_text=row["error_text"],
        custom_string=row["custom_string"],
        user_id=row["user_id"],
        subaccount_id=row["subaccount_id"],
    )


def _reported(kind: type[SampleReceipt], details: str | None) -> dict[str, Any]:
    """What a channel's receipts have beyond the common keys, as far as this shape shows it."""
    known = msgspec.json.decode(details, type=dict[str, Any]) if details else {}
    return {name: value for name, value in known.items() if name in kind.__struct_fields__}


class InboundEntry(msgspec.Struct, kw_only=True):
    """An inbound message (132, 133)."""

    timestamp: UnixText
    from_: PhoneNumber = msgspec.field(name="from")
    body: str
    original_body: Annotated[str, about("Text of the message that this one answers; empty when there is none.")]
    original_message_id: Annotated[str, about("Id of the message that this one answers; empty when there is none.")]
    to: PhoneNumber
    custom_string: Annotated[str | None, about("Your reference of the message that this one answers.")]
    message_id: MessageId
    keyword: Annotated[str, about("The first word in small letters.", "stop")] = msgspec.field(name="_keyword")
    media_file_url: Annotated[str | msgspec.UnsetType, about("Where the first file of an MMS is.")] = msgspec.field(
        default=msgspec.UNSET, name="_media_file_url"
    )


def inbound_entry(row: Mapping[str, Any]) -> InboundEntry:
    """A row of `inbound`."""
    words = row["body"].split()
    return InboundEntry(
        timestamp=str(row["timestamp"]),
        from_=row["sender"],
        body=row["body"],
        original_body=row["original_body"],
        original_message_id=row["original_message_id"],
        to=row["recipient"],
        custom_string=row["custom_string"],
        message_id=row["message_id"],
        keyword=words[0].lower() if words else "",
        media_file_url=next(iter(rows.media_of(row["details"])), msgspec.UNSET),
    )
