"""When messages are to be sent, and mending the dates that a clock left behind which was ahead for a while.

Dates never run backwards within a list, so that a place in it can be found by its date (counters.position). Without
mending, one message that was accepted 100 days ahead would date all that follow it.
"""

from heliograph.clock import DAY
from heliograph.db import reached
from heliograph.db.engine import Tx
from heliograph.messaging import counters, message
from heliograph.queue import seek

FARTHEST = 124 * DAY
"""A schedule may lie four months ahead (facts F10)."""

FAR_AHEAD = 60
"""Seconds that a list may be ahead of the clock: clocks of several machines differ, and are set back by a little."""


def mend(tx: Tx, user_id: int, channel: str, before: int) -> int:
    """Date the messages of a list a minute ago that are dated later than now; the date for the next ones.

    When they were sent is not known; a minute ago no throttle sees them any more. `before` is the ordinal of the newest
    message that is there. What waits and is not scheduled is due now.
    """
    first = counters.position(tx, "messages", "date", user_id, channel, before, tx.now + FAR_AHEAD + 1)
    earlier = tx.driver(
        "SELECT date FROM messages WHERE user_id = ? AND channel = ? AND ordinal = ?", [user_id, channel, first]
    ).fetchone()
    date = max(tx.now - FAR_AHEAD, earlier[0] if earlier else 0)
    redated = (user_id, channel, first + 1, before)
    reached.leave(tx, redated)
    ahead = tx.driver(
        "UPDATE messages SET schedule = CASE WHEN schedule = date THEN ? ELSE schedule END, date = ?"
        " WHERE user_id = ? AND channel = ? AND ordinal > ? AND ordinal <= ? RETURNING message_id, status",
        [date, date, user_id, channel, first, before],
    ).fetchall()
    reached.put(tx, redated)
    waiting = [message_id for message_id, status in ahead if status == message.QUEUED]
    sql = "UPDATE queue SET due_at = ? WHERE claimed = 0 AND queue_id IN ({})"
    tx.driver_in(sql, [tx.clock], seek.find(tx, user_id, channel, waiting))
    counters.set_back(tx, user_id, channel, tx.now)
    return tx.now


def scheduled(given: int | str | float | None, now: float) -> int | None:
    """Unix seconds; 0: now (not given, or a time that has passed); None: it cannot be used (facts F10, F11)."""
    if given is None or given in ("", 0):
        return 0
    try:
        at = int(float(given))
    except (ValueError, OverflowError):
        return None
    if at > now + FARTHEST or at < 0:
        return None
    return at if at > now else 0
