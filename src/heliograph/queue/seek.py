"""Where the queue has the rows of messages, by their ids.

An index over ids costs as much as the index that is claimed by, and only who cancels asks for it. On SQLite one writer
makes the rows, so they stand in the order in which their messages were accepted, and an id begins with the time of
that (ids.py): the place is found as in a dictionary, some look-ups in the primary key. A row keeps its place however
often it is claimed, given back or put off. PostgreSQL has several writers, and an index.
"""

from collections.abc import Iterable

from heliograph.db.engine import Tx

MOMENT = 13
"""Characters of an id that are its time, in milliseconds: 48 bits and a hyphen."""
AFTER = "~"
"""Comes after all that an id is made of."""

_MINE = "user_id = ? AND +channel = ? AND message_id IN ({})"
"""The plus, since SQLite would read all rows of the channel by another index, and not a few by their numbers."""


def find(tx: Tx, user_id: int, channel: str, message_ids: Iterable[str]) -> list[int]:
    """The numbers of the rows of messages of an account; those that have none are left out.

    To be asked about messages that should be there. What is not found in its place, since the clock was set back
    meanwhile, is looked for everywhere: a million rows take 0.1 s.
    """
    wanted = set(message_ids)
    if not tx.dialect.queue_in_order:
        text = "SELECT queue_id FROM queue WHERE user_id = ? AND channel = ? AND message_id IN ({})"
        return [row[0] for row in tx.driver_in(text, [user_id, channel], wanted)]
    moments: dict[str, list[str]] = {}
    for key in wanted:
        moments.setdefault(key[:MOMENT], []).append(key)
    found: dict[str, int] = {}
    text = f"SELECT message_id, queue_id FROM queue WHERE queue_id >= ? AND queue_id < ? AND {_MINE}"  # noqa: S608
    for moment, keys in moments.items():
        first = _place(tx, moment)
        end = _place(tx, moment + AFTER, first)
        found.update(tx.driver_in(text, [first, end, user_id, channel], keys))
    missed = wanted - found.keys()
    if missed:
        tx.long()
        text = f"SELECT message_id, queue_id FROM queue WHERE {_MINE}"  # noqa: S608
        found.update(tx.driver_in(text, [user_id, channel], missed))
    return list(found.values())


def _place(tx: Tx, key: str, low: int = 0) -> int:
    """The number of the first row, from `low` on, whose message's id does not come before `key`; or one after all."""
    high = (tx.driver("SELECT MAX(queue_id) FROM queue").fetchone()[0] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = tx.driver(
            "SELECT queue_id, message_id FROM queue WHERE queue_id >= ? ORDER BY queue_id LIMIT 1", [middle]
        ).fetchone()
        if row is None or row[1] >= key:
            high = middle
        else:
            low = row[0] + 1
    return low
