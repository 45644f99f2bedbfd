"""What was sent, in pages: one implementation for all channels."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, select

from heliograph.billing import prices
from heliograph.db.engine import Tx
from heliograph.db.shown import Columns, Shown, decimals
from heliograph.db.tables import counters as counters_table
from heliograph.db.tables import messages, subaccounts
from heliograph.messaging import counters

ENDLESS = 2**62
"""An ordinal that no message reaches."""
COLUMNS: Columns = {
    "date": Shown(messages.c.date, messages.c.date, exact=messages.c.ordinal),
    "schedule": messages.c.schedule,
    "to": messages.c.recipient,
    "from": messages.c.sender,
    "body": messages.c.body,
    "status": messages.c.status,
    "status_code": messages.c.status_code,
    "message_id": messages.c.message_id,
    "message_parts": decimals(messages.c.units, 2),
    "message_price": decimals(messages.c.price_micros, 6, prices.MICRO),
    "custom_string": messages.c.custom_string,
    "from_email": messages.c.from_email,
    "list_id": messages.c.list_id,
    "contact_id": func.coalesce(messages.c.contact_id, 0),
    "subaccount_id": messages.c.subaccount_id,
    "country": messages.c.country,
    "carrier": messages.c.carrier,
    "username": subaccounts.c.api_username,
}
"""What a history can be searched and sorted by, for `Channel.sheet`: a channel has some of these columns, or names of
its own for them. Ordinals sort as dates do.
"""


def between(tx: Tx, user_id: int, channel: str, start: int | None, end: int | None) -> tuple[int, int]:
    """(ordinals before the range, last ordinal of the range) of messages dated from `start` to `end` inclusive."""
    count, _ = counters.extent(tx, user_id, channel)
    first = 0 if start is None else counters.position(tx, "messages", "date", user_id, channel, count, start)
    last = count if end is None else counters.position(tx, "messages", "date", user_id, channel, count, end + 1)
    return first, max(first, last)


def selection(user_id: int, channel: str, first: int, last: int) -> Select[Any]:
    """The messages with ordinals in (first, last], with the names of who sent them."""
    return (
        select(messages, subaccounts.c.first_name, subaccounts.c.last_name, subaccounts.c.api_username)
        .join_from(messages, subaccounts, messages.c.subaccount_id == subaccounts.c.subaccount_id)
        .where(
            messages.c.user_id == user_id,
            messages.c.channel == channel,
            messages.c.ordinal > first,
            messages.c.ordinal <= last,
        )
    )


def newest(tx: Tx, user_id: int, limit: int, recipient: str | None = None) -> list[Mapping[str, Any]]:
    """The newest messages of an account over all channels, the newest first; to one recipient only if it is given."""
    names = tx.rows(select(counters_table.c.name).where(counters_table.c.user_id == user_id))
    found: list[Mapping[str, Any]] = []
    for name in sorted(row["name"] for row in names):  # those that are no channel's hold no messages
        wanted = selection(user_id, name, 0, ENDLESS).order_by(messages.c.ordinal.desc()).limit(limit)
        found += tx.rows(wanted if recipient is None else wanted.where(messages.c.recipient == recipient))
    return sorted(found, key=lambda row: (row["date"], row["ordinal"]), reverse=True)[:limit]


def page(
    tx: Tx, user_id: int, channel: str, first: int, last: int, offset: int, limit: int, *, newest_first: bool
) -> Sequence[Mapping[str, Any]]:
    """A page by date: its place is computed from the ordinals, so a deep page costs what the first one does."""
    if newest_first:
        last -= offset
        low, high = max(first, last - limit), last
    else:
        low, high = first + offset, min(first + offset + limit, last)
    if low >= high:
        return []
    way = messages.c.ordinal.desc() if newest_first else messages.c.ordinal.asc()
    return tx.rows(selection(user_id, channel, low, high).order_by(way))
