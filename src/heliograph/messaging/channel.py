"""What a channel is to the life of a message.

A medium is what is priced, counted, permitted and routed (media.py). A channel is one list of messages over a medium:
it has a queue, a history, polled receipts and rules of its own. Letters and postcards are two channels over `post`.
The channels stand in one table, channels/table.py (docs/decisions/0012).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec

from heliograph.accounts.account import Principal
from heliograph.db.engine import Tx
from heliograph.db.shown import Columns
from heliograph.links.link import NewLink
from heliograph.media import Medium
from heliograph.messaging import history, rows
from heliograph.messaging.history import Listing
from heliograph.transports.base import Content, Failed, Inbound, Limits, Retry


class Charge(NamedTuple):
    """A part of what a message costs: `units` times the price of `kind` in the rates of the channel's medium."""

    kind: str
    units: int


class Draft(msgspec.Struct, kw_only=True, gc=False):
    """One message as its channel made it out of a request. `refusal` set: nothing but the answer is left to do.

    `charges` add up to the price; none: it is free. `units` is what answers and statistics show (segments, pages,
    recipients); `awaits` how many receipts end the message, 0: it ends when the carrier takes it. `free` marks the
    documented test recipients, which are neither charged nor sent. `schedule` is in Unix seconds, 0 means now.
    `details` is what only this channel's answer, history and content read (values that JSON has). `links` are the short
    links in its text, whose codes stand in `body`. `why` is what the timeline tells of a refusal.
    """

    recipient: str
    sender: str = ""
    body: str = ""
    country: str = ""
    carrier: str = ""
    encoding: str = ""
    charges: tuple[Charge, ...] = ()
    units: int = 1
    awaits: int = 1
    schedule: int = 0
    custom_string: str = ""
    from_email: str | None = None
    list_id: int | None = None
    contact_id: int | None = None
    source: str = ""
    details: dict[str, Any] | None = None
    links: tuple[NewLink, ...] = ()
    free: bool = False
    refusal: str | None = None
    why: str = ""


class Words(msgspec.Struct, frozen=True):
    """`status_text` of a channel's messages and receipts. Source: facts C."""

    sent: str
    """A carrier took it, and a receipt will follow."""
    taken: str
    """A carrier took it, and that is its end."""
    delivered: str
    """The receipt says that it arrived."""
    undelivered: str
    """Why it failed, when the receipt says no more than that."""


class Sheet(msgspec.Struct, frozen=True):
    """How messages look in the history and its export: the columns to search by, the entry, and how a row becomes one.

    `render` gets a row of `history.selection`; of a `linked` one also BASE_URL, where there is a request. `listing` is
    what is listed, where it is not the messages of the channel. `reported` is what a receipt has beyond the common
    keys, with the value that it has when the carrier does not tell. `of_campaigns` is how the messages of one campaign
    look in a history of their own.
    """

    columns: Columns
    entry: type[msgspec.Struct]
    render: Callable[[Mapping[str, Any]], msgspec.Struct]
    linked: bool = False
    listing: Listing | None = None
    reported: Mapping[str, Any] = MappingProxyType({})
    of_campaigns: "Sheet | None" = None

    def listed(self, channel: str) -> Listing:
        """What the history of a channel lists."""
        return self.listing or history.messages_of(channel)


def usage_name(channel: "Channel", campaign_id: int | None) -> str:
    """Name by which usage counts a message of a channel."""
    return channel.counted_as if campaign_id is None else channel.medium


BASE_URL = "_base_url"
"""Key of the server's address, for the links in an entry."""


class Channel(Protocol):
    """What is special about the messages of one channel. Everything else is the same for all, in this room.

    One object serves all requests and all loops of a process: it holds settings and nothing that changes. Methods are
    grouped by when they run. None of them commits, and an error out of one is a defect: what is wrong with a request
    or a message is a value.
    """

    name: str
    """Of the list: `messages.channel`, the queue, the counters."""
    medium: Medium
    words: Words
    sheet: Sheet
    receipt_rules: str
    """Name of the family of rules that its receipts run (automations/families.py); empty: none."""
    inbound_rules: str
    """The same for messages that arrive."""
    counted_as: str
    """Name by which usage counts its messages (media.USAGES); those of campaigns are counted by their medium."""
    unconfirmed: bool
    """Whether nobody reports a delivery, as with mail: what a carrier took stays Sent, until a failure is heard of."""
    lasting: bool
    """Whether a hand-over takes as long as a call does: each message is then handed over and settled by itself."""
    validity: float | None
    """Seconds until a message fails that no carrier took; None: as the settings say for all."""

    # While a request is read. No transaction is open the first time; these may run a second time inside of one,
    # when the account changed meanwhile. So they are pure but for the codes of short links, which are drawn anew each
    # time: no database, no network, no file.

    def draft(self, who: Principal, given: Any, now: float) -> Draft:
        """What a request asks for, or the first reason to refuse it. `now` is in Unix seconds."""
        ...

    def personal(self, given: Any) -> Callable[[Mapping[str, Any]], Any]:
        """Makes what was asked for a contact list into what is asked for one contact of it, called once a contact.

        It gets the contact's row (contacts/audience.Member), takes its address out of it and fills placeholders. An
        empty recipient means that the contact cannot be reached in this channel.
        """
        ...

    # In the transaction that accepts, once for all orders that were merged.

    def judge(self, tx: Tx, orders: "Sequence[Order]") -> None:
        """Set `Draft.refusal` for what only the database can refuse, as a sender that belongs to another account."""
        ...

    # In the worker, with no transaction open, once for each message that was claimed (again when it is tried again).

    async def contents(self, messages: Sequence[rows.Message], limits: Limits) -> Sequence[Content | Retry | Failed]:
        """What the transport that was chosen gets, for each message in order. `limits` are those of its carrier.

        Files may be read here, pictures made smaller, speech and documents made.
        `Failed` ends a message and gives its money back; `Retry` has it tried again.
        """
        ...

    # In the transaction that stores an arriving message (MO).

    def original(self, tx: Tx, arrived: Inbound, holder: int | None) -> rows.Message | None:
        """The message that an arriving one answers; of the account `holder`, if the number is dedicated to one."""
        ...


class ForList(NamedTuple):
    """What was asked for a whole contact list."""

    list_id: int
    given: Any


class Order(msgspec.Struct, kw_only=True):
    """All drafts of one request. `quote`: only price them. `gratis`: the operator pays.

    `lists` has, by the place of a draft that stands for a contact list, what was asked for that list. `throttle` is
    in seconds: the same text to the same recipient within them is refused; 0: never. `prepaid` are the micros that were
    taken for each draft before: one that costs more is refused, and what it costs less is the caller's to give back.
    """

    principal: Principal
    channel: Channel
    request_id: str
    drafts: list[Draft]
    lists: dict[int, ForList] = {}
    throttle: int = 0
    quote: bool = False
    gratis: bool = False
    campaign_id: int | None = None
    prepaid: Sequence[int] | None = None


class Accepted(msgspec.Struct, gc=False):
    """What became of a draft: its status, id, price in micros, and date in Unix seconds."""

    draft: Draft
    status: str
    message_id: str
    price_micros: int
    date: int
