"""The endpoints that every channel has, made for one of them by its name.

Texts that the contract words differently from channel to channel are parameters; the defaults are those of SMS.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound
from heliograph.fields import Nothing, Null
from heliograph.files import store as files
from heliograph.http import paging, search
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import DATES
from heliograph.http.request import Reply, Request
from heliograph.http.route import Endpoint, Query
from heliograph.messaging import cancel, export, history, message, polling, shapes
from heliograph.messaging.channel import BASE_URL, Sheet
from heliograph.messaging.shapes import (
    Cancelled,
    DateBefore,
    Export,
    ExportState,
    InboundEntry,
    Marked,
    Receipt,
    SampleReceipt,
    Step,
    Steps,
    TargetUrl,
)
from heliograph.webhooks import samples
from heliograph.webhooks.fetch import check_url

NO_RECORD = "Message record not found."
FILENAME = Query("filename", "What the file is to be called.", {"type": "string", "default": "export.csv"})

BY_DATE: tuple[tuple[tuple[str, bool], ...], ...] = ((), (("date", False),), (("date", True),))
"""The orders of a history whose pages are found without sorting; the last one has the newest first."""


def viewing(channel: str, sheet: Sheet, response_msg: str = "Here are your data.") -> Endpoint:
    """A channel's history: date range, paging, search, sort."""
    columns, listing = sheet.columns, sheet.listed(channel)

    @endpoint(response_msg, sheet.entry, paged=True, query=DATES)
    def view_history(req: Request) -> Reply:
        """View the history. Newest last, unless `order_by` says otherwise."""

        def render(row: Mapping[str, Any]) -> msgspec.Struct:
            return sheet.render({**row, BASE_URL: req.base_url}) if sheet.linked else sheet.render(row)

        window = paging.window(req)
        tx, user_id = req.tx, req.who.user_id
        first, last = history.between(tx, user_id, listing, req.unix_time("date_from"), req.unix_time("date_to"))
        found = search.read(req, columns)
        if found.where is not None or found.orders not in BY_DATE:
            base = history.selection(user_id, listing, first, last)
            return search.page(req, base, columns, ("date", False), render)
        newest = found.orders == BY_DATE[-1]
        rows = history.page(tx, user_id, listing, first, last, window.offset, window.limit, newest_first=newest)
        return Reply(paging.page(req, window, last - first, rows, render))

    return view_history


def exporting(channel: str) -> Endpoint:
    """A channel's export: its history as CSV in the file store, answered as a link."""

    @endpoint("Download your file here.", Export, query=(FILENAME, *DATES))
    async def export_history(req: Request) -> Reply:
        """Export the history as a CSV file."""
        user_id, database = req.who.user_id, req.services.database
        start, end = req.unix_time("date_from"), req.unix_time("date_to")
        listing = req.services.channels[channel].sheet.listed(channel)
        first, last = await database.read(lambda tx: history.between(tx, user_id, listing, start, end))
        return await exported(req, channel, first, last)

    return export_history


async def exported(req: Request, channel: str, first: int, last: int, campaign_id: int | None = None) -> Reply:
    """The export of a history, or of what it has of one campaign: what has ordinals in (first, last]."""
    name = files.safe_name(req.query.get("filename", ""), "export.csv")
    user_id, database, settings = req.who.user_id, req.services.database, req.services.settings
    _check_length(last - first, settings.export_rows)
    now = last - first <= settings.export_at_once

    def begin(tx: Tx) -> Mapping[str, Any]:
        file_id = export.begin(tx, user_id, channel, first, last, name, campaign_id)
        if not now:
            export.later(tx, user_id, file_id)
        return export.find(tx, user_id, file_id)

    row = await database.write(begin)
    if now:
        await export.write(database, req.services.files, req.services.channels, row)
    return Reply(Export(_link(req, row)))


@endpoint("The state of your export.", ExportState)
def view_export(req: Request) -> Reply:
    """View how far an export is, by the id in its link. An addition to the contract."""
    row = export.find(req.tx, req.who.user_id, req.params["export_id"])
    rows, done = row["last"] - row["first"], row["done"] - row["first"]
    return Reply(ExportState(row["file_id"], bool(row["ready"]), done, rows, _link(req, row)))


def _check_length(rows: int, most: int) -> None:
    if rows > most:
        text = f"The range has {rows} messages; an export holds at most {most}. Narrow it by date_from and date_to."
        raise BadRequest({"date_from": text}, message=text)


def _link(req: Request, row: Mapping[str, Any]) -> str:
    return f"{req.base_url}/files/{row['file_id']}?filename={row['name'].replace(' ', '%20')}"


def cancelling(
    channel: str,
    cancelled: str = "Message {message_id} has been cancelled.",
    all_cancelled: str = "{count} messages has been cancelled.",
    answer: Any = Nothing,
) -> tuple[Endpoint, Endpoint]:
    """Cancelling one message and all scheduled ones of a channel. The texts may name `message_id` and `count`.


    `answer` is the `data` of one: `Nothing`, or `Null` as facts F12 has it.
    """

    @endpoint("", answer)
    def cancel_one(req: Request) -> Reply:
        """Cancel a scheduled message and give its price back."""
        key = req.params["message_id"].upper()
        if not cancel.cancel(req.tx, req.who.user_id, req.services.channels[channel], [key]):
            raise NotFound(NO_RECORD)
        return Reply(None if answer is Null else [], cancelled.format(message_id=key))

    @endpoint("", Cancelled)
    def cancel_all(req: Request) -> Reply:
        """Cancel all scheduled messages and give their prices back."""
        count = cancel.cancel_all(req.tx, req.who.user_id, req.services.channels[channel])
        return Reply(Cancelled(count), all_cancelled.format(count=count))

    return cancel_one, cancel_all


@endpoint("The timeline of your message.", Steps)
def view_timeline(req: Request) -> Reply:
    """View what happened to a message, step by step. An addition to the contract."""
    steps = message.timeline(req.tx, req.who.user_id, req.params["message_id"].upper())
    if not steps:
        raise NotFound(NO_RECORD)
    return Reply([Step(round(at, 3), status, detail) for at, status, detail in steps])


class ReceiptEndpoints(NamedTuple):
    """What a channel has of receipts to poll."""

    test: Endpoint
    view_all: Endpoint
    view_one: Endpoint
    read: Endpoint


def receipts(
    channel: str, kind: type[Receipt], listed: type[Receipt], sample: type[SampleReceipt] = SampleReceipt
) -> ReceiptEndpoints:
    """A channel's receipts. `kind` is one by its id, `listed` one in the list of the unread, `sample` a test."""

    @endpoint("Receipt has been added", sample)
    def test(req: Request, body: TargetUrl) -> Reply:
        """Send a test receipt to a URL."""
        who, url = req.who, _target(req, body)
        row = samples.receipt(req.tx, req.services.channels[channel], who.user_id, who.subaccount_id, url)
        return Reply(shapes.sample_receipt(sample, row))

    @endpoint("Here are your delivery receipts.", listed, paged=True)
    def view_all(req: Request) -> Reply:
        """View the unread receipts that a POLL rule collected."""
        render = partial(shapes.receipt, listed)
        if search.asked(req, polling.RECEIPT_COLUMNS):
            base = polling.unread_receipts(req.tx, req.who.user_id, channel)
            return search.page(req, base, polling.RECEIPT_COLUMNS, ("receipt_id", False), render)
        window = paging.window(req)
        total, rows = polling.receipts(req.tx, req.who.user_id, channel, window.offset, window.limit)
        return Reply(paging.page(req, window, total, rows, render))

    @endpoint("Your receipt.", kind)
    def view_one(req: Request) -> Reply:
        """View the newest receipt of one message, read or not."""
        row = polling.receipt(req.tx, req.who.user_id, channel, req.params["message_id"].upper())
        if row is None:
            raise NotFound("Receipt record not found.")
        return Reply(shapes.receipt(kind, row))

    @endpoint("Receipts has been marked as read.", Null)
    def read(req: Request, body: DateBefore) -> Reply:
        """Mark receipts as read, up to a time."""
        polling.mark_receipts(req.tx, req.who.user_id, channel, body.date_before)
        return Reply()

    return ReceiptEndpoints(test, view_all, view_one, read)


class InboundEndpoints(NamedTuple):
    """What a channel has of inbound messages to poll."""

    test: Endpoint
    view_all: Endpoint
    view_answer: Endpoint
    read: Endpoint
    read_one: Endpoint


def inbound(channel: str) -> InboundEndpoints:
    """A channel's inbound messages."""

    @endpoint("Here are your incoming messages.", InboundEntry)
    def test(req: Request, body: TargetUrl) -> Reply:
        """Send a test inbound message to a URL."""
        who, url = req.who, _target(req, body)
        row = samples.inbound(req.tx, req.services.channels[channel], who.user_id, who.subaccount_id, url)
        return Reply(shapes.inbound_entry({**msgspec.structs.asdict(row), "custom_string": None}))

    @endpoint("Here are your data.", InboundEntry, paged=True)
    def view_all(req: Request) -> Reply:
        """View the unread inbound messages that a POLL rule collected."""
        if search.asked(req, polling.INBOUND_COLUMNS):
            base = polling.unread_inbound(req.who.user_id, channel)
            return search.page(req, base, polling.INBOUND_COLUMNS, ("inbound_id", True), shapes.inbound_entry)
        window = paging.window(req)
        total, rows = polling.inbound(req.tx, req.who.user_id, channel, window.offset, window.limit)
        return Reply(paging.page(req, window, total, rows, shapes.inbound_entry))

    @endpoint("Here are your data.", InboundEntry)
    def view_answer(req: Request) -> Reply:
        """View the newest answer to a message, read or not, by the id of that message. Source: clients 2."""
        key = req.params["original_message_id"].upper()
        row = polling.answer(req.tx, req.who.user_id, channel, key) if key else None
        if row is None:
            raise NotFound(NO_RECORD)
        return Reply(shapes.inbound_entry(row))

    @endpoint("Inbound messages have been marked as read.", Null)
    def read(req: Request, body: DateBefore) -> Reply:
        """Mark inbound messages as read, up to a time."""
        polling.mark_inbound(req.tx, req.who.user_id, channel, body.date_before)
        return Reply()

    @endpoint("Receipt have been marked as read.", Marked)
    def read_one(req: Request) -> Reply:
        """Mark one inbound message as read."""
        if not polling.mark_one(req.tx, req.who.user_id, channel, req.params["message_id"].upper()):
            raise NotFound(NO_RECORD)
        return Reply(1)

    return InboundEndpoints(test, view_all, view_answer, read, read_one)


def _target(req: Request, body: TargetUrl) -> str:
    """The URL of a test event. Raises BadRequest."""
    fault = check_url(body.url, private=req.services.settings.private_webhooks)
    if fault:
        raise BadRequest({"url": fault})
    return body.url
