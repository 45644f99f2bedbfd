"""The narrow queue of messages: claim in batches, settle, give back. A row leaves only when its outcome is recorded."""

from collections.abc import Sequence

import msgspec

from heliograph.db.engine import Tx

LANES = (0, 1, 2)
"""0 urgent, 1 single messages, 2 bulk: a campaign never holds up a one-time code."""

COLUMNS = ("channel", "lane", "due_at", "user_id", "message_id", "attempts", "claimed")


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A claimed row. `attempt` counts from 1; `lost` says that an earlier claim ended without an outcome."""

    queue_id: int
    user_id: int
    message_id: str
    attempt: int
    lost: bool


def enqueue(tx: Tx, channel: str, rows: Sequence[tuple[int, float, int, str]]) -> None:
    """Insert work: rows of (lane, due_at, user_id, message_id)."""
    tx.insert_rows("queue", COLUMNS, [(channel, lane, due, user, key, 0, 0) for lane, due, user, key in rows])
    tx.wake("queue:" + channel)


def claim(tx: Tx, channel: str, limit: int, lease: float) -> list[Claimed]:
    """Take up to `limit` due rows for `lease` seconds, urgent lanes first."""
    taken: list[Claimed] = []
    for lane in LANES:
        if len(taken) >= limit:
            break
        found = tx.driver(
            "SELECT queue_id, user_id, message_id, attempts, claimed FROM queue"  # noqa: S608
            " WHERE channel = ? AND lane = ? AND due_at <= ? ORDER BY due_at LIMIT ? " + tx.dialect.skip_locked,
            [channel, lane, tx.clock, limit - len(taken)],
        ).fetchall()
        taken.extend(Claimed(row[0], row[1], row[2], row[3] + 1, bool(row[4])) for row in found)
    if taken:
        tx.driver_in(
            "UPDATE queue SET claimed = 1, attempts = attempts + 1, due_at = ? WHERE queue_id IN ({})",
            [tx.clock + lease],
            [row.queue_id for row in taken],
        )
    return taken


def done(tx: Tx, queue_ids: Sequence[int]) -> None:
    """Remove rows whose outcome is recorded in this transaction."""
    tx.driver_in("DELETE FROM queue WHERE queue_id IN ({})", [], queue_ids)


def again(tx: Tx, queue_id: int, due_at: float) -> None:
    """Give a row back, due later."""
    tx.driver("UPDATE queue SET claimed = 0, due_at = ? WHERE queue_id = ?", [due_at, queue_id])


def withdraw(tx: Tx, user_id: int, channel: str, message_ids: Sequence[str]) -> list[str]:
    """Remove rows that nobody has claimed; the ids of those that were still there to remove."""
    text = (
        "DELETE FROM queue WHERE claimed = 0 AND user_id = ? AND channel = ? AND message_id IN ({})"
        " RETURNING message_id"
    )
    return [row[0] for row in tx.driver_in(text, [user_id, channel], message_ids)]


def next_due(tx: Tx, channel: str) -> float | None:
    """When the next row of the channel becomes due, or None."""
    dues = [
        tx.driver("SELECT MIN(due_at) FROM queue WHERE channel = ? AND lane = ?", [channel, lane]).fetchone()[0]
        for lane in LANES
    ]
    known = [due for due in dues if due is not None]
    return min(known) if known else None
