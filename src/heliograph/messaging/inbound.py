"""Messages that arrive (MO): whose they are, what they answer, and the rules they meet."""

from collections.abc import Callable, Mapping
from typing import Any

from heliograph.billing import usage
from heliograph.db.engine import Tx
from heliograph.messaging import message
from heliograph.transports.base import Inbound

Rules = Callable[[Tx, dict[str, Any]], bool]
"""Runs the account's inbound rules for an inbound row; whether the message is to be polled."""

COLUMNS = (
    "user_id",
    "subaccount_id",
    "channel",
    "message_id",
    "timestamp",
    "sender",
    "recipient",
    "body",
    "original_message_id",
    "original_body",
    "custom_string",
    "unread",
)


def store(tx: Tx, arrived: Inbound, rules: Rules) -> str | None:
    """Store an MO for the account it answers and run its rules; the new message_id, or None when it is nobody's.

    It belongs to whoever sent the newest message from that number to that number.
    """
    original = _original(tx, arrived)
    if original is None:
        return None
    row = {
        "user_id": original["user_id"],
        "subaccount_id": original["subaccount_id"],
        "channel": arrived.channel,
        "message_id": message.new_ids(1, tx.clock)[0],
        "timestamp": arrived.at,
        "sender": _plus(arrived.sender),
        "recipient": _plus(arrived.recipient),
        "body": arrived.body,
        "original_message_id": original["message_id"],
        "original_body": original["body"],
        "custom_string": original["custom_string"],
        "from_email": original["from_email"],
        "list_id": original["list_id"],
        "unread": 0,
    }
    row["unread"] = int(rules(tx, row))
    tx.insert_rows("inbound", COLUMNS, [tuple(row[column] for column in COLUMNS)])
    tally = usage.Tally()
    tally.of(row["user_id"], row["channel"], tx.now, row["subaccount_id"]).received += 1
    tally.write(tx)
    return str(row["message_id"])


def _plus(number: str) -> str:
    return "+" + number if number.isdigit() and len(number) > 6 else number


def _original(tx: Tx, arrived: Inbound) -> Mapping[str, Any] | None:
    """The newest message from `recipient` to `sender`, numbers compared without the plus."""
    found = tx.driver(
        "SELECT user_id, message_id, sender FROM messages WHERE msisdn = ? AND channel = ?"
        " ORDER BY date DESC, message_id DESC LIMIT 50",
        [message.msisdn(_plus(arrived.sender)), arrived.channel],
    ).fetchall()
    for user_id, key, sender in found:
        if sender.lstrip("+") == arrived.recipient.lstrip("+"):
            return message.find(tx, user_id, key)
    return None
