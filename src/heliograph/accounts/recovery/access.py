"""Getting into an account: whose it is, a proved phone number, a new password. And the account of the house itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, or_, select

from heliograph import audit
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount, Principal
from heliograph.accounts.vault import Vault
from heliograph.db.engine import Tx
from heliograph.db.tables import subaccounts, users

HOUSE = "*house*"
"""Username of the account that the house sends its own messages from; nobody can register this name or log in to it."""


def house(tx: Tx, vault: Vault, asker: Principal, country: str) -> Principal:
    """The house as a sender of messages to a country, in place of `asker`, in whose history they must not stand."""
    if account.find(tx, HOUSE) is None:
        account.touch(tx)  # its row is locked until the commit: another process that does the same has to wait
        if account.find(tx, HOUSE) is None:
            # Its currency is never charged, but must be one that the rates have.
            new = NewAccount(username=HOUSE, email="", phone="", currency=asker.currency, webhook_secret="")
            account.create(tx, vault, new)
    row = account.find(tx, HOUSE)
    found = account.by_user(tx, row["user_id"]) if row else None
    assert found is not None
    return msgspec.structs.replace(found, country=country)


def named(tx: Tx, email: str, phone: str) -> Sequence[Mapping[str, Any]]:
    """Rows of (user_id, email, api_username) whose email (in any case) or phone number (E.164) this is."""
    same = []
    if email:
        same.append(func.lower(subaccounts.c.email) == email.lower())
    if phone:
        same.append(subaccounts.c.phone_number == phone)
    if not same:
        return []
    wanted = select(subaccounts.c.user_id, subaccounts.c.email, subaccounts.c.api_username).where(or_(*same))
    return tx.rows(wanted.order_by(subaccounts.c.subaccount_id))


def owner_of(tx: Tx, subaccount_id: int) -> Mapping[str, Any] | None:
    """The user whose main subaccount this is: only users have passwords."""
    wanted = select(users).join_from(users, subaccounts, users.c.user_id == subaccounts.c.user_id)
    return tx.row(wanted.where(subaccounts.c.subaccount_id == subaccount_id, subaccounts.c.is_main == 1))


def prove_phone(tx: Tx, user_id: int, actor: str, number: str) -> None:
    """Write a proved number (E.164) into an account and activate it."""
    tx.execute(users.update().where(users.c.user_id == user_id).values(phone=number, active=1))
    main = (subaccounts.c.user_id == user_id) & (subaccounts.c.is_main == 1)
    tx.execute(subaccounts.update().where(main).values(phone_number=number))
    account.touch(tx)
    audit.record(tx, user_id, actor, "phone.verified", number)


def set_password(tx: Tx, user_id: int, actor: str, hashed: str) -> None:
    """Give a user another password (its argon2 hash); logins with the old one end at once."""
    tx.execute(users.update().where(users.c.user_id == user_id).values(password_hash=hashed))
    account.touch(tx)
    audit.record(tx, user_id, actor, "password.changed")
