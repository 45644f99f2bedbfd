"""What was sent, received and spent per day: counters kept where messages change state, never by looking back.

A day begins at midnight UTC. A message belongs to the day of its acceptance, whatever becomes of it later.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select

from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.db.tables import daily_usage, subaccounts
from heliograph.media import COUNTED, USAGES, Medium

_UPSERT = (
    "INSERT INTO daily_usage (user_id, medium, day, subaccount_id, sent, micros, received, failed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, medium, day, subaccount_id) DO UPDATE SET"
    " sent = daily_usage.sent + excluded.sent, micros = daily_usage.micros + excluded.micros,"
    " received = daily_usage.received + excluded.received, failed = daily_usage.failed + excluded.failed"
)


class Usage(msgspec.Struct):
    """What is added to a day's counters: messages, and the micros that the sent ones cost (below zero: a refund)."""

    sent: int = 0
    micros: int = 0
    received: int = 0
    failed: int = 0


class Tally:
    """Sums up the changes of one transaction: one statement per subaccount, medium and day, however many messages."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, str, int, int], Usage] = {}

    def of(self, user_id: int, name: str, date: int, subaccount_id: int) -> Usage:
        """The sum to add to; `name` is one of media.USAGES.

        `date` is when the message was accepted (or arrived), in Unix seconds.
        """
        key = (user_id, name, date - date % DAY, subaccount_id)
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = Usage()
        return found

    def write(self, tx: Tx) -> None:
        """Add the sums to the counters, in an order in which two processes cannot lock each other out."""
        for key, added in sorted(self._sums.items(), key=lambda item: item[0]):
            tx.driver(_UPSERT, [*key, added.sent, added.micros, added.received, added.failed])


def by_day(tx: Tx, user_id: int, medium: Medium, first: int, last: int) -> dict[int, Usage]:
    """The counters of a medium per day (midnight UTC), for days from `first` to `last` inclusive that have any."""
    sums = [func.sum(daily_usage.c[name]) for name in Usage.__struct_fields__]
    found = (
        select(daily_usage.c.day, *sums)
        .where(
            daily_usage.c.user_id == user_id,
            daily_usage.c.medium.in_(COUNTED.get(medium, (medium,))),
            daily_usage.c.day >= first,
            daily_usage.c.day <= last,
        )
        .group_by(daily_usage.c.day)
    )
    return {row[0]: Usage(*map(int, row[1:])) for row in tx.execute(found)}


def by_subaccount(tx: Tx, user_id: int, start: int, end: int) -> Sequence[Mapping[str, Any]]:
    """Rows of (medium, subaccount_id, api_username, sent, micros) for what was sent from `start` to before `end`.

    A subaccount that is gone has the name None.
    """
    found = (
        select(
            daily_usage.c.medium,
            daily_usage.c.subaccount_id,
            subaccounts.c.api_username,
            func.sum(daily_usage.c.sent).label("sent"),
            func.sum(daily_usage.c.micros).label("micros"),
        )
        .join_from(daily_usage, subaccounts, subaccounts.c.subaccount_id == daily_usage.c.subaccount_id, isouter=True)
        .where(
            daily_usage.c.user_id == user_id,
            daily_usage.c.medium.in_(USAGES),
            daily_usage.c.day >= start,
            daily_usage.c.day < end,
            daily_usage.c.sent > 0,
        )
        .group_by(daily_usage.c.medium, daily_usage.c.subaccount_id, subaccounts.c.api_username)
        .order_by(daily_usage.c.subaccount_id)
    )
    return tx.rows(found)
