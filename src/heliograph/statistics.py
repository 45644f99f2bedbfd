"""What was sent, received and lost, by day (endpoints 160 and 161): a reading of the counters in billing/usage.py."""

from collections.abc import Callable
from typing import Any

from heliograph.billing import currencies, prices, usage
from heliograph.billing.usage import DAY, Usage
from heliograph.errors import BadRequest
from heliograph.http.request import Reply, Request

SHOWN = 30
"""Days up to today, when the request names none."""

MOST = 366


def viewing(channel: str, lists: tuple[str, ...], *, receives: bool) -> Callable[[Request], Reply]:
    """The handler of a channel. `lists` are the keys that the days stand under; `receives`: show inbound messages."""

    def view(req: Request) -> Reply:
        first, last = _range(req)
        found = usage.by_day(req.tx, req.who.user_id, channel, first, last)
        days = [{"date": day, **_entry(found.get(day, Usage()), receives)} for day in range(first, last + 1, DAY)]
        whole = Usage()
        for one in found.values():
            whole.sent += one.sent
            whole.micros += one.micros
            whole.received += one.received
            whole.failed += one.failed
        data = {"total": _entry(whole, receives), **dict.fromkeys(lists, days)}
        return Reply(data | {"_currency": currencies.describe(req.who.currency)})

    return view


def _range(req: Request) -> tuple[int, int]:
    """The first and the last day (midnight UTC) of `date_from` and `date_to`. Raises BadRequest."""
    end = req.unix_time("date_to")
    last = _midnight(req.tx.now if end is None else end)
    start = req.unix_time("date_from")
    first = last - (SHOWN - 1) * DAY if start is None else _midnight(start)
    if not 0 <= last - first < MOST * DAY:
        raise BadRequest({"date_from": f"Date from must lie before date to, by at most {MOST} days."})
    return first, last


def _midnight(at: int) -> int:
    return at - at % DAY


def _entry(day: Usage, receives: bool) -> dict[str, Any]:
    outbound = {"count": day.sent, "price": prices.number(day.micros)}
    inbound = {"inbound": {"count": day.received}} if receives else {}
    return {"outbound": outbound, **inbound, "bounced": {"count": day.failed}}
