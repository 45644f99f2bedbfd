"""Secrets sent to users, to prove a phone number or a sender address, or to set a new password: hashed, short-lived,
good for one use.
"""

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
PHONE, PASSWORD, USERNAME, ADDRESS = "phone", "password", "username", "address"
"""Purposes of messages to users. A reminder of the username holds no secret, but is limited like the others."""

LIFE = {PHONE: 600, PASSWORD: 1800, USERNAME: 0, ADDRESS: DAY}
"""Seconds that a secret can be used; rows stay for a day."""

MOST_TRIES = 5
"""Tries of an account at a code of six digits, or at the token of an address. Other secrets have 122 random bits and
need no such limit.
"""

MOST_ISSUED, WINDOW = {PHONE: 5, PASSWORD: 5, USERNAME: 5, ADDRESS: 3}, HOUR
"""Messages for one purpose to one user (new passwords: to one subaccount, tokens: to one address), and codes to one
phone number, within this many seconds.
"""

MOST_OF_ACCOUNT, MOST_TO_ADDRESS = 20, 10
"""Tokens for addresses that one account sends within a day, and that one address gets from all accounts together: any
account may name a stranger's.
"""


def issue(tx: Tx, vault: Vault, user_id: int, purpose: str, settings: Settings, target: str = "") -> str | None:
    """A new secret; None when enough have been sent, to this user, to this number, or by the whole house.

    `target` is the phone number or the address to prove, or the id of the subaccount that gets a new password. A new
    code or token takes the place of the one before. Keys stay good beside each other: a stranger who asks for new ones
    must not be able to invalidate the owner's.
    """
    tx.execute(tokens.delete().where(tokens.c.created_at <= tx.now - DAY))
    if _enough(tx, user_id, purpose, settings, target):
        return None
    if purpose in (PHONE, ADDRESS):
        _void(tx, user_id, purpose, target if purpose == ADDRESS else None)
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
    mine = _of(user_id, purpose, target if purpose in (PASSWORD, ADDRESS) else None)
    if _count(tx, mine & recent) >= MOST_ISSUED[purpose]:
        return True
    if purpose == ADDRESS:
        return _enough_addresses(tx, user_id, settings, target)
    if purpose != PHONE:
        mails = _count(tx, tokens.c.purpose.in_((USERNAME, PASSWORD)))
        return mails >= settings.reminders_per_day and _bitten("reminders", mails)
    to_number = (tokens.c.purpose == PHONE) & (tokens.c.target == target)
    if _count(tx, to_number & recent) >= MOST_ISSUED[PHONE] or _count(tx, to_number) >= settings.codes_per_number:
        return True
    codes = _count(tx, tokens.c.purpose == PHONE)
    return codes >= settings.codes_per_day and _bitten("codes", codes)


def _enough_addresses(tx: Tx, user_id: int, settings: Settings, target: str) -> bool:
    """The same of tokens for addresses: rows are kept for a day, which is what these limits count."""
    tokens_of = tokens.c.purpose == ADDRESS
    if _count(tx, tokens_of & (tokens.c.target == target)) >= MOST_TO_ADDRESS:
        return True
    if _count(tx, _of(user_id, ADDRESS)) >= MOST_OF_ACCOUNT:
        return True
    mails = _count(tx, tokens_of)
    return mails >= settings.verifications_per_day and _bitten("verifications", mails)


def _bitten(what: str, sent: int) -> bool:
    _bites.bite(what=what, sent=sent)
    return True


def use_code(tx: Tx, vault: Vault, user_id: int, code: str) -> str | None:
    """Try a code: the phone number that it proves, and the code is used up; None for a wrong or old one.

    Every try counts, so the caller has to let this transaction commit whatever the outcome.
    """
    return _tried(tx, vault, user_id, PHONE, None, code)


def use_token(tx: Tx, vault: Vault, user_id: int, address: str, token: str) -> bool:
    """Try the token of an address, as `use_code` tries a code; whether it was good."""
    return _tried(tx, vault, user_id, ADDRESS, address, token) is not None


def _tried(tx: Tx, vault: Vault, user_id: int, purpose: str, target: str | None, secret: str) -> str | None:
    tried = (
        tokens.update()
        .where(_live(tx, user_id, purpose, target), tokens.c.tries < MOST_TRIES)
        .values(tries=tokens.c.tries + 1)
        .returning(tokens.c.hash, tokens.c.target)
    )
    row = tx.row(tried)
    if row is None or not hmac.compare_digest(row["hash"], _hash(vault, user_id, purpose, secret)):
        return None
    _void(tx, user_id, purpose, target)
    return str(row["target"])


def holds_token(tx: Tx, vault: Vault, user_id: int, address: str, token: str) -> bool:
    """Whether this token proves the address. It counts as no try: ask for the holder of a link, who may be anybody."""
    right = _right(tx, vault, user_id, ADDRESS, address, token) & (tokens.c.tries < MOST_TRIES)
    return _count(tx, right) > 0


def void_tokens(tx: Tx, user_id: int, address: str) -> None:
    """Make the tokens of an address good for nothing."""
    _void(tx, user_id, ADDRESS, address)


def holds(tx: Tx, vault: Vault, user_id: int, subaccount_id: int, key: str) -> bool:
    """Whether this key may set a new password of the subaccount."""
    return _count(tx, _right(tx, vault, user_id, PASSWORD, str(subaccount_id), key)) > 0


def use_key(tx: Tx, vault: Vault, user_id: int, subaccount_id: int, key: str) -> bool:
    """Use a key up, and with it all others of the subaccount; whether it was good."""
    right = _right(tx, vault, user_id, PASSWORD, str(subaccount_id), key)
    if not tx.execute(tokens.update().where(right).values(hash="")).rowcount:
        return False
    _void(tx, user_id, PASSWORD, str(subaccount_id))
    return True


def _right(tx: Tx, vault: Vault, user_id: int, purpose: str, target: str, secret: str) -> ColumnElement[bool]:
    return _live(tx, user_id, purpose, target) & (tokens.c.hash == _hash(vault, user_id, purpose, secret))


def _hash(vault: Vault, user_id: int, purpose: str, secret: str) -> str:
    return vault.key_hash(f"{purpose} of {user_id}", secret)


def _of(user_id: int, purpose: str, target: str | None = None) -> ColumnElement[bool]:
    mine = (tokens.c.user_id == user_id) & (tokens.c.purpose == purpose)
    return mine if target is None else mine & (tokens.c.target == target)


def _live(tx: Tx, user_id: int, purpose: str, target: str | None = None) -> ColumnElement[bool]:
    return _of(user_id, purpose, target) & (tokens.c.hash != "") & (tokens.c.expires_at > tx.now)


def _count(tx: Tx, condition: ColumnElement[bool]) -> int:
    found: Any = tx.scalar(select(func.count()).select_from(tokens).where(condition))
    return int(found)


def _void(tx: Tx, user_id: int, purpose: str, target: str | None = None) -> None:
    tx.execute(tokens.update().where(_of(user_id, purpose, target)).values(hash=""))
