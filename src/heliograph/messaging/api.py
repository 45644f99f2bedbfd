"""HTTP shapes that all channels share: history, its export, cancelling, the timeline."""

import csv
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from heliograph.db.engine import Tx
from heliograph.errors import NotFound
from heliograph.files import store as files
from heliograph.http import paging, search
from heliograph.http.fields import about
from heliograph.http.request import Reply, Request
from heliograph.messaging import history, message

UNKNOWN = "Message record not found."
Render = Callable[[Mapping[str, Any]], msgspec.Struct]


class Export(msgspec.Struct):
    """`data` of the exports (endpoint 143 and its like)."""

    url: Annotated[str, about("Where the file can be downloaded for a day, without credentials.")]


class Cancelled(msgspec.Struct):
    """`data` of cancelling all (endpoint 137 and its like)."""

    count: Annotated[int, about("How many messages were cancelled.")]


class Step(msgspec.Struct):
    """A step of a message's timeline."""

    at: Annotated[float, about("Unix time in seconds, to the millisecond.", 1792137600.125)]
    status: Annotated[str, about("The status that the message had from then on.", "Sent")]
    detail: Annotated[str, about("What happened, with the carrier's own words.")]


Steps = Annotated[list[Step], about("What happened, oldest first.")]


def viewing(channel: str, render: Render) -> Callable[[Request], Reply]:
    """The handler of a channel's history: date range, paging, search, sort."""

    def view_history(req: Request) -> Reply:
        """View the history. Newest last, unless `order_by` says otherwise."""
        shown = paging.window(req)
        tx, user_id = req.tx, req.who.user_id
        first, last = history.between(tx, user_id, channel, req.unix_time("date_from"), req.unix_time("date_to"))
        way = search.order(req, history.COLUMNS) or ("date", False)
        if way[0] != "date" or search.condition(req, history.COLUMNS) is not None:
            base = history.selection(user_id, channel, first, last)
            total, rows = search.rows(req, base, history.COLUMNS, shown, default=("date", False))
        else:
            total = last - first
            rows = history.page(tx, user_id, channel, first, last, shown.offset, shown.limit, newest_first=way[1])
        return Reply(paging.page(req, shown, total, rows, render))

    return view_history


def exporting(channel: str, render: Render, entry: type[msgspec.Struct]) -> Callable[[Request], Awaitable[Reply]]:
    """The handler of a channel's export: its history as CSV in the file store, answered as a link."""
    columns = [field.encode_name for field in msgspec.structs.fields(entry)]

    async def export_history(req: Request) -> Reply:
        """Export the history as a CSV file."""
        name = files.safe_name(req.query.get("filename", ""), "export.csv")
        user_id, database, store = req.who.user_id, req.services.database, req.services.files
        start, end = req.unix_time("date_from"), req.unix_time("date_to")

        def pieces(tx: Tx) -> Iterator[bytes]:
            first, last = history.between(tx, user_id, channel, start, end)
            yield _line(columns)
            for row in history.everything(tx, user_id, channel, first, last):
                yield _line([_harmless(value) for value in msgspec.structs.astuple(render(row))])

        file_id, size = await database.read(lambda tx: store.write(pieces(tx)))
        kind = "text/csv; charset=utf-8"
        await database.write(lambda tx: files.register(tx, user_id, file_id, name, kind, size, files.EXPORT_LIFE))
        return Reply(Export(f"{req.base_url}/files/{file_id}?filename={name.replace(' ', '%20')}"))

    return export_history


def _line(values: Sequence[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue().encode()


def _harmless(value: Any) -> str:
    """A spreadsheet must not take a customer's text for a formula; an E.164 number is none."""
    text = "" if value is None else str(value)
    return "'" + text if text[:1] in "=-@\t\r" or (text[:1] == "+" and not text[1:].isdigit()) else text


def cancelling(channel: str) -> tuple[Callable[[Request], Reply], Callable[[Request], Reply]]:
    """The handlers that cancel one message and all scheduled ones of a channel."""

    def cancel(req: Request) -> Reply:
        """Cancel a scheduled message and give its price back."""
        key = req.params["message_id"].upper()
        if not history.cancel(req.tx, req.who.user_id, channel, [key]):
            raise NotFound(UNKNOWN)
        return Reply([], f"Message {key} has been cancelled.")

    def cancel_all(req: Request) -> Reply:
        """Cancel all scheduled messages and give their prices back."""
        count = history.cancel_all(req.tx, req.who.user_id, channel)
        return Reply(Cancelled(count), f"{count} messages has been cancelled.")

    return cancel, cancel_all


def view_timeline(req: Request) -> Reply:
    """View what happened to a message, step by step. An addition to the contract."""
    steps = message.timeline(req.tx, req.who.user_id, req.params["message_id"].upper())
    if not steps:
        raise NotFound(UNKNOWN)
    return Reply([Step(round(at, 3), status, detail) for at, status, detail in steps])
