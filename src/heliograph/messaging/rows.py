"""One typed row for each table of messages: what writes a row and what reads it name the same columns."""

from typing import Any

import msgspec

from heliograph.transports.base import MessageKey

Key = tuple[int, str]
"""(user_id, message_id): names a message in the books."""


SEND = "send"
"""Key of the details of a message that is one of several of one send: the id of the send."""


class NewMessage(msgspec.Struct, gc=False):
    """A row of `messages` (MT) as each is accepted. Times are Unix seconds, money is micros of the account's currency.

    `units` is what answers and statistics show (segments, pages, recipients); `receipts_left` how many receipts the
    message waits for.
    """

    user_id: int
    channel: str
    ordinal: int
    message_id: str
    subaccount_id: int
    date: int
    schedule: int
    sender: str
    recipient: str
    msisdn: int | None
    country: str
    carrier: str
    body: str
    encoding: str
    units: int
    receipts_left: int
    price_micros: int
    status: str
    status_code: str | None
    custom_string: str
    from_email: str | None
    list_id: int | None
    contact_id: int | None
    source: str
    request_id: str


class Message(NewMessage, gc=False):
    """A row of `messages` as it stands now: with what only some messages have, and what became of it.

    `details` is what only its channel knows, as JSON text; None where the columns say it all.
    """

    campaign_id: int | None = None
    details: str | None = None
    status_text: str | None = None
    error_code: str | None = None
    error_text: str | None = None

    @property
    def key(self) -> Key:
        """Its name in the books."""
        return self.user_id, self.message_id

    @property
    def message_key(self) -> MessageKey:
        """Its name for a transport."""
        return MessageKey(self.user_id, self.channel, self.message_id)

    @property
    def asked_as(self) -> str:
        """The id that its sender knows: of a send with several recipients, each of which is a message, the send's."""
        return str(self.known().get(SEND, self.message_id)) if self.details else self.message_id

    def known(self) -> dict[str, Any]:
        """`details` as values; empty where there are none."""
        return msgspec.json.decode(self.details, type=dict[str, Any]) if self.details else {}


class Receipt(msgspec.Struct, kw_only=True):
    """A row of `receipts` (DLR). `ordinal` is its place in the polled list, None when no POLL rule asked for it."""

    user_id: int
    channel: str
    ordinal: int | None
    message_id: str
    subaccount_id: int
    timestamp_send: int
    timestamp: int
    status: str
    status_code: str
    status_text: str
    error_code: str | None
    error_text: str | None
    custom_string: str
    details: str | None = None

    def reported(self) -> dict[str, Any]:
        """What it has beyond the common keys, by the sheet of its channel; empty for most."""
        return msgspec.json.decode(self.details, type=dict[str, Any]) if self.details else {}


class Inbound(msgspec.Struct, kw_only=True):
    """A row of `inbound` (MO). `original_*` tell of the message that it answers; empty when there is none."""

    user_id: int
    subaccount_id: int
    channel: str
    message_id: str
    timestamp: int
    sender: str
    recipient: str
    body: str
    original_message_id: str
    original_body: str
    custom_string: str
    unread: int = 0
    details: str | None = None

    def with_links(self) -> str:
        """The text, and below it the links to the files: for whoever cannot be given the files."""
        return "\n".join(filter(None, (self.body, *self.media())))

    def file_names(self) -> list[str]:
        """Names (id and ending) of the files that came with it."""
        return [link.rpartition("/")[2] for link in self.media()]

    def media(self) -> list[str]:
        """Links to the files that came with it."""
        return media_of(self.details)


def media_of(details: str | None) -> list[str]:
    """Links to the files of an arrived message, out of its `details`."""
    found = msgspec.json.decode(details).get("media", []) if details else []
    return [str(one) for one in found]
