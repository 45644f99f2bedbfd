"""Giving the price of a message back."""

from heliograph.billing import commission, ledger, usage
from heliograph.clock import DAY
from heliograph.db.engine import Tx
from heliograph.media import Medium
from heliograph.messaging.rows import Message


def refund(tx: Tx, row: Message, medium: Medium, tally: usage.Tally) -> None:
    """Give back what a message cost, and take back what others earned by it.

    `tally` takes it out of the day on which it was charged.
    """
    if row.price_micros:
        ledger.post(tx, row.user_id, row.price_micros, "refund", row.message_id)
        commission.take_back(tx, row.user_id, row.price_micros, row.date // DAY)
        tally.of(row.user_id, medium, row.date, row.subaccount_id).micros -= row.price_micros
