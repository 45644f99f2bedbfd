"""Giving the prices of messages back."""

from collections import Counter
from collections.abc import Iterable

from heliograph.billing import commission, ledger, usage
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.messaging.channel import Channel, usage_name
from heliograph.messaging.rows import Message


def refund(tx: Tx, rows: Iterable[Message], channel: Channel, tally: usage.Tally) -> None:
    """Give back what messages cost, each by an entry of its own, and take back what others earned by them.

    `tally` takes it out of the day on which it was charged.
    """
    paid = sorted((row for row in rows if row.price_micros), key=lambda row: row.key)
    if not paid:
        return
    entries = [(row.user_id, row.price_micros, "refund", row.message_id) for row in paid]
    ledger.post_many(tx, ledger.lock(tx, [row.user_id for row in paid]), entries)
    spent: Counter[tuple[int, int]] = Counter()
    for row in paid:
        spent[row.user_id, row.date // DAY] += row.price_micros
        name = usage_name(channel, row.campaign_id)
        tally.of(row.user_id, name, row.date, row.subaccount_id).micros -= row.price_micros
    for (user_id, day), micros in sorted(spent.items()):
        commission.take_back(tx, user_id, micros, day)
