"""The lists that customers poll: unread receipts and unread inbound messages, and the marks that end them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, select

from heliograph.db.engine import Tx
from heliograph.db.tables import inbound as inbound_table
from heliograph.db.tables import receipts as receipts_table
from heliograph.messaging import counters
from heliograph.messaging.receipts import list_name

_receipts, _inbound = receipts_table.c, inbound_table.c

RECEIPT_COLUMNS = {
    "receipt_id": _receipts.receipt_id,
    "timestamp_send": _receipts.timestamp_send,
    "timestamp": _receipts.timestamp,
    "message_id": _receipts.message_id,
    "status": _receipts.status,
    "status_code": _receipts.status_code,
    "status_text": _receipts.status_text,
    "error_code": _receipts.error_code,
    "error_text": _receipts.error_text,
    "custom_string": _receipts.custom_string,
    "subaccount_id": _receipts.subaccount_id,
}
"""What the list of receipts can be searched and sorted by. The ids are the order in which they came."""

INBOUND_COLUMNS = {
    "from": _inbound.sender,
    "to": _inbound.recipient,
    "inbound_id": _inbound.inbound_id,
    "timestamp": _inbound.timestamp,
    "body": _inbound.body,
    "original_body": _inbound.original_body,
    "original_message_id": _inbound.original_message_id,
    "custom_string": _inbound.custom_string,
    "message_id": _inbound.message_id,
}
"""The same of inbound messages."""


def receipts(tx: Tx, user_id: int, channel: str, offset: int, limit: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """(how many unread, those of the page), oldest first. Nothing is counted: unread is a range of ordinals."""
    count, read = counters.extent(tx, user_id, list_name(channel))
    wanted = (
        select(receipts_table)
        .where(
            receipts_table.c.user_id == user_id,
            receipts_table.c.channel == channel,
            receipts_table.c.ordinal > read + offset,
            receipts_table.c.ordinal <= read + offset + limit,
        )
        .order_by(receipts_table.c.ordinal)
    )
    return count - read, tx.rows(wanted)


def unread_receipts(tx: Tx, user_id: int, channel: str) -> Select[Any]:
    """The unread receipts as a selection, which a request searches and sorts."""
    _, read = counters.extent(tx, user_id, list_name(channel))
    return select(receipts_table).where(
        receipts_table.c.user_id == user_id, receipts_table.c.channel == channel, receipts_table.c.ordinal > read
    )


def receipt(tx: Tx, user_id: int, channel: str, message_id: str) -> Mapping[str, Any] | None:
    """The newest receipt of a message."""
    return tx.row(
        select(receipts_table)
        .where(
            receipts_table.c.user_id == user_id,
            receipts_table.c.message_id == message_id,
            receipts_table.c.channel == channel,
        )
        .order_by(receipts_table.c.receipt_id.desc())
        .limit(1)
    )


def mark_receipts(tx: Tx, user_id: int, channel: str, before: int | None) -> None:
    """Mark receipts as read: all, or those that arrived before a Unix time."""
    count, read = counters.extent(tx, user_id, list_name(channel))
    if before is not None:
        later = select(func.min(receipts_table.c.ordinal)).where(
            receipts_table.c.user_id == user_id,
            receipts_table.c.channel == channel,
            receipts_table.c.ordinal > read,
            receipts_table.c.timestamp >= before,
        )
        first = tx.scalar(later)
        count = count if first is None else int(first) - 1
    counters.mark_read(tx, user_id, list_name(channel), count)


def _unread(user_id: int, channel: str) -> Any:
    return (inbound_table.c.user_id == user_id) & (inbound_table.c.channel == channel) & (inbound_table.c.unread == 1)


def inbound(tx: Tx, user_id: int, channel: str, offset: int, limit: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """(how many unread, those of the page), newest first."""
    mine = _unread(user_id, channel)
    total = int(tx.scalar(select(func.count()).select_from(inbound_table).where(mine)))
    rows = select(inbound_table).where(mine).order_by(inbound_table.c.inbound_id.desc()).limit(limit)
    return total, tx.rows(rows.offset(min(offset, total)))


def answer(tx: Tx, user_id: int, channel: str, original_message_id: str) -> Mapping[str, Any] | None:
    """The newest message that answers a sent one, read or not."""
    mine = (inbound_table.c.user_id == user_id) & (inbound_table.c.channel == channel)
    answers = select(inbound_table).where(mine, inbound_table.c.original_message_id == original_message_id)
    return tx.row(answers.order_by(inbound_table.c.inbound_id.desc()).limit(1))


def unread_inbound(user_id: int, channel: str) -> Select[Any]:
    """The unread messages as a selection, which a request searches and sorts."""
    return select(inbound_table).where(_unread(user_id, channel))


def mark_inbound(tx: Tx, user_id: int, channel: str, before: int | None) -> None:
    """Mark inbound messages as read: all, or those that arrived before a Unix time."""
    mine = _unread(user_id, channel)
    if before is not None:
        mine = mine & (inbound_table.c.timestamp < before)
    tx.execute(inbound_table.update().where(mine).values(unread=0))


def mark_one(tx: Tx, user_id: int, channel: str, message_id: str) -> bool:
    """Mark one inbound message as read; whether the account has it."""
    mine = (
        (inbound_table.c.user_id == user_id)
        & (inbound_table.c.channel == channel)
        & (inbound_table.c.message_id == message_id)
    )
    return bool(tx.execute(inbound_table.update().where(mine).values(unread=0)).rowcount)
