"""Contact lists as recipients: the members of a list, who has opted out, and the placeholders in texts."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from heliograph.contacts import contact, lists
from heliograph.db.engine import Tx
from heliograph.db.tables import contact_lists, contacts
from heliograph.errors import NotFound
from heliograph.messaging.rows import Key, Message
from heliograph.phone import msisdn

_COLUMNS = (
    "contact_id",
    "place",
    "phone_number",
    "msisdn",
    "first_name",
    "last_name",
    "custom_1",
    "custom_2",
    "custom_3",
    "custom_4",
    "organization_name",
    "email",
)
Member = Mapping[str, Any]


def members(tx: Tx, user_id: int, list_id: int, most: int, after: int = 0) -> list[Member] | None:
    """The contacts of a list in the order in which they came, at most `most`; None: no such list in this account.

    `after` is the place of the last one that is known already.
    """
    try:
        lists.find(tx, user_id, list_id)
    except NotFound:
        return None
    sql = f"SELECT {', '.join(_COLUMNS)} FROM contacts WHERE list_id = ? AND place > ? ORDER BY place LIMIT ?"  # noqa: S608
    rows = tx.driver(sql, [list_id, after, most]).fetchall()
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


def those_left(tx: Tx, list_id: int, contact_ids: Iterable[int]) -> dict[int, Member]:
    """Those of the contacts, by id, that are still in a list."""
    sql = f"SELECT {', '.join(_COLUMNS)} FROM contacts WHERE list_id = ? AND contact_id IN ({{}})"  # noqa: S608
    return {row[0]: dict(zip(_COLUMNS, row, strict=True)) for row in tx.driver_in(sql, [list_id], contact_ids)}


def opted_out(tx: Tx, user_id: int, recipients: Iterable[str]) -> set[str]:
    """Those of the recipients (numbers in E.164, mail addresses) that are in the account's Opt-Out List."""
    numbers = {digits: one for one in recipients if (digits := msisdn(one)) is not None}
    addresses = {one.lower(): one for one in recipients if "@" in one}
    if not numbers and not addresses:
        return set()
    list_id = lists.opt_out_list(tx, user_id)
    gone = {numbers[digits] for digits in contact.numbers_in(tx, list_id, numbers)}
    return gone | {addresses[one] for one in contact.addresses_in(tx, list_id, addresses)}


def opted_out_since(tx: Tx, rows: Sequence[Message]) -> set[Key]:
    """Those accepted messages whose recipients are in the Opt-Out List by now.

    The list counts for messages to contacts of lists (facts G10) and, for strict accounts, also for scheduled messages.
    """
    later = {row.user_id for row in rows if row.contact_id is None and row.schedule > row.date}
    strict = "SELECT user_id FROM users WHERE strict_opt_out = 1 AND user_id IN ({})"
    strict_users = {row[0] for row in tx.driver_in(strict, [], later)}
    bound: dict[int, list[Message]] = {}
    for row in rows:
        if row.contact_id is not None or row.user_id in strict_users:
            bound.setdefault(row.user_id, []).append(row)
    keys = set()
    for user_id, messages in bound.items():
        gone = opted_out(tx, user_id, [row.recipient for row in messages])
        keys |= {row.key for row in messages if row.recipient in gone}
    return keys


def acquainted(tx: Tx, user_id: int, number: str, list_id: int | None) -> Member:
    """What an account knows of a number: its contact in this list, or else the oldest in any list; empty when it has
    none.
    """
    here = contacts.c.list_id == contact_lists.c.list_id
    mine = (contact_lists.c.user_id == user_id) & contact_lists.c.deleted_at.is_(None)
    found = tx.rows(select(contacts).where(contacts.c.msisdn == msisdn(number)).join(contact_lists, here).where(mine))
    return min(found, key=lambda row: (row["list_id"] != list_id, row["contact_id"]), default={})


_PLACEHOLDER = re.compile(
    r"\((?P<round>First Name|Last Name|Cust(?:om)?\.? ?[1-4]|Company Name|Email|Phone)\)"
    r"|\{(?P<curly>(?i:first ?name|last ?name|custom(?:string)? ?[1-4]|company ?name|email|phone))\}"
)
"""Placeholders in curly brackets are taken in any case, since both were seen. Round brackets also occur in ordinary
texts, so there the case has to match.
"""

_FIELDS = {
    "firstname": "first_name",
    "lastname": "last_name",
    "companyname": "organization_name",
    "email": "email",
    "phone": "phone_number",
}


def personal(text: str) -> Callable[[Member], str]:
    """A function that writes `text` to a member. Placeholders: facts G1, G2, G3; a missing value leaves nothing."""
    if not _PLACEHOLDER.search(text):
        return lambda _: text
    return lambda member: _PLACEHOLDER.sub(lambda found: member.get(_field(found)) or "", text)


def _field(found: re.Match[str]) -> str:
    name = re.sub(r"[ .]", "", found["round"] or found["curly"]).lower()
    return _FIELDS.get(name) or f"custom_{name[-1]}"
