"""Who may bind: system_ids with their passwords, networks and limits. Source: facts K1, K2; SMPP 3.4, 5.2.1 and 5.2.2.

A password is random and short (3.4 allows 8 characters), so it is kept as a keyed hash, like an API key: without the
master secret a copy of the table is of no use, and a bind costs no slow hash.
"""

import hmac
import ipaddress
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault
from heliograph.db import epochs
from heliograph.db.engine import Tx
from heliograph.db.tables import smpp_logins, subaccounts, users
from heliograph.errors import BadRequest, Forbidden, NotFound, Unauthorized

SYSTEM_ID = re.compile(r"[A-Za-z0-9._-]{1,15}", re.ASCII)
"""15 characters and a NUL (SMPP 3.4, 4.1.1)."""
LONGEST_PASSWORD = 8
_LETTERS = string.ascii_letters + string.digits
NEEDED = frozenset({"smpp", "sms"})
"""Permissions of the subaccount that an ESME sends for."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A system_id. `binds` at once, `window` unanswered submits of a bind, `rate` submits a second (0: any).

    `networks` are the addresses that it may bind from; none: any.
    """

    system_id: str
    user_id: int
    subaccount_id: int
    password_hash: str
    networks: tuple[str, ...] = ()
    binds: int = 2
    window: int = 10
    rate: float = 0.0

    def lets_in(self, address: str) -> bool:
        """Whether it may bind from an address."""
        if not self.networks:
            return True
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(mapped in ipaddress.ip_network(one) for one in self.networks)


def networks_of(text: str) -> tuple[str, ...]:
    """Networks out of a text that separates them by commas or blanks. Raises BadRequest."""
    found = []
    for one in re.split(r"[,\s]+", text.strip()) if text.strip() else ():
        try:
            found.append(str(ipaddress.ip_network(one)))
        except ValueError:
            raise BadRequest({"networks": f"{one!r} is no address or network."}) from None
    return tuple(found)


def add(tx: Tx, vault: Vault, login: Login, password: str = "") -> str:
    """Make a login (its `password_hash` is made here); its password, a random one unless it is given.

    Raises BadRequest: the name is taken or has not the right form.
    """
    name = login.system_id
    if not SYSTEM_ID.fullmatch(name):
        raise BadRequest({"system_id": "A system_id has 1 to 15 letters, digits, dots, hyphens or underscores."})
    if find(tx, name) is not None:
        raise BadRequest({"system_id": f"The system_id {name!r} is taken."})
    made = password or "".join(secrets.choice(_LETTERS) for _ in range(LONGEST_PASSWORD))
    values = msgspec.structs.asdict(login) | {
        "networks": " ".join(login.networks),
        "password_hash": vault.key_hash(_about(name), made),
        "created_at": tx.now,
    }
    tx.execute(smpp_logins.insert().values(values))
    return made


def remove(tx: Tx, system_id: str) -> Login:
    """End a login: its binds are closed, what waits for them is forgotten. Raises NotFound."""
    login = find(tx, system_id)
    if login is None:
        raise NotFound(f"There is no system_id {system_id!r}.")
    tx.execute(smpp_logins.delete().where(smpp_logins.c.system_id == system_id))
    tx.driver("DELETE FROM smpp_deliveries WHERE system_id = ?", [system_id])
    account.touch(tx)
    return login


def find(tx: Tx, system_id: str) -> Login | None:
    """The login of a system_id; capitals count."""
    row = tx.row(select(smpp_logins).where(smpp_logins.c.system_id == system_id))
    return None if row is None else _login(row)


def of_account(tx: Tx, user_id: int) -> list[str]:
    """The system_ids of an account."""
    sql = "SELECT system_id FROM smpp_logins WHERE user_id = ? ORDER BY system_id"
    return [row[0] for row in tx.driver(sql, [user_id]).fetchall()]


def listing(tx: Tx) -> Sequence[Mapping[str, Any]]:
    """All logins with the names of their subaccounts, and how many deliver_sm wait for each."""
    found = tx.rows(
        select(smpp_logins, users.c.username, subaccounts.c.api_username)
        .join(users, users.c.user_id == smpp_logins.c.user_id)
        .join(subaccounts, subaccounts.c.subaccount_id == smpp_logins.c.subaccount_id)
        .order_by(smpp_logins.c.system_id)
    )
    counts = tx.driver("SELECT system_id, count(*) FROM smpp_deliveries GROUP BY system_id").fetchall()
    waiting = dict(counts)
    return [{**row, "waiting": waiting.get(row["system_id"], 0)} for row in found]


def subaccount(tx: Tx, user_id: int, name: str | None) -> int:
    """The id of a user's subaccount by its API username, of the main one without a name. Raises NotFound."""
    mine = (subaccounts.c.user_id == user_id) & subaccounts.c.deleted_at.is_(None)
    chosen = subaccounts.c.is_main == 1 if name is None else subaccounts.c.api_username == name.lower()
    found = tx.scalar(select(subaccounts.c.subaccount_id).where(mine, chosen))
    if found is None:
        raise NotFound(f"The account has no subaccount {name!r}.")
    return int(found)


def proven(tx: Tx, vault: Vault, system_id: str, password: str, address: str) -> Login | None:
    """The login, if this is its password and it may bind from this address."""
    login = find(tx, system_id)
    proof = vault.key_hash(_about(system_id), password)
    if login is None or not hmac.compare_digest(proof, login.password_hash) or not login.lets_in(address):
        return None
    return login


def principal(tx: Tx, login: Login, before: Principal | None = None) -> Principal:
    """The subaccount that an ESME sends for, as it is now; `before` is what it was.

    Raises Unauthorized: the login or the subaccount is gone; Forbidden: it may not send.
    """
    if before is not None and before.epoch == epochs.value(tx, epochs.ACCESS):
        return before
    who = account.by_subaccount(tx, login.subaccount_id) if find(tx, login.system_id) == login else None
    if who is None:
        raise Unauthorized
    if who.banned or not who.active or not who.access >= NEEDED:
        raise Forbidden
    return who


def _about(system_id: str) -> str:
    """What a password's hash is about: no API username begins like this."""
    return f"smpp {system_id}"


def _login(row: Mapping[str, Any]) -> Login:
    values = {name: row[name] for name in Login.__struct_fields__}
    return Login(**values | {"networks": tuple(row["networks"].split())})
