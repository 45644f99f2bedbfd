"""Secrets sent to users, to prove a phone number or to set a new password: hashed, short-lived, good for one use."""

import hmac
import secrets
from typing import Any

from sqlalchemy import ColumnElement, func, select

from heliograph.accounts.vault import Vault, new_key
from heliograph.clock import DAY, HOUR
from heliograph.db.engine import Tx
from heliograph.db.tables import tokens
from heliograph.limited import Bites
from heliograph.settings import Settings

_bites = Bites("house.sent_enough_today")
PHONE, PASSWORD, USERNAME = "phone", "password", "username"
"""Purposes of messages to users. A reminder of the username holds no secret, but is limited like the others."""

LIFE = {PHONE: 600, PASSWORD: 1800, USERNAME: 0}
"""Seconds that a secret can be used; none is longer than WINDOW."""

MOST_TRIES = 5
"""Tries at a code of six digits. The key of a new password has 122 random bits and needs no such limit."""

MOST_ISSUED, WINDOW = 5, HOUR
"""Messages for one purpose to one user (new passwords: to one subaccount), and codes to one phone number, within this
many seconds."""


def issue(tx: Tx, vault: Vault, user_id: int, purpose: str, settings: Settings, target: str = "") -> str | None:
    """A new secret; None when enough have been sent, to this user, to this number, or by the whole house.

    `target` is the phone number to prove, or the id of the subaccount that gets a new password. A new code takes the
    place of the one before. Keys stay good beside each other: a stranger who asks for new ones must not be able to
    invalidate the owner's.
    """
    tx.execute(tokens.delete().where(tokens.c.created_at <= tx.now - DAY))
    if _enough(tx, user_id, purpose, settings, target):
        return None
    if purpose == PHONE:
        _void(tx, user_id, purpose)
    secret = str(100_000 + secrets.randbelow(900_000)) if purpose == PHONE else new_key()
    tx.execute(
        tokens.insert().values(
            user_id=user_id,
            purpose=purpose,
            target=target,
            hash="" if purpose == USERNAME else _hash(vault, user_id, purpose, secret),
            tries=0,
            expires_at=tx.now + LIFE[purpose],
            created_at=tx.now,
        )
    )
    return secret


def _enough(tx: Tx, user_id: int, purpose: str, settings: Settings, target: str) -> bool:
    recent = tokens.c.created_at > tx.now - WINDOW
    mine = _of(user_id, purpose, target if purpose == PASSWORD else None)
    if _count(tx, mine & recent) >= MOST_ISSUED:
        return True
    if purpose != PHONE:
        mails = _count(tx, tokens.c.purpose.in_((USERNAME, PASSWORD)))
        return mails >= settings.reminders_per_day and _bitten("reminders", mails)
    to_number = (tokens.c.purpose == PHONE) & (tokens.c.target == target)
    if _count(tx, to_number & recent) >= MOST_ISSUED or _count(tx, to_number) >= settings.codes_per_number:
        return True
    codes = _count(tx, tokens.c.purpose == PHONE)
    return codes >= settings.codes_per_day and _bitten("codes", codes)


def _bitten(what: str, sent: int) -> bool:
    _bites.bite(what=what, sent=sent)
    return True


def use_code(tx: Tx, vault: Vault, user_id: int, code: str) -> str | None:
    """Try a code: the phone number that it proves, and the code is used up; None for a wrong or old one.

    Every try counts, so the caller has to let this transaction commit whatever the outcome.
    """
    tried = (
        tokens.update()
        .where(_live(tx, user_id, PHONE), tokens.c.tries < MOST_TRIES)
        .values(tries=tokens.c.tries + 1)
        .returning(tokens.c.hash, tokens.c.target)
    )
    row = tx.row(tried)
    if row is None or not hmac.compare_digest(row["hash"], _hash(vault, user_id, PHONE, code)):
        return None
    _void(tx, user_id, PHONE)
    return str(row["target"])


def holds(tx: Tx, vault: Vault, user_id: int, subaccount_id: int, key: str) -> bool:
    """Whether this key may set a new password of the subaccount."""
    return _count(tx, _key(tx, vault, user_id, subaccount_id, key)) > 0


def use_key(tx: Tx, vault: Vault, user_id: int, subaccount_id: int, key: str) -> bool:
    """Use a key up, and with it all others of the subaccount; whether it was good."""
    right = _key(tx, vault, user_id, subaccount_id, key)
    if not tx.execute(tokens.update().where(right).values(hash="")).rowcount:
        return False
    _void(tx, user_id, PASSWORD, str(subaccount_id))
    return True


def _key(tx: Tx, vault: Vault, user_id: int, subaccount_id: int, key: str) -> ColumnElement[bool]:
    hashed = tokens.c.hash == _hash(vault, user_id, PASSWORD, key)
    return _live(tx, user_id, PASSWORD) & (tokens.c.target == str(subaccount_id)) & hashed


def _hash(vault: Vault, user_id: int, purpose: str, secret: str) -> str:
    return vault.key_hash(f"{purpose} of {user_id}", secret)


def _of(user_id: int, purpose: str, target: str | None = None) -> ColumnElement[bool]:
    mine = (tokens.c.user_id == user_id) & (tokens.c.purpose == purpose)
    return mine if target is None else mine & (tokens.c.target == target)


def _live(tx: Tx, user_id: int, purpose: str) -> ColumnElement[bool]:
    return _of(user_id, purpose) & (tokens.c.hash != "") & (tokens.c.expires_at > tx.now)


def _count(tx: Tx, condition: ColumnElement[bool]) -> int:
    found: Any = tx.scalar(select(func.count()).select_from(tokens).where(condition))
    return int(found)


def _void(tx: Tx, user_id: int, purpose: str, target: str | None = None) -> None:
    tx.execute(tokens.update().where(_of(user_id, purpose, target)).values(hash=""))
