"""Gapless ordinals of lists, so that a page knows its place and its total without counting."""

from heliograph.db.engine import Tx


def take(tx: Tx, user_id: int, name: str, count: int) -> tuple[int, int]:
    """Reserve `count` ordinals: (the first of them, the date that rows get).

    The date never runs backwards within a list, so that dates and ordinals sort alike.
    """
    row = tx.driver(
        "INSERT INTO counters (user_id, name, count, read_through, last_date) VALUES (?, ?, ?, 0, ?)"
        " ON CONFLICT (user_id, name) DO UPDATE SET count = counters.count + excluded.count,"
        " last_date = CASE WHEN counters.last_date > excluded.last_date THEN counters.last_date"
        " ELSE excluded.last_date END RETURNING count, last_date",
        [user_id, name, count, tx.now],
    ).fetchone()
    return row[0] - count + 1, row[1]


def set_back(tx: Tx, user_id: int, name: str, date: int) -> None:
    """Let rows of a list be dated from `date` on: its rows were dated too late."""
    tx.driver("UPDATE counters SET last_date = ? WHERE user_id = ? AND name = ?", [date, user_id, name])


def extent(tx: Tx, user_id: int, name: str) -> tuple[int, int]:
    """(how many rows were ever added, the ordinal through which they are marked as read)."""
    row = tx.driver(
        "SELECT count, read_through FROM counters WHERE user_id = ? AND name = ?", [user_id, name]
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def mark_read(tx: Tx, user_id: int, name: str, through: int) -> None:
    """Mark everything up to an ordinal as read; the mark never goes back."""
    tx.driver(
        "UPDATE counters SET read_through = ? WHERE user_id = ? AND name = ? AND read_through < ?",
        [through, user_id, name, through],
    )


def position(tx: Tx, table: str, column: str, user_id: int, channel: str, count: int, at: int) -> int:
    """How many of the rows 1..count have `column` < `at`: a binary search over the ordinals, no scan."""
    low, high = 0, count
    sql = f"SELECT {column} FROM {table} WHERE user_id = ? AND channel = ? AND ordinal = ?"  # noqa: S608
    while low < high:
        middle = (low + high + 1) // 2
        row = tx.driver(sql, [user_id, channel, middle]).fetchone()
        if row is not None and row[0] >= at:
            high = middle - 1
        else:
            low = middle
    return low
