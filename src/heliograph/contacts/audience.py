"""Contact lists as recipients: the members of a list, who has opted out, and the placeholders in texts."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from heliograph.contacts import contact, lists
from heliograph.db.engine import Tx
from heliograph.db.tables import contact_lists, contacts
from heliograph.errors import NotFound
from heliograph.links import literals
from heliograph.messaging.rows import Key, Message
from heliograph.phone import msisdn
from heliograph.texts import letters

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
    numbers = {one: digits for one in recipients if (digits := msisdn(one)) is not None}
    addresses = {one: one.lower() for one in recipients if "@" in one}
    if not numbers and not addresses:
        return set()
    list_id = lists.opt_out_list(tx, user_id)
    said_no = contact.numbers_in(tx, list_id, numbers.values())
    written_no = contact.addresses_in(tx, list_id, addresses.values())
    return {one for one, digits in numbers.items() if digits in said_no} | {
        one for one, address in addresses.items() if address in written_no
    }


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


_BLANK = r"[ \t\u00a0\u00ad\u061c\u1680\u2000-\u200f\u202f\u205f\u2060\u2066-\u2069\u3000\ufeff]"
"""What may stand beside the words of a placeholder: editors put no-break spaces there, and what cannot be seen."""

_FEW = f"{_BLANK}{{0,3}}"

_PLACEHOLDER = re.compile(
    rf"\({_FEW}(?P<round>(?:First|Last|Company){_BLANK}{{1,3}}Name|Cust(?:om)?\.?{_FEW}[1-4]|Email|Phone){_FEW}\)"
    rf"|\{{{_FEW}(?P<curly>(?i:(?:first|last|company){_FEW}name|custom(?:string)?{_FEW}[1-4]|email|phone)){_FEW}\}}"
)
"""Placeholders in curly brackets are taken in any case, since both were seen. Round brackets also occur in ordinary
texts, so there the case has to match.
"""

_WITH_LITERALS = re.compile(f"{_PLACEHOLDER.pattern}|{literals.PATTERN}")
"""One pattern, so that one pass fills both: what is filled in is searched for neither."""

_FIELDS = {
    "firstname": "first_name",
    "lastname": "last_name",
    "companyname": "organization_name",
    "email": "email",
    "phone": "phone_number",
}


def personal(text: str, *, links: bool = False) -> Callable[[Member], str]:
    """A function that writes `text` to a member. Placeholders: facts G1, G2, G3; a missing value leaves nothing.

    With `links`, also literals of short links (links/literals.py): the member then has what stands for each kind.
    """
    pattern = _WITH_LITERALS if links else _PLACEHOLDER
    if not pattern.search(text):
        return lambda _: text
    return lambda member: pattern.sub(lambda found: member.get(_field(found)) or "", text)


def pieces(text: str) -> tuple[list[str], list[str]]:
    """(what stands between the placeholders of a text, the columns of a member that belong there, in order)."""
    between, names, at = [], [], 0
    for found in _PLACEHOLDER.finditer(text):
        between.append(text[at : found.start()])
        names.append(_field(found))
        at = found.end()
    return [*between, text[at:]], names


def _field(found: re.Match[str]) -> str:
    name = found["round"] or found["curly"]
    if name is None:
        return str(found.lastgroup)
    name = letters(name)
    return _FIELDS.get(name) or f"custom_{name[-1]}"
