"""Users, their main subaccounts, and who a request comes from."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from heliograph.accounts.vault import Vault, new_key
from heliograph.billing import currencies, ledger, tariff
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS, epochs, subaccounts, users
from heliograph.errors import BadRequest, Unauthorized

TEST_KEY = "D83DED51-9E35-4D42-9BB9-0E34B7CA85AE"
"""Key of the test users nocredit, notactive and banned. Source: api-v3, "Test Credentials"."""


TAKEN = {"username": "Username has already been taken."}


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes a request: a subaccount of a user, with what accepting a message needs to know of them."""

    user_id: int
    subaccount_id: int
    username: str
    api_username: str
    email: str
    country: str
    currency: str
    char_limit: int
    active: bool
    banned: bool
    access: frozenset[str]
    epoch: int
    proof: str


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What makes an account; texts are checked by the caller. `api_key` None: a random one is made."""

    username: str
    email: str
    phone: str
    first_name: str = ""
    last_name: str = ""
    account_name: str = ""
    country: str = "AU"
    currency: str | None = None
    password_hash: str | None = None
    api_key: str | None = None
    webhook_secret: str
    active: bool = True
    banned: bool = False
    credit_micros: int = 0


def create(tx: Tx, vault: Vault, new: NewAccount) -> int:
    """Insert a user with its main subaccount and its first credit; the user_id.

    Raises BadRequest: the name is taken, in whatever case, or nothing is priced in the currency.
    """
    currency = new.currency or currencies.of_country(new.country)
    if currency not in tariff.rates_of(tx).currencies:
        raise BadRequest({"country": f"The rates have no prices in {currency}."})
    name = new.username.lower()
    taken = select(users.c.user_id).where(users.c.username == name)
    taken_sub = select(subaccounts.c.user_id).where(subaccounts.c.api_username == name)
    if tx.scalar(taken) is not None or tx.scalar(taken_sub) is not None:
        raise BadRequest(TAKEN)
    try:
        user_id = _add_user(tx, name, currency, new)
    except IntegrityError:  # another process has just given the name away
        raise BadRequest(TAKEN) from None
    _add_main_subaccount(tx, vault, user_id, new)
    ledger.open_balance(tx, user_id)
    if new.credit_micros:
        ledger.post(tx, user_id, new.credit_micros, "credit", "opening credit")
    touch(tx)
    return user_id


def _add_user(tx: Tx, name: str, currency: str, new: NewAccount) -> int:
    return int(
        tx.scalar(
            users.insert()
            .values(
                username=name,
                password_hash=new.password_hash,
                email=new.email,
                phone=new.phone,
                first_name=new.first_name,
                last_name=new.last_name,
                account_name=new.account_name,
                country=new.country,
                currency=currency,
                default_country_sms=new.country,
                timezone="UTC",
                reply_to="originalemail",
                active=int(new.active),
                banned=int(new.banned),
                auto_recharge=0,
                auto_recharge_micros=20_000_000,
                low_credit_micros=0,
                setting_unicode_sms=0,
                setting_email_sms_subject=0,
                setting_fix_sender_id=0,
                char_limit=8,
                cors_origins="",
                webhook_secret=new.webhook_secret,
                created_at=tx.now,
            )
            .returning(users.c.user_id)
        )
    )


def _add_main_subaccount(tx: Tx, vault: Vault, user_id: int, new: NewAccount) -> None:
    key = new.api_key or new_key()
    name = new.username.lower()
    tx.execute(
        subaccounts.insert().values(
            user_id=user_id,
            is_main=1,
            api_username=name,
            email=new.email,
            phone_number=new.phone,
            first_name=new.first_name,
            last_name=new.last_name,
            key_hash=vault.key_hash(name, key),
            key_sealed=vault.seal(key),
            share_campaigns=0,
            created_at=tx.now,
            **{f"access_{flag}": 1 for flag in ACCESS_FLAGS},
        )
    )


def touch(tx: Tx) -> None:
    """Tell every process that cached credentials may be stale."""
    moved = tx.execute(epochs.update().where(epochs.c.name == "access").values(value=epochs.c.value + 1))
    if moved.rowcount == 0:
        tx.execute(epochs.insert().values(name="access", value=1))
    tx.memo.pop("epoch:access", None)


def epoch(tx: Tx, name: str = "access") -> int:
    """The present value of an epoch, read once a transaction."""
    key = "epoch:" + name
    if key not in tx.memo:
        row = tx.driver("SELECT value FROM epochs WHERE name = ?", [name]).fetchone()
        tx.memo[key] = row[0] if row else 0
    return int(tx.memo[key])


def current(tx: Tx, principal: Principal) -> Principal:
    """The principal as it is now. Raises Unauthorized when its key or password has changed since it was cached."""
    if epoch(tx) == principal.epoch:
        return principal
    fresh = _principal(tx, subaccounts.c.subaccount_id == principal.subaccount_id)
    if fresh is None or principal.proof not in (fresh[0].proof, fresh[1]):
        raise Unauthorized
    return msgspec.structs.replace(fresh[0], proof=principal.proof)


def by_key(tx: Tx, vault: Vault, username: str, key: str) -> Principal | None:
    """The principal whose API username and API key these are."""
    found = _principal(tx, subaccounts.c.key_hash == vault.key_hash(username, key))
    return found[0] if found else None


def with_password(tx: Tx, username: str) -> Principal | None:
    """The main subaccount of a user, with the password's hash as `proof`: the caller has to verify it."""
    found = _principal(tx, (users.c.username == username.lower()) & (subaccounts.c.is_main == 1))
    if found is None or found[1] is None:
        return None
    return msgspec.structs.replace(found[0], proof=found[1])


def by_user(tx: Tx, user_id: int) -> Principal | None:
    """The main subaccount of a user, for what the house does in its name (rules)."""
    found = _principal(tx, (users.c.user_id == user_id) & (subaccounts.c.is_main == 1))
    return found[0] if found else None


_JOINED = select(
    users.c.user_id,
    users.c.username,
    users.c.default_country_sms,
    users.c.currency,
    users.c.char_limit,
    users.c.active,
    users.c.banned,
    users.c.password_hash,
    subaccounts,
).join_from(users, subaccounts, users.c.user_id == subaccounts.c.user_id)


def _principal(tx: Tx, condition: Any) -> tuple[Principal, str | None] | None:
    """The principal (its `proof` is the key's hash) and the password's hash."""
    row = tx.row(_JOINED.where(condition))
    if row is None:
        return None
    made = Principal(
        user_id=row["user_id"],
        subaccount_id=row["subaccount_id"],
        username=row["username"],
        api_username=row["api_username"],
        email=row["email"],
        country=row["default_country_sms"],
        currency=row["currency"],
        char_limit=row["char_limit"],
        active=bool(row["active"]),
        banned=bool(row["banned"]),
        access=frozenset(flag for flag in ACCESS_FLAGS if row[f"access_{flag}"]),
        epoch=epoch(tx),
        proof=row["key_hash"],
    )
    return made, row["password_hash"]


def profile(tx: Tx, user_id: int, subaccount_id: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The rows of a user and of one of its subaccounts."""
    user = tx.row(select(users).where(users.c.user_id == user_id))
    sub = tx.row(select(subaccounts).where(subaccounts.c.subaccount_id == subaccount_id))
    assert user is not None
    assert sub is not None
    return user, sub


def find(tx: Tx, username: str) -> Mapping[str, Any] | None:
    """The row of a user by its name, in any case."""
    return tx.row(select(users).where(users.c.username == username.lower()))


def renew_webhook_secret(tx: Tx, user_id: int, secret: str) -> str:
    """Sign the account's events with another secret from now on; the secret."""
    tx.execute(users.update().where(users.c.user_id == user_id).values(webhook_secret=secret))
    return secret


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/]{1,300}", re.IGNORECASE)


def allowed_origin(tx: Tx, origin: str) -> bool:
    """Whether some account has registered this CORS origin. Names are compared in any case (RFC 6454, 4)."""
    if not _ORIGIN.fullmatch(origin):
        return False
    listed = select(users.c.cors_origins).where(
        func.lower(users.c.cors_origins).contains(origin.lower(), autoescape=True)
    )
    return any(origin.lower() in text.lower().split() for (text,) in tx.execute(listed))


def seed_sandbox(tx: Tx, vault: Vault, demo: NewAccount) -> int:
    """The demo account and the documented test users, made once; the demo's user_id."""
    known = find(tx, demo.username)
    if known is not None:
        return int(known["user_id"])
    for name, active, banned in (("nocredit", True, False), ("notactive", False, False), ("banned", True, True)):
        create(
            tx,
            vault,
            NewAccount(
                username=name,
                email=f"{name}@example.com",
                phone="+61411111111",
                first_name="Test",
                last_name=name.title(),
                account_name="Test user",
                api_key=TEST_KEY,
                webhook_secret=demo.webhook_secret,
                active=active,
                banned=banned,
            ),
        )
    return create(tx, vault, demo)
