"""What the Transactional Email section takes and answers (endpoints 62 to 65). Types: facts C, L, N; clients 3, 5."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from heliograph.billing import currencies, prices
from heliograph.channels.email.campaigns import history as campaign_history
from heliograph.channels.email.sends import COLUMNS, LISTING, File, Recipient
from heliograph.fields import Mail, MessageId, Price, Subaccount, UnixText, UnixTime, about
from heliograph.messaging.channel import BASE_URL, Sheet
from heliograph.messaging.receipts import TO
from heliograph.messaging.shapes import Receipt

LONGEST_SUBJECT = 900
LONGEST_NAME = 300
LONGEST_CUSTOM_STRING = 1000
"""Characters."""


class Person(msgspec.Struct, kw_only=True):
    """An address, and whose it is."""

    email: Annotated[str | None, about("Email address.", "jane@example.com")] = None
    name: Annotated[str | None, about("Whose address it is.", "Jane Doe")] = None


class From(Person, kw_only=True):
    """The sender: the id of a verified address."""

    email_address_id: Annotated[
        int | str | None, about("Id of one of the account's verified addresses (endpoint 48).", 1)
    ] = None


class AttachmentBody(msgspec.Struct, kw_only=True):
    """A file in the body of a send."""

    content: Annotated[str | None, about("The file in base64.", "ZmlsZSBjb250ZW50cw==")] = None
    type: Annotated[str | None, about("Its MIME type.", "text/plain")] = None
    filename: Annotated[str | None, about("Its name.", "text.txt")] = None
    disposition: Annotated[
        str | None, about("inline for what the HTML shows, attachment for any other file.", "attachment")
    ] = None
    content_id: Annotated[str | None, about("The name by which the HTML shows it: cid:logo.", "logo")] = None


class PriceEmail(msgspec.Struct, kw_only=True):
    """Body of a price."""

    to: Annotated[list[Person] | None, about("Who gets it.")] = None
    cc: Annotated[list[Person] | None, about("Who gets a copy, as everybody can see.")] = None
    bcc: Annotated[list[Person] | None, about("Who gets a copy that nobody sees.")] = None
    from_: Annotated[From | list[From] | None, about("The sender.")] = msgspec.field(default=None, name="from")
    subject: Annotated[str | None, about("The subject.", "Test subject")] = None
    body: Annotated[str | None, about("HTML, if it has tags, or plain text.", "Lorem ipsum")] = None
    attachments: Annotated[list[AttachmentBody] | None, about("Files.")] = None
    schedule: Annotated[
        int | str | float | None,
        about("Unix time in seconds, up to four months ahead; without it, or in the past: at once."),
    ] = None
    custom_string: Annotated[str | None, about("Your reference: receipts bring it back.", "order 4711")] = None


class SendEmail(PriceEmail, kw_only=True):
    """Body of a send."""


class Shown(msgspec.Struct, kw_only=True):
    """A recipient in an answer."""

    email: Mail
    name: Annotated[str, about("Whose address it is; empty if that was not given.", "Jane Doe")] = ""


class Listed(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A recipient in the history."""

    email: Mail
    name: Annotated[str, about("Whose address it is, if that was given.", "Jane Doe")] = ""


class Attached(msgspec.Struct, kw_only=True):
    """A file in an answer."""

    file_name: Annotated[str, about("Its name.", "text.txt")]
    content_type: Annotated[str, about("Its MIME type.", "text/plain")]
    content_disposition: Annotated[str, about("inline or attachment.", "attachment")]
    content_id: Annotated[str, about("As it was given.", "logo")]
    attachment_file_url: Annotated[str, about("Where the file can be looked at.")] = msgspec.field(
        name="_attachment_file_url"
    )


TO_WHOM, COPIES_TO = about("Who gets it."), about("Who gets a copy; null for nobody.")


class EmailEntry(msgspec.Struct, kw_only=True):
    """A mail in the history (64), and the columns of its export (65)."""

    user_id: int
    subaccount_id: Subaccount
    from_email_address_id: Annotated[int, about("Id of the sender's address.", 1)]
    from_name: Annotated[str, about("The sender's name.", "Joanne Doe")]
    to: Annotated[list[Listed], TO_WHOM]
    cc: Annotated[list[Listed] | None, COPIES_TO]
    bcc: Annotated[list[Listed] | None, COPIES_TO]
    subject: Annotated[str, about("The subject.", "Test subject")]
    body: Annotated[str, about("The body as it was given.", "Lorem ipsum")]
    body_plain_text: Annotated[str, about("The body in plain text.", "Lorem ipsum")]
    schedule: UnixText
    message_id: MessageId
    status: Annotated[
        str, about("Queued:WaitSend, Scheduled, Sent, Failed, SpamReport or Cancelled.", "Queued:WaitSend")
    ]
    status_text: Annotated[str | None, about("What became of it; null before it was sent.", "Accepted for delivery")]
    soft_bounce_count: Annotated[int, about("Passing faults that mail hosts reported.", 0)]
    hard_bounce_count: Annotated[int, about("Recipients that could not be reached.", 0)]
    price: Price
    date_added: UnixText
    custom_string: Annotated[str | None, about("Your reference, as it was given.", None)]
    attachments: list[Attached] = msgspec.field(name="_attachments")
    currency: currencies.Currency = msgspec.field(name="_currency")


class SentEmail(EmailEntry, kw_only=True):
    """`data` of a send (62)."""

    to: Annotated[list[Shown], TO_WHOM]  # type: ignore[assignment]
    cc: Annotated[list[Shown] | None, COPIES_TO]  # type: ignore[assignment]
    bcc: Annotated[list[Shown] | None, COPIES_TO]  # type: ignore[assignment]
    schedule: UnixTime  # type: ignore[assignment]
    date_added: UnixTime  # type: ignore[assignment]


class EmailPrice(msgspec.Struct, kw_only=True):
    """`data` of a price (63)."""

    to_array: Annotated[list[Shown], TO_WHOM]
    cc_array: Annotated[list[Shown] | None, COPIES_TO]
    bcc_array: Annotated[list[Shown] | None, COPIES_TO]
    subject: Annotated[str, about("The subject.", "Test subject")]
    body: Annotated[str, about("The body as it was given.", "Lorem ipsum")]
    price: Annotated[float | int, about("In units of the currency.", 0.002)]
    currency: currencies.Currency = msgspec.field(name="_currency")


class EmailReceipt(Receipt, kw_only=True):
    """A receipt."""

    message_type: Literal["email"]
    to: Annotated[Mail, about("The recipient that it is about.")]


def people(listed: Sequence[Recipient] | None) -> list[Shown] | None:
    """Recipients as answers have them."""
    return None if listed is None else [Shown(email=one.email, name=one.name) for one in listed]


def _fields(row: Mapping[str, Any], kind: type[Shown] | type[Listed]) -> dict[str, Any]:
    """What an entry and the answer to a send have in common. Recipients are of this kind."""

    def read(text: str | None) -> Any:
        return None if text is None else msgspec.json.decode(text, type=list[kind])  # type: ignore[valid-type]

    same = ("user_id", "subaccount_id", "from_email_address_id", "from_name", "subject", "body", "body_plain_text")
    counted = ("message_id", "custom_string", "soft_bounce_count", "hard_bounce_count")
    return {
        **{name: row[name] for name in (*same, *counted)},
        "to": read(row["to_array"]),
        "cc": read(row["cc_array"]),
        "bcc": read(row["bcc_array"]),
        "price": prices.fixed(row["price_micros"], 4),
        "attachments": [_attached(one, row.get(BASE_URL, "")) for one in _files(row["files"])],
        "currency": currencies.describe(row["currency"]),
    }


def _files(text: str) -> list[File]:
    return msgspec.json.decode(text, type=list[File])


def _attached(file: File, base_url: str) -> Attached:
    return Attached(
        file_name=file.name,
        content_type=file.content_type,
        content_disposition=file.disposition,
        content_id=file.content_id,
        attachment_file_url=f"{base_url}/files/{file.link}",
    )


def entry(row: Mapping[str, Any]) -> EmailEntry:
    """An entry of the history with the documented types."""
    return EmailEntry(
        **_fields(row, Listed),
        status=row["status"],
        status_text=row["status_text"],
        schedule=str(row["schedule"]),
        date_added=str(row["date"]),
    )


def sent(row: Mapping[str, Any]) -> SentEmail:
    """The answer to a send."""
    return SentEmail(
        **_fields(row, Shown),
        status=row["status"],
        status_text="Accepted for delivery" if row["count"] else row["status_text"],
        schedule=row["schedule"],
        date_added=row["date"],
    )


SHEET = Sheet(
    COLUMNS, EmailEntry, entry, linked=True, listing=LISTING, reported={TO: ""}, of_campaigns=campaign_history.SHEET
)
