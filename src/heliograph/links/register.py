"""The links that exist: entering those of accepted messages, looking codes up, killing them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select

from heliograph.db.dialect import chunks
from heliograph.db.engine import Tx
from heliograph.db.tables import links, long_urls
from heliograph.links.link import URL, Kind, NewLink, new_code

ROWS_A_STATEMENT = 500
_COLUMNS = ("code", "kind", "user_id", "message_id", "recipient", "long_url_id", "disabled")


class Linked(NamedTuple):
    """An accepted message that has links. What its clicks are counted for is (source, source_id)."""

    user_id: int
    subaccount_id: int
    source: str
    source_id: str
    message_id: str
    recipient: str
    links: Sequence[NewLink]


class Found(NamedTuple):
    """A link by its code. `url` is "" for STOP."""

    code: str
    kind: Kind
    user_id: int
    message_id: str
    recipient: str
    long_url_id: int | None
    disabled: int
    url: str


def enter(tx: Tx, messages: Sequence[Linked]) -> Mapping[tuple[int, NewLink], str]:
    """Store the links of these messages; (place of the message, its link) -> its code now, where that was taken.

    It happens sooner than one thinks: when there are ten million links, one of 70,000 new codes of seven characters.
    The new code is as long as the old one.
    """
    targets = _targets(tx, messages)
    waiting: list[tuple[tuple[int, NewLink], list[object]]] = []
    for place, message in enumerate(messages):
        for link in message.links:
            owner = (message.user_id, message.message_id, message.recipient, targets.get(_target(message, link)), 0)
            waiting.append(((place, link), [link.code, link.kind, *owner]))
    changed: dict[tuple[int, NewLink], str] = {}
    while waiting:
        rows = {row[0]: row for _, row in waiting}
        entered = _insert(tx, list(rows.values()))
        waiting = [(key, row) for key, row in waiting if row[0] not in entered or rows[row[0]] is not row]
        for key, row in waiting:
            row[0] = changed[key] = new_code(len(key[1].code))
    return changed


def _insert(tx: Tx, rows: Sequence[Sequence[object]]) -> set[object]:
    """Insert those whose codes are free; their codes."""
    entered: set[object] = set()
    one = f"({','.join('?' * len(_COLUMNS))})"
    for chunk in chunks(rows, ROWS_A_STATEMENT):
        text = (
            f"INSERT INTO links ({','.join(_COLUMNS)}) VALUES {','.join([one] * len(chunk))}"  # noqa: S608
            " ON CONFLICT (code) DO NOTHING RETURNING code"
        )
        entered |= {row[0] for row in tx.driver(text, [value for row in chunk for value in row]).fetchall()}
    return entered


_Target = tuple[int, str, str, str]
"""(user_id, source, source_id, url): what has one long_url_id."""


def _target(message: Linked, link: NewLink) -> _Target:
    return message.user_id, message.source, message.source_id, link.target


def _targets(tx: Tx, messages: Iterable[Linked]) -> Mapping[_Target, int]:
    """The long_url_id of each target, those that are new included."""
    wanted = {_target(one, link): one for one in messages for link in one.links if link.kind == URL}
    known = _long_urls(tx, wanted)
    new = [
        (user_id, wanted[user_id, source, source_id, url].subaccount_id, source, source_id, url)
        for user_id, source, source_id, url in wanted
        if (user_id, source, source_id, url) not in known
    ]
    if new:
        tx.insert_rows("long_urls", ("user_id", "subaccount_id", "source", "source_id", "url"), new)
        known = _long_urls(tx, wanted)
    return known


def _long_urls(tx: Tx, wanted: Iterable[_Target]) -> Mapping[_Target, int]:
    """The long_url_id of those targets that are there."""
    sources: dict[tuple[int, str], set[str]] = {}
    for user_id, source, source_id, _ in wanted:
        sources.setdefault((user_id, source), set()).add(source_id)
    sql = (
        "SELECT user_id, source, source_id, url, long_url_id FROM long_urls"
        " WHERE user_id = ? AND source = ? AND source_id IN ({}) ORDER BY long_url_id DESC"
    )
    found = (row for key, ids in sources.items() for row in tx.driver_in(sql, key, ids))
    return {(row[0], row[1], row[2], row[3]): row[4] for row in found}


_FIND = (
    "SELECT l.code, l.kind, l.user_id, l.message_id, l.recipient, l.long_url_id, l.disabled, COALESCE(u.url, '')"
    " FROM links l LEFT JOIN long_urls u ON u.long_url_id = l.long_url_id WHERE l.code IN ({})"
)


def find(tx: Tx, codes: Iterable[str]) -> dict[str, Found]:
    """Those of the links that there are, by code."""
    return {row[0]: Found(*row) for row in tx.driver_in(_FIND, [], codes)}


def switch(tx: Tx, link: Found, *, disabled: bool, everywhere: bool) -> int:
    """Kill a link, or let it live again; `everywhere`: with all links of its account that lead to its target.

    How many were changed.
    """
    change = links.update().where(links.c.disabled == int(not disabled)).values(disabled=int(disabled))
    if not everywhere:
        return tx.execute(change.where(links.c.code == link.code)).rowcount
    target = (long_urls.c.user_id == link.user_id) & (long_urls.c.url == link.url)
    same = select(long_urls.c.long_url_id).where(target)
    return tx.execute(change.where(links.c.long_url_id.in_(same))).rowcount
