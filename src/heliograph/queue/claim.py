"""The narrow queue of messages: claim in batches, settle, give back. A row leaves only when its outcome is recorded.

An outcome counts only for the claim that it belongs to: a worker whose lease ran out must not remove, or give back,
what another one has in hand by now.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from heliograph.db.engine import Tx

URGENT, SINGLE, BULK = PRIORITIES = (0, 1, 2)
"""A campaign never holds up a one-time code."""

LOOKED_AT, SERVED = 64, 16
"""Accounts of the bulk lane that one claim looks at, and that it serves: each takes a look-up, or a statement. The next
claim begins with those after them.
"""

_CLAIMED = "queue_id, user_id, message_id, attempts, claimed, due_at"
_LANE = "FROM queue WHERE channel = ? AND priority = ? AND due_at <= ?"
_BULK = "FROM queue WHERE channel = ? AND priority > 1"
"""As the index ix_queue_bulk says it: with `= 2`, the index by time would seem to fit as well."""

COLUMNS = ("channel", "priority", "due_at", "user_id", "message_id", "attempts", "claimed")
_ALIKE = (frozenset(COLUMNS) - {"message_id"}, frozenset({"channel", "attempts", "claimed"}))


Work = tuple[int, float, int, str]
"""(priority, due_at in Unix seconds, user_id, message_id): a message to hand over."""


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A claimed row. `attempt` counts from 1; `lost` says that an earlier claim ended without an outcome.

    `due_at` is when it was due, in Unix seconds.
    """

    queue_id: int
    user_id: int
    message_id: str
    attempt: int
    lost: bool
    due_at: float


def enqueue(tx: Tx, channel: str, work: Sequence[Work]) -> None:
    """Insert work, and wake the channel's loop."""
    rows = [(channel, priority, due_at, user_id, message_id, 0, 0) for priority, due_at, user_id, message_id in work]
    tx.insert_rows("queue", COLUMNS, rows, _ALIKE)
    tx.wake("queue:" + channel)


class Turns:
    """Whose turn it is in a bulk lane: that of the accounts whose ids come after `after`."""

    after = 0


def claim(tx: Tx, channel: str, limit: int, lease: float, turns: Turns | None = None) -> list[Claimed]:
    """Take up to `limit` due rows for `lease` seconds, urgent ones first; in the bulk lane accounts take turns."""
    rows: list[Any] = []
    for priority in (URGENT, SINGLE):
        if len(rows) < limit:
            rows += _due(tx, channel, priority, limit - len(rows))
    if len(rows) < limit:
        rows += _in_turns(tx, channel, limit - len(rows), turns or Turns())
    taken = [Claimed(row[0], row[1], row[2], row[3] + 1, bool(row[4]), row[5]) for row in rows]
    if taken:
        tx.driver_in(
            "UPDATE queue SET claimed = 1, attempts = attempts + 1, due_at = ? WHERE queue_id IN ({})",
            [tx.clock + lease],
            [row.queue_id for row in taken],
        )
    return taken


def _due(tx: Tx, channel: str, priority: int, limit: int) -> list[Any]:
    found: list[Any] = tx.driver(
        f"SELECT {_CLAIMED} {_LANE} ORDER BY due_at, queue_id LIMIT ? " + tx.dialect.skip_locked,
        [channel, priority, tx.clock, limit],
    ).fetchall()
    return found


def _in_turns(tx: Tx, channel: str, limit: int, turns: Turns) -> list[Any]:
    """Due rows of the bulk lane, of each account as many as of the others, as far as they have them."""
    if not tx.driver(f"SELECT 1 {_LANE} ORDER BY due_at LIMIT 1", [channel, BULK, tx.clock]).fetchone():
        return []
    accounts = _accounts(tx, channel, turns.after)
    if turns.after and len(accounts) < LOOKED_AT:
        accounts += [one for one in _accounts(tx, channel, 0) if one[0] <= turns.after]
    served = [user_id for user_id, is_due in accounts if is_due][:SERVED]
    turns.after = served[-1] if len(served) == SERVED else accounts[-1][0] if len(accounts) >= LOOKED_AT else 0
    if not served or (len(served) == 1 and len(accounts) < LOOKED_AT):
        return _due(tx, channel, BULK, limit)
    rows: list[Any] = []
    for place, user_id in enumerate(served):
        share = -(-(limit - len(rows)) // (len(served) - place))
        rows += tx.driver(
            f"SELECT {_CLAIMED} {_BULK} AND user_id = ? AND due_at <= ? ORDER BY due_at, queue_id LIMIT ? "
            + tx.dialect.skip_locked,
            [channel, user_id, tx.clock, share],
        ).fetchall()
    return rows


def _accounts(tx: Tx, channel: str, after: int) -> list[tuple[int, bool]]:
    """The next accounts by id that have rows in the bulk lane, and whether one of them is due.

    Each is looked up in the index (ix_queue_bulk), however many rows it has. Written so that PostgreSQL does that
    without statistics too: as MIN and EXISTS, it reads every row of the lane.
    """
    found = tx.driver(
        f"WITH RECURSIVE accounts(user_id, nth) AS (SELECT user_id, 1 FROM (SELECT user_id {_BULK} AND user_id > ?"  # noqa: S608
        f" ORDER BY user_id LIMIT 1) AS lowest UNION ALL SELECT (SELECT user_id {_BULK} AND user_id > accounts.user_id"
        " ORDER BY user_id LIMIT 1), nth + 1 FROM accounts WHERE user_id IS NOT NULL AND nth < ?)"
        f" SELECT user_id, (SELECT due_at {_BULK} AND user_id = accounts.user_id ORDER BY due_at LIMIT 1) <= ?"
        " FROM accounts WHERE user_id IS NOT NULL",
        [channel, after, channel, LOOKED_AT, channel, tx.clock],
    ).fetchall()
    return [(user_id, bool(is_due)) for user_id, is_due in found]


def free(tx: Tx, channel: str) -> None:
    """Make due at once what another process has claimed, and counts as lost. What is scheduled is looked at, too.

    Only where that process is known to be gone: an SQLite database is held by one process (db/holder.py).
    """
    for priority in PRIORITIES:
        sql = "UPDATE queue SET due_at = ? WHERE channel = ? AND priority = ? AND due_at > ? AND claimed = 1"
        tx.driver(sql, [tx.clock, channel, priority, tx.clock])


def renew(tx: Tx, claims: Iterable[Claimed], lease: float) -> None:
    """Hold claims for another `lease` seconds."""
    for attempt, queue_ids in _by_attempt(claims).items():
        sql = "UPDATE queue SET due_at = ? WHERE claimed = 1 AND attempts = ? AND queue_id IN ({})"
        tx.driver_in(sql, [tx.clock + lease, attempt], queue_ids)


def done(tx: Tx, claims: Iterable[Claimed]) -> set[int]:
    """Remove rows whose outcome is recorded in this transaction; the queue ids of the claims that still held."""
    removed: set[int] = set()
    for attempt, queue_ids in _by_attempt(claims).items():
        sql = "DELETE FROM queue WHERE attempts = ? AND queue_id IN ({}) RETURNING queue_id"
        removed.update(row[0] for row in tx.driver_in(sql, [attempt], queue_ids))
    return removed


def again(tx: Tx, claimed: Claimed, due_at: float) -> bool:
    """Give a row back, due at a Unix time; whether the claim still held."""
    sql = "UPDATE queue SET claimed = 0, due_at = ? WHERE queue_id = ? AND attempts = ?"
    return bool(tx.driver(sql, [due_at, claimed.queue_id, claimed.attempt]).rowcount)


def release(tx: Tx, claimed: Claimed, due_at: float) -> bool:
    """Give a row back as if it had not been claimed, due at a Unix time; whether the claim still held."""
    sql = "UPDATE queue SET claimed = 0, attempts = attempts - 1, due_at = ? WHERE queue_id = ? AND attempts = ?"
    return bool(tx.driver(sql, [due_at, claimed.queue_id, claimed.attempt]).rowcount)


def _by_attempt(claims: Iterable[Claimed]) -> dict[int, list[int]]:
    queue_ids: dict[int, list[int]] = {}
    for claimed in claims:
        queue_ids.setdefault(claimed.attempt, []).append(claimed.queue_id)
    return queue_ids


def withdraw(tx: Tx, queue_ids: Iterable[int]) -> list[str]:
    """Remove rows that no worker has claimed; the ids of the messages that were still there to remove."""
    text = "DELETE FROM queue WHERE claimed = 0 AND queue_id IN ({}) RETURNING message_id"
    return [row[0] for row in tx.driver_in(text, [], queue_ids)]


def scheduled(tx: Tx, user_id: int, channel: str) -> dict[str, int]:
    """The rows of an account's messages that wait for a later time, and that no worker has tried yet, by their ids.
    Some wait for something else: for a carrier, or their campaign.

    Of the single lanes, what waits of all accounts is looked at: a million rows take 0.3 s.
    """
    later = "AND user_id = ? AND due_at > ? AND claimed = 0 AND attempts = 0"
    found: dict[str, int] = {}
    for lane in ("channel = ? AND priority = 0", "channel = ? AND priority = 1", "channel = ? AND priority > 1"):
        sql = f"SELECT message_id, queue_id FROM queue WHERE {lane} {later}"  # noqa: S608
        found.update(tx.driver(sql, [channel, user_id, tx.clock]).fetchall())
    return found


def next_due(tx: Tx, channel: str) -> float | None:
    """When the next row of the channel becomes due (Unix seconds), or None."""
    dues = [
        tx.driver("SELECT MIN(due_at) FROM queue WHERE channel = ? AND priority = ?", [channel, priority]).fetchone()[0]
        for priority in PRIORITIES
    ]
    known = [due for due in dues if due is not None]
    return min(known) if known else None
