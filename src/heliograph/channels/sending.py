"""Sending and pricing in any channel: from the drafts of requests to what became of them."""

from collections.abc import Sequence

from heliograph.channels.audience import expanded
from heliograph.db.engine import Tx
from heliograph.messaging import accept
from heliograph.messaging.channel import Accepted, Order


def place(tx: Tx, orders: Sequence[Order]) -> list[list[Accepted]]:
    """Place orders: lists become contacts, the database refuses what it must, the rest is accepted.

    Raises BadRequest for too many recipients.
    """
    whole = [expanded(tx, order) for order in orders]
    for channel in {order.channel.name: order.channel for order in whole}.values():
        channel.judge(tx, [order for order in whole if order.channel is channel])
    return accept.accept(tx, whole)
