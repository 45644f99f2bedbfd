"""What was sent, received and lost, by day (endpoints 160 and 161): a reading of the counters in billing/usage.py."""

from typing import Annotated, Any

import msgspec

from heliograph.billing import currencies, prices, usage
from heliograph.billing.currencies import Currency
from heliograph.billing.usage import Usage
from heliograph.clock import DAY
from heliograph.errors import BadRequest
from heliograph.fields import about
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import DATES
from heliograph.http.request import Reply, Request
from heliograph.http.route import Endpoint
from heliograph.media import MEDIA, Medium

SHOWN = 30
"""Days up to today, when the request names none."""

MOST = 366

OTHERS = tuple(channel for channel in MEDIA if channel not in ("sms", "voice"))
"""Channels that the document has no statistics of."""


class Sent(msgspec.Struct):
    """Messages that were sent."""

    count: int
    price: Annotated[int | float, about("In units of the currency.", 5.81)]


class Count(msgspec.Struct):
    """Messages that came in, or that failed."""

    count: int


class Total(msgspec.Struct):
    """Messages of a range of days."""

    outbound: Sent
    inbound: Count
    bounced: Count


class Day(Total, kw_only=True):
    """Messages of a day."""

    date: Annotated[int, about("Unix time of its midnight, UTC.", 1436918400)]


class Statistics(msgspec.Struct):
    """`data` of the statistics of a channel. Those of SMS (161) are the model."""

    total: Total
    stats: list[Day]
    currency: Currency = msgspec.field(name="_currency")


class SmsStatistics(msgspec.Struct):
    """`data` of the statistics of SMS (161). The document spells the list of days in two ways."""

    total: Total
    stats: list[Day]
    stat: list[Day]
    currency: Currency = msgspec.field(name="_currency")


class VoiceTotal(msgspec.Struct):
    """Voice messages of a range of days."""

    outbound: Sent
    bounced: Count


class VoiceDay(VoiceTotal, kw_only=True):
    """Voice messages of a day."""

    date: Annotated[int, about("Unix time of its midnight, UTC.", 1441065600)]


class VoiceStatistics(msgspec.Struct):
    """`data` of the statistics of voice messages (160)."""

    total: VoiceTotal
    stats: list[VoiceDay]
    currency: Currency = msgspec.field(name="_currency")


def viewing(channel: Medium) -> Endpoint:
    """The handler of the statistics of a channel that the document has none for."""

    @endpoint("Here are your statistics.", Statistics, query=DATES)
    def view(req: Request) -> Reply:
        """View what was sent, received and lost in a channel, by day. An addition to the contract."""
        counts, total = _counted(req, channel)
        days = [Day(date=day, **_both(count)) for day, count in counts]
        return Reply(Statistics(Total(**_both(total)), days, currencies.describe(req.who.currency)))

    return view


@endpoint("Here are your data.", SmsStatistics, query=DATES)
def view_sms(req: Request) -> Reply:
    """View what was sent, received and lost of SMS, by day."""
    counts, total = _counted(req, "sms")
    days = [Day(date=day, **_both(count)) for day, count in counts]
    return Reply(SmsStatistics(Total(**_both(total)), days, days, currencies.describe(req.who.currency)))


@endpoint("Here are your statistics.", VoiceStatistics, query=DATES)
def view_voice(req: Request) -> Reply:
    """View what was sent and lost of voice messages, by day."""
    counts, total = _counted(req, "voice")
    days = [VoiceDay(date=day, **_out(count)) for day, count in counts]
    return Reply(VoiceStatistics(VoiceTotal(**_out(total)), days, currencies.describe(req.who.currency)))


def _counted(req: Request, channel: Medium) -> tuple[list[tuple[int, Usage]], Usage]:
    """(each day of the range with its counts, the counts of all of them)."""
    first, last = _range(req)
    counts = usage.by_day(req.tx, req.who.user_id, channel, first, last)
    total = Usage()
    for count in counts.values():
        total.sent += count.sent
        total.micros += count.micros
        total.received += count.received
        total.failed += count.failed
    return [(day, counts.get(day, Usage())) for day in range(first, last + 1, DAY)], total


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


def _out(count: Usage) -> dict[str, Any]:
    return {"outbound": Sent(count.sent, prices.number(count.micros)), "bounced": Count(count.failed)}


def _both(count: Usage) -> dict[str, Any]:
    return {**_out(count), "inbound": Count(count.received)}
