"""What was sent, in pages: one implementation for all channels."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, func, select

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


class Listing(NamedTuple):
    """What a history lists: rows that have `user_id`, `channel` (the name of the list), `ordinal` and `date`.

    `selected` is what each row of it has, without a condition.
    """

    table: Table
    name: str
    selected: Select[Any]

    def of_campaign(self, campaign_id: int | None) -> "Listing":
        """The rows of one campaign only; None: all."""
        if campaign_id is None:
            return self
        return self._replace(selected=self.selected.where(self.table.c.campaign_id == campaign_id))


def messages_of(channel: str) -> Listing:
    """The messages of a channel, with the names of who sent them."""
    names = (subaccounts.c.first_name, subaccounts.c.last_name, subaccounts.c.api_username)
    joined = messages.c.subaccount_id == subaccounts.c.subaccount_id
    return Listing(messages, channel, select(messages, *names).join_from(messages, subaccounts, joined))


def between(tx: Tx, user_id: int, listing: Listing, start: int | None, end: int | None) -> tuple[int, int]:
    """(ordinals before the range, last ordinal of the range) of rows dated from `start` to `end` inclusive."""
    table, name = listing.table.name, listing.name
    count, _ = counters.extent(tx, user_id, name)
    first = 0 if start is None else counters.position(tx, table, "date", user_id, name, count, start)
    last = count if end is None else counters.position(tx, table, "date", user_id, name, count, end + 1)
    return first, max(first, last)


def selection(user_id: int, listing: Listing, first: int, last: int) -> Select[Any]:
    """The rows with ordinals in (first, last]."""
    row = listing.table.c
    return listing.selected.where(
        row.user_id == user_id, row.channel == listing.name, row.ordinal > first, row.ordinal <= last
    )


def newest(tx: Tx, user_id: int, limit: int, recipients: Collection[str] | None = None) -> list[Mapping[str, Any]]:
    """The newest messages of an account over all channels, the newest first; to these recipients only if any are given.

    These are in small letters, and find recipients in any.
    """
    names = tx.rows(select(counters_table.c.name).where(counters_table.c.user_id == user_id))
    found: list[Mapping[str, Any]] = []
    for name in sorted(row["name"] for row in names):  # those that are no channel's hold no messages
        wanted = selection(user_id, messages_of(name), 0, ENDLESS).order_by(messages.c.ordinal.desc()).limit(limit)
        if recipients is not None:
            wanted = wanted.where(func.lower(messages.c.recipient).in_(recipients))
        found += tx.rows(wanted)
    return sorted(found, key=lambda row: (row["date"], row["ordinal"]), reverse=True)[:limit]


def page(
    tx: Tx, user_id: int, listing: Listing, first: int, last: int, offset: int, limit: int, *, newest_first: bool
) -> Sequence[Mapping[str, Any]]:
    """A page by date: its place is computed from the ordinals, so a deep page costs what the first one does."""
    if newest_first:
        last -= offset
        low, high = max(first, last - limit), last
    else:
        low, high = first + offset, min(first + offset + limit, last)
    if low >= high:
        return []
    ordinal = listing.table.c.ordinal
    way = ordinal.desc() if newest_first else ordinal.asc()
    return tx.rows(selection(user_id, listing, low, high).order_by(way))
