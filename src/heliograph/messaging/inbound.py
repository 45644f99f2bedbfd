"""Messages that arrive (MO): whose they are, what they answer, and the rules they meet."""

from collections.abc import Callable, Mapping
from typing import Any

from heliograph.billing import usage
from heliograph.db.engine import Tx
from heliograph.ids import new_ids
from heliograph.messaging import message
from heliograph.phone import msisdn
from heliograph.transports.base import Inbound

Rules = Callable[[Tx, dict[str, Any]], bool]
"""Runs the account's inbound rules for an inbound row; whether the message is to be polled."""

Owner = Callable[[Tx, str], tuple[int, int] | None]
"""Who has bought a number: (user_id, subaccount_id); NOBODY for a dedicated number that nobody has."""

NOBODY = (0, 0)

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


def store(tx: Tx, arrived: Inbound, rules: Rules, owner: Owner) -> str | None:
    """Store an MO for the account it is for and run its rules; the new message_id, or None when it is nobody's.

    It belongs to whoever has bought the number that it was sent to, also when it answers nothing; else, if it is no
    dedicated number, to whoever sent the newest message from that number to that number.
    """
    holder = owner(tx, _plus(arrived.recipient))
    if holder == NOBODY:
        return None
    original = _original(tx, arrived, None if holder is None else holder[0])
    if original is None:
        if holder is None:
            return None
        original = {**_NOTHING, "user_id": holder[0], "subaccount_id": holder[1]}
    row = {
        "user_id": original["user_id"],
        "subaccount_id": original["subaccount_id"],
        "channel": arrived.channel,
        "message_id": new_ids(1, tx.clock)[0],
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


_NOTHING = {"message_id": "", "body": "", "custom_string": "", "from_email": None, "list_id": None}
"""What a message answers that answers nothing."""


def _plus(number: str) -> str:
    return "+" + number if number.isdigit() and len(number) > 6 else number


def _original(tx: Tx, arrived: Inbound, holder: int | None) -> Mapping[str, Any] | None:
    """The newest message from `recipient` to `sender`, of its holder if it has one; numbers without the plus."""
    found = tx.driver(
        "SELECT user_id, message_id, sender FROM messages WHERE msisdn = ? AND channel = ?"  # noqa: S608
        f"{'' if holder is None else ' AND user_id = ?'} ORDER BY date DESC, message_id DESC LIMIT 50",
        [msisdn(_plus(arrived.sender)), arrived.channel, *([] if holder is None else [holder])],
    ).fetchall()
    for user_id, key, sender in found:
        if sender.lstrip("+") == arrived.recipient.lstrip("+"):
            return message.find(tx, user_id, key)
    return None
