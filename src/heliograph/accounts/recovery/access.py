"""Finding the login of a forgetful user, proving a phone number, setting a new password; and the account that the
server itself sends from.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func, or_, select

from heliograph import audit, phone
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount, Principal
from heliograph.accounts.vault import Vault
from heliograph.db.engine import Tx
from heliograph.db.tables import subaccounts, users

HOUSE = "*house*"
"""Username of the account that the server sends its own messages from; nobody can register this name or log in to it.
"""


def house(tx: Tx, vault: Vault, asker: Principal, country: str) -> Principal:
    """The principal that the server's own messages to a country are sent as. Not `asker`: its history must not show
    them.
    """
    if account.find(tx, HOUSE) is None:
        account.touch(tx)  # locks a row until the commit: another process that does the same has to wait
        if account.find(tx, HOUSE) is None:
            # The account is never charged, but its currency must be one that the rates have.
            new = NewAccount(username=HOUSE, email="", phone="", currency=asker.currency, webhook_secret="")
            account.create(tx, vault, new)
    row = account.find(tx, HOUSE)
    found = account.by_user(tx, row["user_id"]) if row else None
    assert found is not None
    return msgspec.structs.replace(found, country=country)


def named(tx: Tx, email: str, number: str) -> Sequence[Mapping[str, Any]]:
    """Rows of (user_id, email, api_username, ...) whose email (in any case) or phone number this is.

    A number without a country code is read as one of the account's country.
    """
    numbers = _meant(number)
    same = []
    if email:
        same.append(func.lower(subaccounts.c.email) == email.lower())
    if numbers:
        same.append(subaccounts.c.phone_number.in_(numbers))
    if not same:
        return []
    columns = (subaccounts.c.user_id, subaccounts.c.email, subaccounts.c.api_username, subaccounts.c.phone_number)
    wanted = select(*columns, users.c.country).join_from(subaccounts, users, users.c.user_id == subaccounts.c.user_id)
    found = wanted.where(or_(*same), subaccounts.c.deleted_at.is_(None)).order_by(subaccounts.c.subaccount_id)
    return [
        row
        for row in tx.rows(found)
        if (email and row["email"].lower() == email.lower()) or row["country"] in numbers.get(row["phone_number"], ())
    ]


def _meant(number: str) -> Mapping[str, Collection[str]]:
    """The E.164 numbers that a text can mean, each with the countries (of accounts) where it does."""
    whole = phone.parse(number)
    if whole is not None:
        return {whole.number: phone.COUNTRIES}
    found: dict[str, set[str]] = {}
    for country in phone.COUNTRIES if number else ():
        parsed = phone.parse(number, country)
        if parsed is not None:
            found.setdefault(parsed.number, set()).add(country)
    return found


class Login(msgspec.Struct, frozen=True):
    """What a name and a password log in as: a user, by its main subaccount, or a subaccount with a password of its own.

    `email` is where a key for a new password goes.
    """

    user_id: int
    subaccount_id: int
    is_main: bool
    name: str
    email: str


def login(tx: Tx, username: str) -> Login | None:
    """The login with this name, in any case; None: there is none."""
    name = username.lower()
    return _login(tx, (users.c.username == name) & (subaccounts.c.is_main == 1)) or _login(
        tx, (subaccounts.c.api_username == name) & (subaccounts.c.is_main == 0)
    )


def login_of(tx: Tx, subaccount_id: int) -> Login | None:
    """The login of a subaccount; None: there is none with this id."""
    return _login(tx, subaccounts.c.subaccount_id == subaccount_id)


def _login(tx: Tx, condition: ColumnElement[bool]) -> Login | None:
    row = tx.row(
        select(subaccounts, users.c.username, users.c.email.label("user_email"))
        .join_from(subaccounts, users, users.c.user_id == subaccounts.c.user_id)
        .where(condition, subaccounts.c.deleted_at.is_(None))
    )
    if row is None:
        return None
    main = bool(row["is_main"])
    name, email = (row["username"], row["user_email"]) if main else (row["api_username"], row["email"])
    return Login(row["user_id"], row["subaccount_id"], main, name, email)


def prove_phone(tx: Tx, user_id: int, actor: str, number: str) -> None:
    """Write a proved number (E.164) into an account and activate it."""
    tx.execute(users.update().where(users.c.user_id == user_id).values(phone=number, active=1))
    main = (subaccounts.c.user_id == user_id) & (subaccounts.c.is_main == 1)
    tx.execute(subaccounts.update().where(main).values(phone_number=number))
    account.touch(tx)
    audit.record(tx, user_id, actor, "phone.verified", number)


def set_password(tx: Tx, who: Login, actor: str, hashed: str) -> None:
    """Give a user or a subaccount another password (its argon2 hash); logins with the old one end at once."""
    if who.is_main:
        tx.execute(users.update().where(users.c.user_id == who.user_id).values(password_hash=hashed))
    else:
        mine = subaccounts.c.subaccount_id == who.subaccount_id
        tx.execute(subaccounts.update().where(mine).values(password_hash=hashed))
    account.touch(tx)
    audit.record(tx, who.user_id, actor, "password.changed", who.name)
