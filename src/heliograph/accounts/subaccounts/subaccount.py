"""Subaccounts of a user: what they may do, their keys, and who may change whom.

A user's main subaccount may do everything. Another one that manages subaccounts sees only those whose flags it has
itself, and cannot give a flag that it lacks: so it cannot gain permissions through a subaccount.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select

from heliograph import audit
from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault, new_key
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS, subaccounts, users
from heliograph.errors import BadRequest, Forbidden, NotFound

NO_RECORD = "Subaccount record not found."
COLUMNS = {
    name: subaccounts.c[name]
    for name in (
        "subaccount_id",
        "api_username",
        "email",
        "phone_number",
        "first_name",
        "last_name",
        *(f"access_{flag}" for flag in ACCESS_FLAGS),
        "share_campaigns",
        "notes",
    )
}
"""What subaccounts can be searched and sorted by."""


def visible(who: Principal) -> Select[Any]:
    """The subaccounts that `who` may manage."""
    found = select(subaccounts).where(subaccounts.c.user_id == who.user_id, subaccounts.c.deleted_at.is_(None))
    if who.is_main:
        return found
    lacking = [subaccounts.c[f"access_{flag}"] == 0 for flag in ACCESS_FLAGS if flag not in who.access]
    return found.where(subaccounts.c.is_main == 0, *lacking)


def find(tx: Tx, who: Principal, subaccount_id: int) -> Mapping[str, Any]:
    """A subaccount that `who` may manage. Raises NotFound."""
    row = tx.row(visible(who).where(subaccounts.c.subaccount_id == subaccount_id))
    if row is None:
        raise NotFound(NO_RECORD)
    return row


def create(tx: Tx, vault: Vault, who: Principal, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add a subaccount with a new key; a flag that `values` leaves out is that of `who`. Its row.

    Raises BadRequest: the name is taken; Forbidden: a flag that `who` lacks.
    """
    _check_flags(who, values)
    name = _free(tx, values["api_username"])
    key = new_key()
    flags = {f"access_{flag}": int(flag in who.access) for flag in ACCESS_FLAGS}
    whole = {
        "share_campaigns": 0,
        **flags,
        **values,
        "user_id": who.user_id,
        "is_main": 0,
        "api_username": name,
        "key_hash": vault.key_hash(name, key),
        "key_sealed": vault.seal(key),
        "created_at": tx.now,
    }
    made = tx.scalar(subaccounts.insert().values(whole).returning(subaccounts.c.subaccount_id))
    _note(tx, who, "created", name, whole)
    return find(tx, who, made)


def update(tx: Tx, vault: Vault, who: Principal, subaccount_id: int, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Change what `values` names; the row after it. Raises as `create`, and NotFound.

    The flags of a main subaccount never change, and its password is that of the user.
    """
    before = find(tx, who, subaccount_id)
    _check_flags(who, values)
    changed = {**values, **_renamed(tx, vault, before, values.get("api_username", before["api_username"]))}
    if before["is_main"]:
        changed = {name: value for name, value in changed.items() if not name.startswith("access_")}
        password = changed.pop("password_hash", None)
        if password is not None:
            tx.execute(users.update().where(users.c.user_id == who.user_id).values(password_hash=password))
    tx.execute(subaccounts.update().where(subaccounts.c.subaccount_id == subaccount_id).values(changed))
    account.touch(tx)
    _note(tx, who, "changed", before["api_username"], changed)
    return find(tx, who, subaccount_id)


def _renamed(tx: Tx, vault: Vault, before: Mapping[str, Any], given: str) -> dict[str, Any]:
    """Columns that change with a name: the key stays, but its hash contains the name. A replaced key stops working."""
    if given.lower() == before["api_username"]:
        return {"api_username": before["api_username"]}
    name = _free(tx, given, before["user_id"] if before["is_main"] else 0)
    hashed = vault.key_hash(name, vault.unseal(before["key_sealed"]))
    return {"api_username": name, "key_hash": hashed, "old_key_hash": None, "old_key_until": None}


def delete(tx: Tx, who: Principal, subaccount_id: int) -> None:
    """Delete a subaccount: its key and password stop working at once, its messages stay. Raises NotFound, Forbidden."""
    row = find(tx, who, subaccount_id)
    if row["is_main"]:
        raise Forbidden("The main subaccount of an account cannot be deleted.")
    tx.execute(
        subaccounts.update()
        .where(subaccounts.c.subaccount_id == subaccount_id)
        .values(
            deleted_at=tx.now,
            key_hash=f"deleted {subaccount_id}",
            key_sealed="",
            password_hash=None,
            old_key_hash=None,
            old_key_until=None,
        )
    )
    account.touch(tx)
    _note(tx, who, "deleted", row["api_username"], {})


def new_api_key(tx: Tx, vault: Vault, who: Principal, subaccount_id: int, overlap: int) -> str:
    """Give a subaccount a new key. The old one works for `overlap` seconds more (0: not at all). Raises NotFound."""
    row = find(tx, who, subaccount_id)
    key = new_key()
    tx.execute(
        subaccounts.update()
        .where(subaccounts.c.subaccount_id == subaccount_id)
        .values(
            key_hash=vault.key_hash(row["api_username"], key),
            key_sealed=vault.seal(key),
            old_key_hash=row["key_hash"] if overlap else None,
            old_key_until=tx.now + overlap if overlap else None,
        )
    )
    account.touch(tx)
    _note(tx, who, "new_key", row["api_username"], {})
    return key


def _note(tx: Tx, who: Principal, what: str, name: str, values: Mapping[str, Any]) -> None:
    """A line of the audit log: the name, whether there is a new password, where a key for one goes, and the flags."""
    flags = [f"{key}={values[key]}" for key in sorted(values) if key.startswith("access_") or key == "email"]
    password = ["password"] if values.get("password_hash") else []
    audit.record(tx, who.user_id, who.api_username, f"subaccount.{what}", ", ".join([name, *password, *flags]))


def _check_flags(who: Principal, values: Mapping[str, Any]) -> None:
    if any(values.get(f"access_{flag}") and flag not in who.access for flag in ACCESS_FLAGS):
        raise Forbidden("A subaccount can give only the permissions that it has itself.")


def _free(tx: Tx, given: str, but: int = 0) -> str:
    name = given.lower()
    if account.taken(tx, name, but):
        raise BadRequest({"api_username": "Api username has already been taken."})
    return name
