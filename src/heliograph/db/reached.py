"""Which messages went to a number: for replies, for the throttle, for the caps of rules.

PostgreSQL has an index for it. On SQLite an index over numbers was the largest cost of an insert, since each entry goes
to a page of its own. There the table `reached` is that index, and the connection that accepts messages keeps the newest
entries in two tables of its own in memory (TEMP): the young tail takes them, within the transaction of their message.
When it is full, the other one takes over, and background pieces move the full one into `reached`, sorted, so that
neighbours share their pages (decision 0024).

`reached_through` says of each list (account and channel) up to which ordinal all of it is in `reached`. What is behind
that mark and not in `reached` fills the tail of a new connection. A connection without tails (of a command beside the
server, or one that only reads) writes into `reached` itself, and looks for the rest behind the marks.
"""

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

from sqlalchemy import Connection

from heliograph.db.dialect import chunks
from heliograph.db.engine import Tx

FULL = "numbers"
"""What is woken when a tail is full."""
MOST = 100_000
"""Messages after which a tail is full: 3 MB. A server that starts reads up to twice as many again."""
STEPS, STEP = 8, 500
"""Entries that one piece moves: so many times so many."""
HOLD = 0.005
"""Seconds after which a piece moves no more: in a large table each entry has a page of its own. It does not count while
the young tail is full as well; then whoever sends waits a little longer, and memory does not grow."""

COLUMNS = "msisdn, date, user_id, channel, ordinal"
TAILS = ("tail0", "tail1")
_TABLE = f"({', '.join(f'{name} NOT NULL' for name in COLUMNS.split(', '))}, PRIMARY KEY ({COLUMNS})) WITHOUT ROWID"
_BEHIND = (
    "FROM counters AS c CROSS JOIN messages AS m ON m.user_id = c.user_id AND m.channel = c.name AND m.ordinal >"
    " coalesce((SELECT r.ordinal FROM reached_through AS r WHERE r.user_id = c.user_id AND r.channel = c.name), 0)"
)
_NUMBERED = f"SELECT m.{COLUMNS.replace(', ', ', m.')} {_BEHIND} WHERE m.msisdn IS NOT NULL"
_OF_A_LIST = (
    f"SELECT {COLUMNS} FROM messages WHERE user_id = ? AND channel = ? AND ordinal BETWEEN ? AND ?"  # noqa: S608
    " AND msisdn IS NOT NULL"
)

List = tuple[int, str, int, int]
"""(user_id, channel, first ordinal, last ordinal): messages of one list."""


class Tails:
    """What a connection has in memory. `young` is the place of the tail that takes entries, `taken` about how many
    messages it has taken (those without a number count as well: they move the marks). `merging`: of the other one, or
    of the marks that it moves, something is left.
    """

    def __init__(self, taken: int) -> None:
        self.young = 0
        self.taken = taken
        self.merging = False


def prepare(connection: Connection) -> None:
    """Make the tails of a connection, and fill one with what is behind the marks (200,000 messages: 0.4 s).

    Half a merge may be in `reached` already, and messages of commands. Raises the driver's errors.
    """
    run = connection.exec_driver_sql
    same = " AND ".join(f"r.{name} = tail0.{name}" for name in COLUMNS.split(", "))
    run("BEGIN")
    for name in TAILS:
        run(f"CREATE TEMP TABLE {name} {_TABLE}")
    run("CREATE TEMP TABLE passing (user_id, channel, ordinal, PRIMARY KEY (user_id, channel)) WITHOUT ROWID")
    run(f"INSERT INTO tail0 {_NUMBERED}")
    run(f"DELETE FROM tail0 WHERE EXISTS (SELECT 1 FROM reached AS r WHERE {same})")  # noqa: S608
    behind = run(f"SELECT COUNT(*) {_BEHIND}").scalar()
    run("COMMIT")
    connection.info[FULL] = Tails(behind or 0)


def _tails(tx: Tx) -> Tails | None:
    found: Tails | None = tx.connection.info.get(FULL)
    return found


def enter(tx: Tx, lists: Iterable[List]) -> None:
    """Enter messages that were inserted in this transaction."""
    if not tx.dialect.numbers_apart:
        return
    tails = _tails(tx)
    for one in lists:
        if tails is None:
            put(tx, one)
            _advance(tx, *one)
        else:
            tx.driver(f"INSERT INTO {TAILS[tails.young]} {_OF_A_LIST}", one)
            tails.taken += one[3] - one[2] + 1
    if tails is not None and tails.taken >= MOST:
        tx.wake(FULL)


def put(tx: Tx, one: List) -> None:
    """Enter messages into `reached` itself, whether they are behind its mark or not."""
    if tx.dialect.numbers_apart:
        tx.driver(f"INSERT OR IGNORE INTO reached {_OF_A_LIST}", one)


def leave(tx: Tx, one: List) -> None:
    """Take messages out, before their number or date changes (then `put` them) or before they are deleted."""
    if tx.dialect.numbers_apart:
        for table in ("reached", *(TAILS if _tails(tx) else ())):
            tx.driver(f"DELETE FROM {table} WHERE ({COLUMNS}) IN ({_OF_A_LIST})", one)  # noqa: S608


def _advance(tx: Tx, user_id: int, channel: str, first: int, last: int) -> None:
    """Move a mark over messages that follow it."""
    tx.driver(
        "INSERT INTO reached_through (user_id, channel, ordinal) SELECT ?, ?, ? WHERE ? = 1 + coalesce("
        "(SELECT ordinal FROM reached_through WHERE user_id = ? AND channel = ?), 0)"
        " ON CONFLICT (user_id, channel) DO UPDATE SET ordinal = excluded.ordinal",
        [user_id, channel, last, first, user_id, channel],
    )


def seen(
    tx: Tx, columns: str, numbers: Iterable[int | None], since: int, more: str = "", values: Sequence[Any] = ()
) -> list[Any]:
    """Columns of the messages to these numbers (msisdn) that are dated since a Unix time.

    `more` is SQL that follows the condition, and `values` is for its marks; it holds for 500 numbers at a time.
    """
    found: list[Any] = []
    for some in chunks(list(numbers), 500):
        if tx.dialect.numbers_apart:
            arm = "SELECT user_id AS u, channel AS c, ordinal AS o FROM {} WHERE date >= ? AND msisdn IN"
            arms, times = _arms(tx, f"{arm} ({','.join('?' * len(some))})")
            text = f"SELECT {columns} FROM ({arms}) {_JOINED} {more}"  # noqa: S608
            given = [since, *some] * times
        else:
            sql = f"SELECT {columns} FROM messages WHERE date >= ? AND msisdn IN ({{}}) {more}"  # noqa: S608
            text, filled = tx.dialect.in_list(sql, some)
            given = [since, *filled]
        found += tx.driver(text, [*given, *values]).fetchall()
    return found


def newest(tx: Tx, columns: str, number: int | None, channel: str, user_id: int | None, most: int) -> list[Any]:
    """Columns of the newest messages of a channel to a number, the newest first; of one account, if it is given."""
    mine = "" if user_id is None else " AND user_id = ?"
    condition = f"WHERE msisdn = ? AND channel = ?{mine}"
    given: list[Any] = [number, channel, *([] if user_id is None else [user_id])]
    last = "ORDER BY date DESC, message_id DESC LIMIT ?"
    if not tx.dialect.numbers_apart:
        return list(tx.driver(f"SELECT {columns} FROM messages {condition} {last}", [*given, most]).fetchall())  # noqa: S608
    order = "date DESC, user_id DESC, channel DESC, ordinal DESC"
    arm = "SELECT * FROM (SELECT user_id AS u, channel AS c, ordinal AS o FROM {}"
    arm += f" {condition} ORDER BY {order} LIMIT ?)"
    arms, times = _arms(tx, arm)
    sql = f"SELECT {columns} FROM ({arms}) {_JOINED} {last}"  # noqa: S608
    return list(tx.driver(sql, [*[*given, most] * times, most]).fetchall())


_JOINED = "CROSS JOIN messages ON user_id = u AND channel = c AND ordinal = o"


def _arms(tx: Tx, arm: str) -> tuple[str, int]:
    """A look-up in all parts of the index that hold something, `{}` being a part, and how many parts those are.

    Without tails, a message behind a mark may be in `reached` as well.
    """
    tails = _tails(tx)
    parts = ["reached", TAILS[tails.young] if tails else f"({_NUMBERED})"]
    if tails and tails.merging:
        parts.append(TAILS[1 - tails.young])
    return (" UNION ALL " if tails else " UNION ").join(arm.replace("{}", part) for part in parts), len(parts)


def merge(tx: Tx) -> bool:
    """Do a piece of the work when a tail is full; whether more is left.

    Entries leave the tail in the transaction that puts them into `reached`; the marks follow when all have.
    """
    tails = _tails(tx)
    if tails is None:
        return False
    if not tails.merging:
        if tails.taken < MOST:
            return False
        _take_over(tx, tails)
    elif not _move(tx, TAILS[1 - tails.young], hurried=tails.taken >= MOST):
        tails.merging = _move_marks(tx)
    return tails.merging or tails.taken >= MOST


def _take_over(tx: Tx, tails: Tails) -> None:
    """Let the other tail take what comes, and note how far the lists have come.

    All up to there is in the full one, or in `reached`. With 100,000 lists it takes 70 ms.
    """
    tx.long()
    tx.driver(
        "INSERT INTO passing SELECT c.user_id, c.name, c.count FROM counters AS c LEFT JOIN reached_through AS r"
        " ON r.user_id = c.user_id AND r.channel = c.name WHERE c.count > coalesce(r.ordinal, 0) AND EXISTS (SELECT 1"
        " FROM messages AS m WHERE m.user_id = c.user_id AND m.channel = c.name AND m.ordinal = c.count)"
    )
    tails.young, tails.taken, tails.merging = 1 - tails.young, 0, True


def _move(tx: Tx, tail: str, *, hurried: bool) -> bool:
    """Move entries by their order; whether some are left."""
    end = float("inf") if hurried else monotonic() + HOLD
    for _ in range(STEPS):
        if not _shift(tx, tail, COLUMNS, STEP, f"INSERT OR IGNORE INTO reached SELECT {COLUMNS} FROM {tail} {{}}"):  # noqa: S608
            return False
        if monotonic() > end:
            break
    return True


def _move_marks(tx: Tx) -> bool:
    """Move marks to where their lists had come; whether some are left."""
    text = (
        "INSERT INTO reached_through SELECT user_id, channel, ordinal FROM passing {}"
        " ON CONFLICT (user_id, channel) DO UPDATE SET ordinal = max(reached_through.ordinal, excluded.ordinal)"
    )
    return _shift(tx, "passing", "user_id, channel", STEPS * STEP, text)


def _shift(tx: Tx, table: str, key: str, most: int, text: str) -> bool:
    """Run `text` for the first rows of a table, `{}` being the condition, and delete them; whether more are left."""
    last = tx.driver(f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET ?", [most - 1]).fetchone()  # noqa: S608
    values = () if last is None else last
    condition = "WHERE 1" if last is None else f"WHERE ({key}) <= ({','.join('?' * len(last))})"
    tx.driver(text.replace("{}", condition), values)
    tx.driver(f"DELETE FROM {table} {condition}", values)  # noqa: S608
    return last is not None
