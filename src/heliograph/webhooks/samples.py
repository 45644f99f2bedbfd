"""Test events: what a customer's URL will get, sent to it at once. Source: endpoints 128 and 132, facts D13."""

from typing import Any

from heliograph.db.engine import Tx
from heliograph.messaging import message
from heliograph.webhooks import outgoing, payloads


def receipt(tx: Tx, user_id: int, subaccount_id: int, url: str) -> dict[str, Any]:
    """Push a sample receipt; the answer of endpoint 128."""
    row = {
        "timestamp_send": tx.now - 1,
        "timestamp": tx.now,
        "message_id": message.new_ids(1, tx.clock)[0],
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
    shown = ("message_id", "status_code", "status_text", "error_code", "error_text")
    return {"timestamp": str(row["timestamp"]), **{name: row[name] for name in shown}, "custom_string": None}


def inbound(tx: Tx, user_id: int, subaccount_id: int, url: str) -> dict[str, Any]:
    """Push a sample inbound message; the answer of endpoint 132."""
    key, original = message.new_ids(2, tx.clock)
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
    return {
        "timestamp": str(row["timestamp"]),
        "from": row["sender"],
        "body": row["body"],
        "original_body": row["original_body"],
        "original_message_id": original,
        "to": row["recipient"],
        "custom_string": None,
        "message_id": key,
        "_keyword": "this",
    }
