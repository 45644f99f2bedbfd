"""Addresses that an account may send mails from: each is verified by whoever reads what arrives there."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, select

from heliograph.db.engine import Row, Tx
from heliograph.db.tables import email_addresses

NO_RECORD = "Email address record not found."
COLUMNS = {
    "email_address_id": email_addresses.c.email_address_id,
    "email_address": email_addresses.c.email_address,
    "verified": email_addresses.c.verified,
    "date_added": email_addresses.c.created_at,
}


class Address(msgspec.Struct, frozen=True):
    """An address of an account, its domain in ASCII. Only from a verified one may mails come."""

    email_address_id: int
    user_id: int
    email_address: str
    verified: bool
    created_at: int


def of(user_id: int) -> Select[Any]:
    """The addresses of an account, to search and page through."""
    return select(email_addresses).where(email_addresses.c.user_id == user_id)


def own(tx: Tx, user_id: int, email_address_id: int) -> Address | None:
    """An address of this account; None: there is none, or it is another account's."""
    return read(tx, (email_addresses.c.user_id == user_id) & (email_addresses.c.email_address_id == email_address_id))


def read(tx: Tx, condition: ColumnElement[bool]) -> Address | None:
    row = tx.row(select(email_addresses).where(condition))
    return None if row is None else from_row(row)


def from_row(row: Row) -> Address:
    """What a row says."""
    names = ("email_address_id", "user_id", "email_address", "created_at")
    return Address(**{name: row[name] for name in names}, verified=bool(row["verified"]))
