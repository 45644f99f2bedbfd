"""Test events: what a customer's URL will get, sent to it at once, and kept like one that has happened.

They are found by their ids, but in no list of the unread: no rule has asked for them. Source: endpoints 128 and 132,
facts D13.
"""

import msgspec

from heliograph.db.engine import Tx
from heliograph.ids import new_ids
from heliograph.messaging import inbound as arrived
from heliograph.messaging import message, receipts, rows
from heliograph.messaging.channel import Channel
from heliograph.webhooks import outgoing, payloads


def receipt(tx: Tx, channel: Channel, user_id: int, subaccount_id: int, url: str) -> rows.Receipt:
    """Keep a sample receipt and push it; its row."""
    row = rows.Receipt(
        user_id=user_id,
        channel=channel.name,
        ordinal=None,
        message_id=new_ids(1, tx.clock)[0],
        subaccount_id=subaccount_id,
        timestamp_send=tx.now - 1,
        timestamp=tx.now,
        status="Delivered",
        status_code=message.Code.DELIVERED,
        status_text=channel.words.delivered,
        error_code=None,
        error_text=None,
        custom_string="",
        details=msgspec.json.encode(dict(channel.sheet.reported)).decode() if channel.sheet.reported else None,
    )
    tx.insert_rows("receipts", receipts.COLUMNS, [msgspec.structs.astuple(row)])
    outgoing.push(tx, user_id, url, "post", payloads.receipt(row))
    return row


def inbound(tx: Tx, channel: Channel, user_id: int, subaccount_id: int, url: str) -> rows.Inbound:
    """Keep a sample inbound message and push it; its row."""
    message_id, original_id = new_ids(2, tx.clock)
    row = rows.Inbound(
        user_id=user_id,
        subaccount_id=subaccount_id,
        channel=channel.name,
        message_id=message_id,
        timestamp=tx.now,
        sender="+61422222222",
        recipient="+61411111111",
        body=f"This is a test incoming {channel.name.upper()}. {message_id[-10:]}",
        original_message_id=original_id,
        original_body=f"This is the original message. {original_id[-10:]}",
        custom_string="",
    )
    tx.insert_rows("inbound", arrived.COLUMNS, [msgspec.structs.astuple(row)])
    outgoing.push(tx, user_id, url, "post", payloads.inbound(row))
    return row
