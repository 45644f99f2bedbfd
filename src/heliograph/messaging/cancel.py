"""Cancelling messages that no carrier has been given yet."""

from collections.abc import Sequence

from heliograph.billing import usage
from heliograph.db.engine import Tx
from heliograph.messaging import message
from heliograph.messaging.channel import Channel, usage_name
from heliograph.messaging.message import Code
from heliograph.messaging.refund import refund
from heliograph.queue import claim, seek


def cancel(tx: Tx, user_id: int, channel: Channel, message_ids: Sequence[str]) -> int:
    """Cancel messages that no worker has claimed yet, and give their money back; how many were cancelled."""
    waiting = message.waiting(tx, user_id, channel.name, message_ids)
    return _cancelled(tx, user_id, channel, seek.find(tx, user_id, channel.name, waiting))


def cancel_all(tx: Tx, user_id: int, channel: Channel) -> int:
    """Cancel every message of a channel whose time is still to come; how many."""
    waiting = claim.scheduled(tx, user_id, channel.name)
    later = message.scheduled(tx, user_id, channel.name, waiting)
    return _cancelled(tx, user_id, channel, [waiting[key] for key in later])


def _cancelled(tx: Tx, user_id: int, channel: Channel, queue_ids: Sequence[int]) -> int:
    withdrawn = claim.withdraw(tx, queue_ids)
    keys = [(user_id, message_id) for message_id in withdrawn]
    moved = message.move(tx, keys, message.CANCELLED, Code.FAILED, "Cancelled")
    tally = usage.Tally()
    rows = message.load(tx, moved).values()
    refund(tx, rows, channel, tally)
    for row in rows:
        tally.of(row.user_id, usage_name(channel, row.campaign_id), row.date, row.subaccount_id).sent -= 1
    tally.write(tx)
    text = "Cancelled by the account; the price was refunded."
    message.record(tx, [(*key, message.CANCELLED, text) for key in moved])
    return len(moved)
