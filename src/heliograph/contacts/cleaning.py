"""Removing many contacts of a list, in slices so short that other requests are not held up."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from heliograph.contacts import contact, lists
from heliograph.db.engine import Tx
from heliograph.db.tables import contacts
from heliograph.phone import msisdn

PLACES_AT_ONCE = 2000
PAIRS_AT_ONCE = 500
FLAG_LIFE = 60
"""Seconds after the last slice for which `_optout_in_progress` is still shown when the process has died."""

Pairs = Sequence[int]
"""Ids one after the other, in pairs: that of a contact to remove, and that of the older contact it repeats. A flat
sequence, since there may be millions.
"""


def duplicates(tx: Tx, user_id: int, list_id: int, fields: Sequence[str]) -> Pairs:
    """The contacts that have the same values as an older one in all of `fields`. Contacts with all of them empty do not
    count.

    In the order of their ids, as they lie in the database. Raises NotFound.
    """
    lists.find(tx, user_id, list_id)
    given = or_(*(func.coalesce(contacts.c[name], "") != "" for name in fields))
    keys = [_key(name) for name in fields]
    older: Any = {"partition_by": keys, "order_by": contacts.c.place}
    ranked = (
        select(
            contacts.c.contact_id,
            func.first_value(contacts.c.contact_id).over(**older).label("kept"),
            func.row_number().over(**older).label("rank"),
        )
        .where(contacts.c.list_id == list_id, given)
        .subquery()
    )
    wanted = select(ranked.c.contact_id, ranked.c.kept).where(ranked.c.rank > 1).order_by(ranked.c.contact_id)
    pairs = array("q")
    for row in tx.execute(wanted):
        pairs.extend(row)
    return pairs


def _key(name: str) -> ColumnElement[Any]:
    if name == "phone_number":
        return func.coalesce(contacts.c.msisdn, 0)
    column = func.coalesce(contacts.c[name], "")
    return func.lower(column) if name == "email" else column


def remove_duplicates(tx: Tx, user_id: int, list_id: int, fields: Sequence[str], pairs: Pairs) -> int:
    """Remove the first of each pair, if both still exist and still have the same values; how many were removed.

    Raises NotFound: the list was deleted meanwhile.
    """
    lists.find(tx, user_id, list_id, lock=True)
    columns = (contacts.c.contact_id, contacts.c.list_id, *(contacts.c[name] for name in fields))
    rows = tx.rows(select(*columns).where(contacts.c.contact_id.in_(set(pairs))))
    values = {row["contact_id"]: _values(row, fields) for row in rows if row["list_id"] == list_id}
    gone = [
        one
        for one, kept in zip(pairs[::2], pairs[1::2], strict=True)
        if one in values and values.get(kept) == values[one]
    ]
    return contact.remove(tx, list_id, gone)


def _values(row: Mapping[str, Any], fields: Iterable[str]) -> list[str | int]:
    return [_value(name, row[name] or "") for name in fields]


def _value(name: str, text: str) -> str | int:
    if name == "phone_number":
        return msisdn(text) or 0
    return text.lower() if name == "email" else text


def remove_opted_out(tx: Tx, user_id: int, list_id: int, opt_out_id: int, start: int) -> tuple[int, int | None]:
    """Remove those whose number is in another list, among the places from `start` on.

    (how many were removed, where to go on; None at the end). Raises NotFound.
    """
    found = lists.find(tx, user_id, list_id, lock=True)
    lists.find(tx, user_id, opt_out_id)
    end = start + PLACES_AT_ONCE
    # Two plain look-ups: with a join PostgreSQL would read the whole other list for each slice.
    sql = "SELECT contact_id, msisdn FROM contacts WHERE list_id = ? AND place >= ? AND place < ?"
    rows = tx.driver(sql, [list_id, start, end]).fetchall()
    said_no = contact.numbers_in(tx, opt_out_id, (number for _, number in rows))
    removed = contact.remove(tx, list_id, [key for key, number in rows if number in said_no])
    over = end >= found["next_place"]
    lists.opting_out(tx, list_id, 0 if over else tx.now + FLAG_LIFE)
    return removed, None if over else end
