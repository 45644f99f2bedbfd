"""Test events: what a customer's URL will get, sent to it at once. Source: endpoints 128 and 132, facts D13."""

from collections.abc import Mapping
from typing import Any

from heliograph.db.engine import Tx
from heliograph.ids import new_ids
from heliograph.messaging import message
from heliograph.webhooks import outgoing, payloads


def receipt(tx: Tx, user_id: int, subaccount_id: int, url: str) -> Mapping[str, Any]:
    """Push a sample receipt; the receipt row that it stands for."""
    row = {
        "timestamp_send": tx.now - 1,
        "timestamp": tx.now,
        "message_id": new_ids(1, tx.clock)[0],
        "status": "Delivered",
        "status_code": "201",
        "status_text": message.DELIVERED_TEXT,
        "error_code": None,
        "error_text": None,
        "custom_string": "",
        "user_id": user_id,
        "subaccount_id": subaccount_id,
        "channel": "sms",
    }
    outgoing.push(tx, user_id, url, "post", payloads.receipt(row))
    return row


def inbound(tx: Tx, user_id: int, subaccount_id: int, url: str) -> Mapping[str, Any]:
    """Push a sample inbound message; the inbound row that it stands for."""
    key, original = new_ids(2, tx.clock)
    row = {
        "timestamp": tx.now,
        "sender": "+61422222222",
        "recipient": "+61411111111",
        "body": f"This is a test incoming SMS. {key[-10:]}",
        "original_body": f"This is the original message. {original[-10:]}",
        "original_message_id": original,
        "message_id": key,
        "custom_string": "",
        "user_id": user_id,
        "subaccount_id": subaccount_id,
    }
    outgoing.push(tx, user_id, url, "post", payloads.inbound(row))
    return row
