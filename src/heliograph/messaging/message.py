"""What a message is: its statuses, the moves between them, its timeline."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from heliograph.db import reached
from heliograph.db.dialect import Dialect
from heliograph.db.engine import Tx
from heliograph.messaging.rows import Key, Message

SCHEDULED = "Scheduled"
QUEUED = "Queued"
SENT = "Sent"
COMPLETED = "Completed"
FAILED = "Failed"
CANCELLED = "Cancelled"
SPAM = "SpamReport"
"""Its recipient has reported it as spam."""
RECEIVED = "Received"
"""What arrived: it has no other status."""
LISTED = "Listed for polling, by a rule with the action POLL."
"""The line of a timeline. The lists write it, for many events at once."""

OPEN = (SCHEDULED, QUEUED)
MOVES: Mapping[str, tuple[str, ...]] = {
    SCHEDULED: (QUEUED, SENT, COMPLETED, FAILED, CANCELLED),
    QUEUED: (SCHEDULED, SENT, COMPLETED, FAILED, CANCELLED),
    SENT: (COMPLETED, FAILED, SPAM),
    COMPLETED: (),
    FAILED: (),
    CANCELLED: (),
    SPAM: (),
}
"""A receipt may overtake the record of the hand-over, so a queued message may complete at once."""


class Code:
    """`status_code` of messages and receipts. Source: facts C."""

    ACCEPTED = "200"
    DELIVERED = "201"
    TEMPORARY = "300"
    FAILED = "301"


COLUMNS = Message.__struct_fields__

_last: WeakKeyDictionary[Dialect, int] = WeakKeyDictionary()
"""The newest number of a timeline in each open database (each has a dialect of its own)."""

SET_BACK = 60 * 10**9
"""Nanoseconds that a clock may be behind the newest event for numbers to go on from there; more: it was set back."""


def _sequence(tx: Tx, count: int) -> range:
    """Numbers for `count` events: the time of the transaction in nanoseconds, rising also within one moment."""
    first = int(tx.clock * 1e9)
    newest = _last.get(tx.dialect, 0)
    if first <= newest < first + SET_BACK:
        first = newest + 1
    _last[tx.dialect] = first + count - 1
    return range(first, first + count)


def record(tx: Tx, events: Sequence[tuple[int, str, str, str]]) -> None:
    """Append to timelines: rows of (user_id, message_id, status, detail). `detail` is for the customer to read."""
    if not events:
        return
    rows = [
        (user_id, key, number, status, detail[:1000])
        for number, (user_id, key, status, detail) in zip(_sequence(tx, len(events)), events, strict=True)
    ]
    tx.insert_rows("message_events", _EVENT, rows, _ALIKE)


_EVENT = ("user_id", "message_id", "seq", "status", "detail")
_ALIKE = (frozenset({"user_id", "status", "detail"}), frozenset({"user_id", "status"}))


def timeline(tx: Tx, user_id: int, message_id: str) -> list[tuple[float, str, str]]:
    """(Unix time, status, detail) of what happened to a message that was sent or arrived, or why it was refused, oldest
    first; empty for an unknown one.
    """
    first = _beginning(tx, user_id, message_id)
    events = tx.driver(
        "SELECT seq, status, detail FROM message_events WHERE user_id = ? AND message_id = ? ORDER BY seq",
        [user_id, message_id],
    ).fetchall()
    return [*([first] if first else []), *((seq / 1e9, status, detail) for seq, status, detail in events)]


def _beginning(tx: Tx, user_id: int, message_id: str) -> tuple[float, str, str] | None:
    row = find(tx, user_id, message_id)
    if row is not None:
        born = f"Accepted in request {row.request_id}." if row.request_id else "Accepted."
        return float(row.date), SCHEDULED if row.schedule > row.date else QUEUED, born
    arrived = tx.driver(
        "SELECT timestamp, sender FROM inbound WHERE user_id = ? AND message_id = ?", [user_id, message_id]
    ).fetchone()
    return None if arrived is None else (float(arrived[0]), RECEIVED, f"Arrived from {arrived[1]}.")


_ALL = ", ".join(COLUMNS)
_LOAD = f"SELECT {_ALL} FROM messages WHERE user_id = ? AND message_id IN ({{}})"  # noqa: S608


def load(tx: Tx, keys: Iterable[Key]) -> dict[Key, Message]:
    """Messages by (user_id, message_id); unknown ones are left out."""
    loaded = {}
    for user_id, ids in _by_user(keys).items():
        for values in tx.driver_in(_LOAD, [user_id], ids):
            row = Message(*values)
            loaded[row.key] = row
    return loaded


def _by_user(keys: Iterable[Key]) -> dict[int, list[str]]:
    by_user: dict[int, list[str]] = {}
    for user_id, message_id in keys:
        by_user.setdefault(user_id, []).append(message_id)
    return by_user


def find(tx: Tx, user_id: int, message_id: str) -> Message | None:
    """The row of one message of an account, or None."""
    return load(tx, [(user_id, message_id)]).get((user_id, message_id))


def owners(tx: Tx, message_id: str) -> list[int]:
    """The user_ids of the accounts that have a message of this id: one, or none."""
    return [row[0] for row in tx.driver("SELECT user_id FROM messages WHERE message_id = ?", [message_id]).fetchall()]


def waiting(tx: Tx, user_id: int, channel: str, message_ids: Iterable[str]) -> list[str]:
    """Those of an account's messages that no carrier has taken yet."""
    sql = (
        "SELECT message_id FROM messages WHERE status IN (?, ?) AND user_id = ? AND channel = ? AND message_id IN ({})"
    )
    return [row[0] for row in tx.driver_in(sql, [*OPEN, user_id, channel], message_ids)]


def scheduled(tx: Tx, user_id: int, channel: str, message_ids: Iterable[str]) -> list[str]:
    """Those of an account's messages that no carrier has taken, and that are to be sent later."""
    sql = (
        "SELECT message_id FROM messages WHERE status = ? AND schedule > ? AND user_id = ? AND channel = ?"
        " AND message_id IN ({})"
    )
    return [row[0] for row in tx.driver_in(sql, [SCHEDULED, tx.clock, user_id, channel], message_ids)]


def learn(tx: Tx, row: Message, details: Mapping[str, Any]) -> None:
    """Add to what only the channel of a message knows."""
    row.details = msgspec.json.encode({**row.known(), **details}).decode()
    tx.driver("UPDATE messages SET details = ? WHERE user_id = ? AND message_id = ?", [row.details, *row.key])


def count_recent(tx: Tx, user_id: int, numbers: Iterable[int], source: str, since: int) -> dict[int, int]:
    """How many messages of a source an account has sent to each of these numbers (msisdn) since a Unix time."""
    more = "AND user_id = ? AND source = ? GROUP BY msisdn"
    found = reached.seen(tx, "msisdn, COUNT(*)", numbers, since, more, [user_id, source])
    return {row[0]: int(row[1]) for row in found}


def move(
    tx: Tx,
    keys: Iterable[Key],
    status: str,
    code: str | None,
    text: str | None,
) -> set[Key]:
    """Give messages a new status where `MOVES` allows it; the keys of those that moved."""
    found = _update(tx, keys, status, (code, text, None, None), "", "user_id, message_id")
    return {(user_id, message_id) for user_id, message_id in found}


def finish(
    tx: Tx,
    keys: Iterable[Key],
    status: str,
    code: str | None,
    text: str | None,
    error: tuple[str | None, str | None],
    *,
    last: bool = False,
) -> list[Message]:
    """The same with the code and text of an error; the messages that moved, as they are now.

    `last`: only those that have one part, and wait for one more receipt.
    """
    more = "AND units = 1 AND receipts_left <= 1" if last else ""
    return [Message(*values) for values in _update(tx, keys, status, (code, text, *error), more, _ALL)]


def _update(
    tx: Tx, keys: Iterable[Key], status: str, told: Sequence[str | None], more: str, returned: str
) -> list[Any]:
    before = [old for old, allowed in MOVES.items() if status in allowed]
    sql = (
        "UPDATE messages SET status = ?, status_code = ?, status_text = ?, error_code = ?, error_text = ?"  # noqa: S608
        f" WHERE user_id = ? AND status IN ({','.join('?' * len(before))}) {more} AND message_id IN ({{}})"
        f" RETURNING {returned}"
    )
    found = []
    for user_id, ids in _by_user(keys).items():
        found += tx.driver_in(sql, [status, *told, user_id, *before], ids)
    return found
