"""Long messages (MO) on their way: their parts, kept until they are whole or overdue."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence

import structlog

from heliograph.clock import HOUR
from heliograph.db.engine import Tx
from heliograph.ids import new_ids
from heliograph.messaging import inbound
from heliograph.messaging.hooks import Hooks
from heliograph.transports.base import Inbound, Join, Part, PartsKey

log = structlog.get_logger(__name__)

REPEATED_WITHIN = HOUR
"""Seconds for which the parts of a whole message are known again. A carrier that missed an acknowledgement repeats the
part within minutes, and some minutes later it is overdue.
"""

Columns = tuple[int, int, str, int]
"""number, form, octets, at of a row of inbound_parts."""


def store(tx: Tx, arrived: Sequence[tuple[Part, Join]], hooks: Hooks) -> list[Inbound | None]:
    """Store parts, and each message that one of them makes whole; for each part the message if it was for no account.

    Messages are locked in one order, so that two workers wait for each other and do not deadlock.
    """
    gathering = Gathering(tx, [part for part, _ in arrived])
    found: list[Inbound | None] = []
    for part, join in arrived:
        came = gathering.put(part)
        if came is None:
            found.append(None)
            continue
        message = join(came)
        found.append(None if inbound.store(tx, message, hooks) else message)
        gathering.finish(part.key)
    return found


class Gathering:
    """The incomplete messages that these parts belong to, locked in one order for the length of a transaction."""

    def __init__(self, tx: Tx, arriving: Sequence[Part]) -> None:
        first = {part.key: part for part in reversed(arriving)}
        self._tx = tx
        self._open = {key: _lock(tx, first[key]) for key in sorted(first)}

    def long_id(self, part: Part) -> str:
        """Id of the incomplete message of a part; a new one after the last was finished."""
        if part.key not in self._open:
            self._open[part.key] = _lock(self._tx, part)
        return self._open[part.key]

    def put(self, part: Part) -> list[Part] | None:
        """Store a part; all parts in their order, if it was the last that was missing."""
        long_id = self.long_id(part)
        if _put(self._tx, long_id, part) < part.total:
            return None
        return _parts(part.key, _rows(self._tx, long_id))

    def finish(self, key: PartsKey) -> None:
        """The whole message is stored: its parts stay for a while, to know one that comes again."""
        _finish(self._tx, key, self._open.pop(key))


def overdue(tx: Tx, transport: str, before: float, most: int) -> list[str]:
    """Ids of incomplete messages whose first part came until `before` (Unix seconds), and of the oldest beyond `most`.

    Their parts were acknowledged and nobody sends them again, so what there is must not be lost.
    """
    incomplete = tx.driver(
        "SELECT long_id, at FROM long_inbound WHERE whole = 0 AND transport = ? ORDER BY at, long_id", [transport]
    ).fetchall()
    excess = len(incomplete) - most
    return [long_id for rank, (long_id, at) in enumerate(incomplete) if at <= before or rank < excess]


def give_up(tx: Tx, long_id: str, join: Join, hooks: Hooks) -> Inbound | None:
    """Store an incomplete message as far as it came, if nobody did so before; the message if it was for no account."""
    came, repeated = take_out(tx, long_id)
    if not came or repeated:
        return None
    message = join(came)
    return None if inbound.store(tx, message, hooks) else message


def take_out(tx: Tx, long_id: str) -> tuple[list[Part], str]:
    """Remove an incomplete message: its parts, none if somebody removed it before; and what they only repeat.

    That is the id of a message that was whole before: a carrier that missed an acknowledgement sends such a part a
    second time, alone. Else it is empty.
    """
    row = tx.driver(
        "SELECT transport, sender, recipient, reference, total FROM long_inbound"  # noqa: S608
        f" WHERE long_id = ? AND whole = 0 {tx.dialect.for_update}",
        [long_id],
    ).fetchone()
    if row is None:
        return [], ""
    key: PartsKey = tuple(row)
    came = _rows(tx, long_id)
    _delete(tx, [long_id])
    for old in _whole(tx, key):
        if _without_time(came) <= _without_time(_rows(tx, old)):
            return _parts(key, came), old
    return _parts(key, came), ""


def forget(tx: Tx, age: float, limit: int = 500) -> bool:
    """Forget the parts of whole messages, and what no transport has asked for in `age` seconds; whether more is left.

    The latter came by a transport that is no longer configured: nobody else can read its parts.
    """
    whole = _older(tx, 1, tx.now - REPEATED_WITHIN, limit)
    orphans = _older(tx, 0, int(tx.now - age), limit)
    if orphans:
        log.warning("inbound.parts_forgotten", messages=len(orphans))
    _delete(tx, [*whole, *orphans])
    return limit in (len(whole), len(orphans))


def _lock(tx: Tx, part: Part) -> str:
    """Id of the incomplete message of a part, made if there is none; others that want it wait until the commit."""
    (long_id,) = tx.driver(
        "INSERT INTO long_inbound (long_id, transport, sender, recipient, reference, total, whole, at)"
        " VALUES (?, ?, ?, ?, ?, ?, 0, ?)"
        " ON CONFLICT (transport, sender, recipient, reference, total, whole) DO UPDATE SET at = long_inbound.at"
        " RETURNING long_id",
        [new_ids(1, tx.clock)[0], *part.key, tx.now],
    ).fetchone()
    return str(long_id)


def _put(tx: Tx, long_id: str, part: Part) -> int:
    """Store a part in the place of what was there; how many parts there are."""
    tx.driver(
        "INSERT INTO inbound_parts (long_id, number, form, octets, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (long_id, number) DO UPDATE"
        " SET form = excluded.form, octets = excluded.octets, at = excluded.at",
        [long_id, part.number, part.form, b64encode(part.octets).decode(), tx.now],
    )
    (count,) = tx.driver("SELECT count(*) FROM inbound_parts WHERE long_id = ?", [long_id]).fetchone()
    return int(count)


def _rows(tx: Tx, long_id: str) -> list[Columns]:
    sql = "SELECT number, form, octets, at FROM inbound_parts WHERE long_id = ? ORDER BY number"
    return [tuple(row) for row in tx.driver(sql, [long_id]).fetchall()]


def _parts(key: PartsKey, came: Iterable[Columns]) -> list[Part]:
    return [Part(*key, number, form, b64decode(octets), at) for number, form, octets, at in came]


def _without_time(came: Iterable[Columns]) -> set[tuple[int, int, str]]:
    return {row[:3] for row in came}


def _whole(tx: Tx, key: PartsKey) -> list[str]:
    """Id of the message that was whole lately under this key, if there is one."""
    found = tx.driver(
        "SELECT long_id FROM long_inbound"
        " WHERE transport = ? AND sender = ? AND recipient = ? AND reference = ? AND total = ? AND whole = 1",
        key,
    )
    return [row[0] for row in found.fetchall()]


def _finish(tx: Tx, key: PartsKey, long_id: str) -> None:
    """The message is stored. Its key is free for the next one; its parts stay to be known again."""
    _delete(tx, _whole(tx, key))
    tx.driver("UPDATE long_inbound SET whole = 1, at = ? WHERE long_id = ?", [tx.now, long_id])


def _older(tx: Tx, whole: int, before: int, limit: int) -> list[str]:
    sql = f"SELECT long_id FROM long_inbound WHERE whole = ? AND at < ? ORDER BY at LIMIT ? {tx.dialect.for_update}"  # noqa: S608
    return [row[0] for row in tx.driver(sql, [whole, before, limit]).fetchall()]


def _delete(tx: Tx, ids: Sequence[str]) -> None:
    tx.driver_in("DELETE FROM inbound_parts WHERE long_id IN ({})", [], ids)
    tx.driver_in("DELETE FROM long_inbound WHERE long_id IN ({})", [], ids)
