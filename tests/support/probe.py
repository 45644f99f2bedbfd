"""A channel that no product has, over a medium of its own: what an entry in the channel table has to bring.

It is priced by two charges, has one receipt, sends the text of a file, takes as long as a call does, and may fail after
it was complete.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from heliograph import phone, routes
from heliograph.accounts.account import Principal
from heliograph.billing import prices
from heliograph.channels import table
from heliograph.channels.api import sending_and_pricing
from heliograph.db.engine import Tx
from heliograph.errors import Status
from heliograph.http.request import Reply, Request
from heliograph.http.route import Route, Section
from heliograph.messaging import api, history, inbound
from heliograph.messaging.channel import Accepted, Charge, Draft, Order, Sheet, Words
from heliograph.messaging.rows import Message
from heliograph.messaging.shapes import Receipt
from heliograph.transports.base import Content, Failed, Inbound, Limits, Mail, Retry


class ProbeMessage(msgspec.Struct, kw_only=True):
    to: str | None = None
    body: str | None = None
    file: str = ""
    pages: int = 2
    list_id: int | None = None
    schedule: int = 0


class SendProbe(msgspec.Struct):
    messages: list[ProbeMessage]


class SentProbe(msgspec.Struct):
    status: str
    to: str
    message_id: str
    price: str
    pages: int


class ProbeAnswer(msgspec.Struct):
    messages: list[SentProbe]


class ProbeEntry(msgspec.Struct):
    message_id: str
    to: str
    body: str
    status: str
    status_code: str | None
    status_text: str | None
    message_price: str


class ProbeReceipt(Receipt, kw_only=True):
    message_type: str


def _entry(row: Mapping[str, Any]) -> ProbeEntry:
    names = ("message_id", "recipient", "body", "status", "status_code", "status_text")
    return ProbeEntry(*(row[name] for name in names), prices.fixed(row["price_micros"], 6))


class Probe:
    name = "probe"
    medium = "post"
    words = Words(sent="On its way", taken="Taken", delivered="Put into the box", undelivered="came back")
    sheet = Sheet({name: history.COLUMNS[name] for name in ("date", "to", "body", "message_id")}, ProbeEntry, _entry)
    receipt_rules = "probe-receipts"
    inbound_rules = "probe-inbound"
    counted_as = "post"
    unconfirmed = False
    lasting = True
    validity: float | None = None

    def __init__(self, parts: table.Parts) -> None:
        self._files = parts.files

    def draft(self, who: Principal, given: ProbeMessage, now: float) -> Draft:
        draft = Draft(recipient=given.to or "", body=given.body or "", units=given.pages, schedule=given.schedule)
        if given.list_id is not None and not given.to:
            draft.refusal = Status.NOT_ENOUGH_PERMISSION_TO_LIST_ID
            return draft
        number = phone.parse(draft.recipient, who.country)
        if number is None:
            draft.refusal = Status.INVALID_RECIPIENT
            return draft
        draft.recipient, draft.country = number.number, number.country
        draft.charges = (Charge("letter_black", 1), Charge("page_black", given.pages - 1))
        draft.details = {"file": given.file}
        return draft

    def personal(self, given: ProbeMessage) -> Callable[[Mapping[str, Any]], ProbeMessage]:
        return lambda member: msgspec.structs.replace(given, list_id=None, to=member["phone_number"] or "")

    def judge(self, tx: Tx, orders: Sequence[Order]) -> None:
        pass

    async def contents(self, messages: Sequence[Message], limits: Limits) -> Sequence[Content | Retry | Failed]:
        return [self._content(row) for row in messages]

    def _content(self, row: Message) -> Content | Failed:
        file_id = row.known()["file"]
        try:
            text = self._files.read(file_id, 0, 100).decode() if file_id else ""
        except FileNotFoundError:
            return Failed(None, "The file is gone.")
        return Mail(f"{row.body}\r\n\r\n{text}".encode(), "")

    def original(self, tx: Tx, arrived: Inbound, holder: int | None) -> Message | None:
        return inbound.by_number(tx, arrived, holder)


def _sent(req: Request, fates: list[Accepted]) -> Reply:
    """Send letters."""
    return Reply(
        ProbeAnswer(
            [
                SentProbe(
                    one.status, one.draft.recipient, one.message_id, prices.fixed(one.price_micros, 4), one.draft.units
                )
                for one in fates
            ]
        )
    )


send, price = sending_and_pricing(Probe.name, SendProbe, ProbeAnswer, _sent, _sent, most=1000)
cancel, cancel_all = api.cancelling(Probe.name, "Stopped {message_id}.")
receipts = api.receipts(Probe.name, ProbeReceipt, ProbeReceipt)
arrivals = api.inbound(Probe.name)

SECTION = Section(
    "Probe",
    "A channel of the tests.",
    Route(0, "POST /probe/send", send, "post"),
    Route(0, "POST /probe/price", price, "post"),
    Route(0, "GET /probe/history", api.viewing(Probe.name, Probe.sheet), "reporting"),
    Route(0, "GET /probe/history/export", api.exporting(Probe.name), "reporting"),
    Route(0, "GET /probe/receipts", receipts.view_all, "post"),
    Route(0, "GET /probe/receipts/{message_id}", receipts.view_one, "post"),
    Route(0, "PUT /probe/receipts-read", receipts.read, "post"),
    Route(0, "GET /probe/inbound", arrivals.view_all, "post"),
    Route(0, "PUT /probe/inbound-read/{message_id}", arrivals.read_one, "post"),
    Route(0, "PUT /probe/{message_id}/cancel", cancel, "post"),
    Route(0, "PUT /probe/cancel-all", cancel_all, "post"),
    Route(0, "GET /probe/{message_id}/timeline", api.view_timeline, "post"),
)


def register(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """The one entry of the channel, and its endpoints as rows of the route table."""
    put(table, "CHANNELS", (*table.CHANNELS, Probe))
    put(routes, "SECTIONS", (*routes.SECTIONS, SECTION))
    put(routes, "ROUTES", (*routes.ROUTES, *SECTION.routes))
