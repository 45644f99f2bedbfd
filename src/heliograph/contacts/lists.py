"""Contact lists: made, found, renamed, deleted, and the counts that tell where a page of a list begins."""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from heliograph.db.engine import Tx
from heliograph.db.tables import contact_blocks, contact_lists, contacts
from heliograph.errors import BadRequest, NotFound

NO_RECORD = "Your list is not found."
BLOCK = 1000
"""Places that one row of contact_blocks counts."""

SWEPT_AT_ONCE = 1000
COLUMNS = {
    "list_id": contact_lists.c.list_id,
    "list_name": contact_lists.c.list_name,
    "list_email_id": contact_lists.c.list_email_id,
    "_contacts_count": contact_lists.c.contacts_count,
}
"""What lists can be searched and sorted by."""


def of(user_id: int) -> Select[Any]:
    """The lists of an account, to search and page through."""
    return select(contact_lists).where(contact_lists.c.user_id == user_id, contact_lists.c.deleted_at.is_(None))


def find(tx: Tx, user_id: int, list_id: int, *, lock: bool = False) -> Mapping[str, Any]:
    """One list. Use `lock` before changing its contacts. Raises NotFound."""
    wanted = of(user_id).where(contact_lists.c.list_id == list_id)
    row = tx.row(wanted.with_for_update() if lock else wanted)
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def by_email_id(tx: Tx, email_id: str) -> Mapping[str, Any] | None:
    """The list of any account that has this `list_email_id`, in any case."""
    wanted = (contact_lists.c.list_email_id == email_id.upper()) & contact_lists.c.deleted_at.is_(None)
    return tx.row(select(contact_lists).where(wanted))


def is_own(tx: Tx, user_id: int, text: str) -> bool:
    """Whether a text is the id of a list of this account."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return False
    return tx.row(of(user_id).where(contact_lists.c.list_id == int(text))) is not None


def create(tx: Tx, user_id: int, name: str) -> Mapping[str, Any]:
    """Save a new list."""
    values = {
        "user_id": user_id,
        "list_name": name,
        "list_email_id": secrets.token_hex(8).upper(),
        "is_opt_out": 0,
        "contacts_count": 0,
        "next_place": 1,
        "imports_running": 0,
        "opting_out_until": 0,
        "created_at": tx.now,
    }
    key = tx.scalar(contact_lists.insert().values(values).returning(contact_lists.c.list_id))
    return find(tx, user_id, int(key))


def rename(tx: Tx, user_id: int, list_id: int, name: str) -> Mapping[str, Any]:
    """Give a list another name. Raises NotFound."""
    find(tx, user_id, list_id)
    tx.execute(contact_lists.update().where(contact_lists.c.list_id == list_id).values(list_name=name))
    return find(tx, user_id, list_id)


def delete(tx: Tx, user_id: int, list_id: int) -> None:
    """Hide a list at once; `sweep` removes its contacts later. Raises NotFound, BadRequest for the Opt-Out List.

    Source: facts G8 (without its Opt-Out List an account would send to people who have opted out).
    """
    if find(tx, user_id, list_id, lock=True)["is_opt_out"]:
        raise BadRequest({"list_id": "The Opt-Out List cannot be deleted."})
    tx.execute(contact_lists.update().where(contact_lists.c.list_id == list_id).values(deleted_at=tx.now))


def opt_out_list(tx: Tx, user_id: int) -> int:
    """The list_id of the account's Opt-Out List, 0 if there is none; looked up once a transaction."""
    memo = ("opt-out-list", user_id)
    if memo not in tx.memo:
        wanted = select(contact_lists.c.list_id).where(
            contact_lists.c.user_id == user_id, contact_lists.c.is_opt_out == 1
        )
        tx.memo[memo] = tx.scalar(wanted)
    return int(tx.memo[memo] or 0)


def grow(tx: Tx, list_id: int, count: int) -> int:
    """Reserve places for `count` new contacts of a locked list and count them; the first place."""
    row = tx.driver(
        "UPDATE contact_lists SET next_place = next_place + ?, contacts_count = contacts_count + ?"
        " WHERE list_id = ? RETURNING next_place",
        [count, count, list_id],
    ).fetchone()
    first = int(row[0]) - count
    _count(tx, list_id, range(first, first + count), 1)
    return first


def shrink(tx: Tx, list_id: int, places: Sequence[int]) -> None:
    """Uncount the contacts that were removed from these places of a locked list."""
    tx.driver("UPDATE contact_lists SET contacts_count = contacts_count - ? WHERE list_id = ?", [len(places), list_id])
    _count(tx, list_id, places, -1)


def _count(tx: Tx, list_id: int, places: Iterable[int], sign: int) -> None:
    for block, count in Counter(place // BLOCK for place in places).items():
        tx.driver(
            "INSERT INTO contact_blocks (list_id, block, count) VALUES (?, ?, ?)"
            " ON CONFLICT (list_id, block) DO UPDATE SET count = contact_blocks.count + excluded.count",
            [list_id, block, sign * count],
        )


def seek(tx: Tx, list_id: int, offset: int, limit: int) -> tuple[int, int, int]:
    """(first place, end, contacts to skip) of the places among which are the `limit` contacts after `offset` others.

    Costs one small row for each thousand contacts of the list.
    """
    first, skip, before, end = 0, 0, 0, 0
    found = tx.driver("SELECT block, count FROM contact_blocks WHERE list_id = ? ORDER BY block", [list_id])
    for block, count in found.fetchall():
        if before <= offset < before + count:
            first, skip = block * BLOCK, offset - before
        before += count
        end = (block + 1) * BLOCK
        if before >= offset + limit:
            break
    return first, end, skip


def importing(tx: Tx, list_id: int, change: int) -> None:
    """Count an import that begins (1) or ends (-1)."""
    tx.driver("UPDATE contact_lists SET imports_running = imports_running + ? WHERE list_id = ?", [change, list_id])


def opting_out(tx: Tx, list_id: int, until: int) -> None:
    """Show until this time (Unix seconds) that opted-out contacts are being removed."""
    tx.driver("UPDATE contact_lists SET opting_out_until = ? WHERE list_id = ?", [until, list_id])


def sweep(tx: Tx) -> bool:
    """Remove a slice of the contacts of deleted lists; whether more may be left. A duty of the upkeep."""
    doomed = select(contact_lists.c.list_id).where(contact_lists.c.deleted_at.is_not(None)).limit(1)
    key = tx.scalar(doomed.with_for_update(skip_locked=True))
    if key is None:
        return False
    some = select(contacts.c.contact_id).where(contacts.c.list_id == key).order_by(contacts.c.place)
    gone = tx.execute(contacts.delete().where(contacts.c.contact_id.in_(some.limit(SWEPT_AT_ONCE)))).rowcount
    if gone < SWEPT_AT_ONCE:
        tx.execute(contact_blocks.delete().where(contact_blocks.c.list_id == key))
        tx.execute(contact_lists.delete().where(contact_lists.c.list_id == key))
    return True
