"""Search by a keyword over the contacts and lists of an account (endpoint 125)."""

from array import array
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from heliograph.contacts import lists
from heliograph.db.dialect import chunks
from heliograph.db.engine import Tx
from heliograph.db.tables import contact_lists, contacts
from heliograph.texts import folded


def search(tx: Tx, user_id: int, word: str, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """(how many, those of the page): contacts first, then lists, each in the order in which they were made.

    A word is looked for anywhere in names, organisation, number and address, as `texts.folded` has them; spaces inside
    of a number make no difference.
    """
    word = folded(word)
    mine = tx.rows(lists.of(user_id).order_by(contact_lists.c.list_id))
    named = [row for row in mine if word in folded(row["list_name"])]
    ids = _people(tx, [row["list_id"] for row in mine], _plain(word))
    first = len(ids)
    rows: list[dict[str, Any]] = []
    if offset < first:
        shown = contacts.c.contact_id.in_(sorted(ids)[offset : offset + limit])
        rows = [_contact(row) for row in tx.rows(select(contacts).where(shown).order_by(contacts.c.contact_id))]
    start = max(0, offset - first)
    rows += [_list(row) for row in named[start : start + limit - len(rows)]]
    return first + len(named), rows


def _people(tx: Tx, list_ids: Sequence[int], word: str) -> "array[int]":
    """The contacts of these lists that have a word. All of them at once: counting them and then finding a page would
    read the lists twice. Each list by itself: with a join PostgreSQL might read the contacts of all accounts.

    """
    found = array("q")
    has = contacts.c.keywords.contains(word, autoescape=True)
    for some in chunks(list_ids, 500):
        wanted = select(contacts.c.contact_id).where(contacts.c.list_id.in_(some), has)
        found.extend(row[0] for row in tx.execute(wanted))
    return found


def _plain(word: str) -> str:
    """The word as `contacts.keywords` has it."""
    digits = word.replace(" ", "")
    return digits if digits.lstrip("+").isdecimal() else word


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
