"""HTTP shapes that all channels share: history, its export, cancelling, the timeline."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, Unavailable
from heliograph.fields import Nothing, about
from heliograph.files import store as files
from heliograph.http import paging, search
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import DATES
from heliograph.http.request import Reply, Request
from heliograph.http.route import Endpoint, Query
from heliograph.messaging import export, history, message
from heliograph.messaging.export import Render

UNKNOWN = "Message record not found."
FILENAME = Query("filename", "What the file is to be called.", {"type": "string", "default": "export.csv"})


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


def viewing(channel: str, render: Render, entry: type[msgspec.Struct]) -> Endpoint:
    """The handler of a channel's history: date range, paging, search, sort."""

    @endpoint("Here are your data.", entry, paged=True, query=DATES)
    def view_history(req: Request) -> Reply:
        """View the history. Newest last, unless `order_by` says otherwise."""
        window = paging.window(req)
        tx, user_id = req.tx, req.who.user_id
        first, last = history.between(tx, user_id, channel, req.unix_time("date_from"), req.unix_time("date_to"))
        field, descending = search.order(req, history.COLUMNS) or ("date", False)
        if field != "date" or search.condition(req, history.COLUMNS) is not None:
            base = history.selection(user_id, channel, first, last)
            return search.page(req, base, history.COLUMNS, ("date", False), render)
        rows = history.page(tx, user_id, channel, first, last, window.offset, window.limit, newest_first=descending)
        return Reply(paging.page(req, window, last - first, rows, render))

    return view_history


def exporting(channel: str, render: Render, entry: type[msgspec.Struct]) -> Endpoint:
    """The handler of a channel's export: its history as CSV in the file store, answered as a link."""
    export.SHEETS[channel] = export.Sheet(render, [field.encode_name for field in msgspec.structs.fields(entry)])

    @endpoint("Download your file here.", Export, query=(FILENAME, *DATES), refuses=(Unavailable,))
    async def export_history(req: Request) -> Reply:
        """Export the history as a CSV file."""
        name = files.safe_name(req.query.get("filename", ""), "export.csv")
        user_id, database, settings = req.who.user_id, req.services.database, req.services.settings
        start, end = req.unix_time("date_from"), req.unix_time("date_to")
        first, last = await database.read(lambda tx: history.between(tx, user_id, channel, start, end))
        _check_length(last - first, settings.export_rows)
        now = last - first <= settings.export_at_once

        def begin(tx: Tx) -> Mapping[str, Any]:
            file_id = export.begin(tx, user_id, channel, first, last, name)
            if not now:
                export.later(tx, user_id, file_id)
            return export.find(tx, user_id, file_id)

        row = await database.write(begin)
        if now:
            await export.write(database, req.services.files, row)
        return Reply(Export(_link(req, row)))

    return export_history


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


def cancelling(channel: str) -> tuple[Endpoint, Endpoint]:
    """The handlers that cancel one message and all scheduled ones of a channel."""

    @endpoint("", Nothing)
    def cancel(req: Request) -> Reply:
        """Cancel a scheduled message and give its price back."""
        key = req.params["message_id"].upper()
        if not history.cancel(req.tx, req.who.user_id, channel, [key]):
            raise NotFound(UNKNOWN)
        return Reply([], f"Message {key} has been cancelled.")

    @endpoint("", Cancelled)
    def cancel_all(req: Request) -> Reply:
        """Cancel all scheduled messages and give their prices back."""
        count = history.cancel_all(req.tx, req.who.user_id, channel)
        return Reply(Cancelled(count), f"{count} messages has been cancelled.")

    return cancel, cancel_all


@endpoint("The timeline of your message.", Steps)
def view_timeline(req: Request) -> Reply:
    """View what happened to a message, step by step. An addition to the contract."""
    steps = message.timeline(req.tx, req.who.user_id, req.params["message_id"].upper())
    if not steps:
        raise NotFound(UNKNOWN)
    return Reply([Step(round(at, 3), status, detail) for at, status, detail in steps])
