"""Search by a keyword over the contacts and lists of an account (endpoint 125)."""

from typing import Any

from sqlalchemy import func, select

from heliograph.db.engine import Tx
from heliograph.db.tables import contact_lists, contacts


def search(tx: Tx, user_id: int, word: str, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """(how many, those of the page): contacts first, then lists, each in the order in which they were made.

    A word is looked for anywhere in names, organisation, number and address, in any case; spaces inside of a number
    make no difference.
    """
    mine = (contact_lists.c.user_id == user_id) & contact_lists.c.deleted_at.is_(None)
    people = (
        select(contacts.c.contact_id)
        .join(contact_lists, contact_lists.c.list_id == contacts.c.list_id)
        .where(mine, contacts.c.keywords.contains(_plain(word), autoescape=True))
    )
    named = [
        row
        for row in tx.rows(select(contact_lists).where(mine).order_by(contact_lists.c.list_id))
        if word.lower() in row["list_name"].lower()
    ]
    first = int(tx.scalar(select(func.count()).select_from(people.subquery())))
    rows: list[dict[str, Any]] = []
    if offset < first:
        # By id first: otherwise whole rows would be sorted, in memory.
        shown = people.order_by(contacts.c.contact_id).limit(limit).offset(offset)
        found = select(contacts).where(contacts.c.contact_id.in_(shown)).order_by(contacts.c.contact_id)
        rows = [_contact(row) for row in tx.rows(found)]
    start = max(0, offset - first)
    rows += [_list(row) for row in named[start : start + limit - len(rows)]]
    return first + len(named), rows


def _plain(word: str) -> str:
    """The word as `contacts.keywords` has it."""
    digits = "".join(word.split())
    return digits if digits.lstrip("+").isdecimal() else word.lower()


def _contact(row: Any) -> dict[str, Any]:
    return {
        "id": row["contact_id"],
        "name": f"{row['first_name']} {row['last_name']}".strip(),
        "contact": row["phone_number"] or row["email"] or row["fax_number"],
        "type": "contact",
        "contacts_count": None,
    }


def _list(row: Any) -> dict[str, Any]:
    return {
        "id": row["list_id"],
        "name": row["list_name"],
        "contact": row["list_email_id"],
        "type": "list",
        "contacts_count": row["contacts_count"],
    }
