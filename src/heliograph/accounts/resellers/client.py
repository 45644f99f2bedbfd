"""Clients of resellers: accounts of their own that a reseller makes, sees, changes and gives credit to."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Select, select

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.billing import ledger
from heliograph.billing.tariff import rates_of
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS, clients, resellers, subaccounts, users
from heliograph.errors import BadRequest, NotFound

NO_RECORD = "Client record not found."
COLUMNS = {
    "user_id": users.c.user_id,
    "username": users.c.username,
    "user_email": users.c.email,
    "user_phone": users.c.phone,
    "user_first_name": users.c.first_name,
    "user_last_name": users.c.last_name,
    "account_name": users.c.account_name,
    "country": users.c.country,
    "active": users.c.active,
    "banned": users.c.banned,
}
"""What clients can be searched and sorted by."""

MOST_MARGIN = 1000


def of(reseller_id: int) -> Select[Any]:
    """A reseller's clients, each with its main subaccount."""
    return (
        select(users.c.user_id, subaccounts.c.subaccount_id)
        .join_from(clients, users, users.c.user_id == clients.c.user_id)
        .join(subaccounts, (subaccounts.c.user_id == users.c.user_id) & (subaccounts.c.is_main == 1))
        .where(clients.c.reseller_id == reseller_id)
    )


def find(tx: Tx, reseller_id: int, user_id: int) -> Mapping[str, Any]:
    """A client of this reseller. Raises NotFound, for another reseller's clients too."""
    row = tx.row(of(reseller_id).where(users.c.user_id == user_id))
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def create(tx: Tx, vault: Vault, reseller_id: int, new: NewAccount) -> Mapping[str, Any]:
    """Make a client, which cannot be a reseller itself. Raises BadRequest: name taken."""
    flags = tuple(flag for flag in ACCESS_FLAGS if flag != "reseller")
    user_id = account.create(tx, vault, msgspec.structs.replace(new, access=flags))
    tx.execute(clients.insert().values(user_id=user_id, reseller_id=reseller_id))
    account.touch(tx)
    return find(tx, reseller_id, user_id)


def update(tx: Tx, reseller_id: int, user_id: int, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Change columns of a client. The currency stays what it was, whatever the country.

    Raises NotFound; BadRequest: the name is taken.
    """
    row = find(tx, reseller_id, user_id)
    if "username" in values and account.taken(tx, values["username"], user_id):
        raise BadRequest({"username": "Username has already been taken."})
    if values:
        tx.execute(users.update().where(users.c.user_id == user_id).values(**values))
        account.touch(tx)
    return row


def transfer(tx: Tx, reseller_id: int, user_id: int, micros: int, currency: str) -> None:
    """Move credit from a reseller to one of its clients, with an entry in both ledgers.

    `micros` are of `currency`. What the reseller pays is rounded up to a micro, what the client gets is rounded down.
    Raises NotFound, InsufficientCredit, RatesError when a currency cannot be converted.
    """
    find(tx, reseller_id, user_id)
    rates = rates_of(tx)
    paid = rates.convert(micros, currency, account.row(tx, reseller_id)["currency"], up=True)
    received = rates.convert(micros, currency, account.row(tx, user_id)["currency"])
    entries = [
        (reseller_id, -paid, "transfer", f"to client {user_id}"),
        (user_id, received, "transfer", f"from reseller {reseller_id}"),
    ]
    ledger.post_many(tx, ledger.lock(tx, [reseller_id, user_id]), entries)


def margin(tx: Tx, reseller_id: int) -> int:
    """What is added to the prices of a reseller's clients, in percent."""
    return int(tx.scalar(select(resellers.c.margin_percent).where(resellers.c.user_id == reseller_id)) or 0)


def set_margin(tx: Tx, reseller_id: int, percent: int) -> None:
    """Change the margin, 0 to MOST_MARGIN percent, for what is sent from now on."""
    tx.driver(
        "INSERT INTO resellers (user_id, margin_percent) VALUES (?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET margin_percent = excluded.margin_percent",
        [reseller_id, percent],
    )
    account.touch(tx)
