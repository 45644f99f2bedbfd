"""HTTP shapes that all channels share: history, its export, cancelling, the timeline."""

import csv
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from heliograph.db.engine import Tx
from heliograph.errors import NotFound
from heliograph.files import store as files
from heliograph.http import paging, search
from heliograph.http.request import Reply, Request
from heliograph.messaging import history, message

UNKNOWN = "Message record not found."
Render = Callable[[Mapping[str, Any]], dict[str, Any]]


def viewing(channel: str, render: Render) -> Callable[[Request], Reply]:
    """The handler of a channel's history: date range, paging, search, sort."""

    def view_history(req: Request) -> Reply:
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


def exporting(channel: str, render: Render, columns: Sequence[str]) -> Callable[[Request], Awaitable[Reply]]:
    """The handler of a channel's export: CSV in the file store, answered as a link."""

    async def export_history(req: Request) -> Reply:
        name = files.safe_name(req.query.get("filename", ""), "export.csv")
        user_id, database, store = req.who.user_id, req.services.database, req.services.files
        start, end = req.unix_time("date_from"), req.unix_time("date_to")

        def pieces(tx: Tx) -> Iterator[bytes]:
            first, last = history.between(tx, user_id, channel, start, end)
            yield _line(columns)
            for row in history.everything(tx, user_id, channel, first, last):
                entry = render(row)
                yield _line([_harmless(entry[column]) for column in columns])

        file_id, size = await database.read(lambda tx: store.write(pieces(tx)))
        kind = "text/csv; charset=utf-8"
        await database.write(lambda tx: files.register(tx, user_id, file_id, name, kind, size, files.EXPORT_LIFE))
        return Reply({"url": f"{req.base_url}/files/{file_id}?filename={name.replace(' ', '%20')}"})

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
        key = req.params["message_id"].upper()
        if not history.cancel(req.tx, req.who.user_id, channel, [key]):
            raise NotFound(UNKNOWN)
        return Reply([], f"Message {key} has been cancelled.")

    def cancel_all(req: Request) -> Reply:
        count = history.cancel_all(req.tx, req.who.user_id, channel)
        return Reply({"count": count}, f"{count} messages has been cancelled.")

    return cancel, cancel_all


def view_timeline(req: Request) -> Reply:
    """What happened to a message, step by step. An addition to the contract."""
    steps = message.timeline(req.tx, req.who.user_id, req.params["message_id"].upper())
    if not steps:
        raise NotFound(UNKNOWN)
    return Reply([{"at": round(at, 3), "status": status, "detail": detail} for at, status, detail in steps])
