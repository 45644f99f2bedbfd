"""Users, their main subaccounts, and the principal of a request: the subaccount that its credentials prove."""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from heliograph.accounts.vault import Vault, new_key
from heliograph.billing import currencies, ledger, tariff
from heliograph.billing.commission import Terms
from heliograph.db import epochs
from heliograph.db.engine import Tx
from heliograph.db.tables import (
    ACCESS_FLAGS,
    balances,
    clients,
    contact_lists,
    owned_numbers,
    referrals,
    resellers,
    rules,
    subaccounts,
    user_countries,
    users,
)
from heliograph.errors import BadRequest, Unauthorized

TEST_KEY = "D83DED51-9E35-4D42-9BB9-0E34B7CA85AE"
"""Key of the test users nocredit, notactive and banned. Source: api-v3, "Test Credentials"."""


TAKEN = {"username": "Username has already been taken."}


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes a request: a subaccount of a user, with what accepting a message needs to know of them.

    `throttle_seconds` None: the server's setting. `countries` None: the user has selected none. `expires` is the Unix
    time until which a replaced key still works, when the request came with one. `numbers` are the user's own.
    `origins`, in small letters, are those whose pages may read its answers. `shares_campaigns`: it sees those of the
    whole account, and not only its own.
    """

    user_id: int
    subaccount_id: int
    username: str
    api_username: str
    email: str
    country: str
    currency: str
    char_limit: int
    throttle_seconds: int | None
    countries: frozenset[str] | None
    active: bool
    banned: bool
    access: frozenset[str]
    epoch: int
    proof: str
    is_main: bool
    expires: int | None
    terms: Terms
    numbers: tuple[str, ...]
    strict_opt_out: bool = False
    origins: frozenset[str] = frozenset()
    unicode: bool = False
    shares_campaigns: bool = False


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
    access: tuple[str, ...] = ACCESS_FLAGS
    credit_micros: int = 0


def create(tx: Tx, vault: Vault, new: NewAccount) -> int:
    """Insert a user with its main subaccount and its first credit; the user_id.

    Raises BadRequest: the name is taken, in whatever case, or nothing is priced in the currency.
    """
    currency = new.currency or currencies.of_country(new.country)
    if currency not in tariff.rates_of(tx).currencies:
        raise BadRequest({"country": f"The rates have no prices in {currency}."})
    name = new.username.lower()
    if taken(tx, name):
        raise BadRequest(TAKEN)
    try:
        user_id = _add_user(tx, name, currency, new)
    except IntegrityError:  # another process has just taken the name
        raise BadRequest(TAKEN) from None
    _add_main_subaccount(tx, vault, user_id, new)
    _add_opt_out_list(tx, user_id)
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


def taken(tx: Tx, name: str, but: int = 0) -> bool:
    """Whether a user or a subaccount has this name (in lower case), or had it: the history still shows deleted ones.

    The names of the user `but` itself and of its main subaccount do not count.
    """
    user = select(users.c.user_id).where(users.c.username == name, users.c.user_id != but)
    sub = select(subaccounts.c.user_id).where(
        subaccounts.c.api_username == name, (subaccounts.c.user_id != but) | (subaccounts.c.is_main == 0)
    )
    return tx.scalar(user) is not None or tx.scalar(sub) is not None


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
            **{f"access_{flag}": int(flag in new.access) for flag in ACCESS_FLAGS},
        )
    )


def _add_opt_out_list(tx: Tx, user_id: int) -> None:
    """Add the Opt-Out List that every account has from the start, and the rule that moves a contact to it at STOP.
    Source: facts E, G8.
    """
    made = contact_lists.insert().values(
        user_id=user_id,
        list_name="Opt-Out List",
        list_email_id=secrets.token_hex(8).upper(),
        is_opt_out=1,
        contacts_count=0,
        next_place=1,
        imports_running=0,
        opting_out_until=0,
        created_at=tx.now,
    )
    key = tx.scalar(made.returning(contact_lists.c.list_id))
    tx.execute(
        rules.insert().values(
            user_id=user_id,
            family="sms-inbound",
            rule_name="Opt Out",
            match_type=0,
            dedicated_number="*",
            message_search_type=1,
            message_search_term="STOP",
            action="MOVE_CONTACT",
            action_address=str(key),
            enabled=1,
        )
    )


def set_strict_opt_out(tx: Tx, user_id: int, strict: bool) -> None:
    """Set whether numbers in the Opt-Out List get nothing at all from this account, or only nothing sent to lists
    (facts G10).
    """
    tx.execute(users.update().where(users.c.user_id == user_id).values(strict_opt_out=int(strict)))
    touch(tx)


def touch(tx: Tx) -> None:
    """Tell every process that cached credentials may be stale."""
    epochs.bump(tx, epochs.ACCESS)


def current(tx: Tx, principal: Principal) -> Principal:
    """The principal as it is now. Raises Unauthorized when its key or password has changed since it was cached."""
    if principal.expires is not None and principal.expires <= tx.now:
        raise Unauthorized
    if epochs.value(tx, epochs.ACCESS) == principal.epoch:
        return principal
    found = _find(tx, subaccounts.c.subaccount_id == principal.subaccount_id)
    fresh = found.proven(principal.proof, tx.now) if found else None
    if fresh is None:
        raise Unauthorized
    return fresh


def by_key(tx: Tx, vault: Vault, username: str, key: str) -> Principal | None:
    """The principal whose API username and API key these are; a replaced key counts until it expires."""
    proof = vault.key_hash(username, key)
    found = _find(tx, (subaccounts.c.key_hash == proof) | (subaccounts.c.old_key_hash == proof))
    return found.proven(proof, tx.now) if found else None


def with_password(tx: Tx, username: str) -> Principal | None:
    """The principal that logs in by this name, with the password's hash as `proof`: the caller has to verify it.

    That is the main subaccount of a user, or a subaccount with a password of its own.
    """
    name = username.lower()
    found = _find(tx, (users.c.username == name) & (subaccounts.c.is_main == 1))
    found = found or _find(tx, (subaccounts.c.api_username == name) & (subaccounts.c.is_main == 0))
    if found is None or found.password is None:
        return None
    return found.proven(found.password, tx.now)


def by_subaccount(tx: Tx, subaccount_id: int) -> Principal | None:
    """A subaccount that is not deleted, for logins that are not its own key or password (SMPP)."""
    found = _find(tx, subaccounts.c.subaccount_id == subaccount_id)
    return found.principal if found else None


def by_user(tx: Tx, user_id: int) -> Principal | None:
    """The main subaccount of a user, for messages that the server sends in its name (rules)."""
    found = _find(tx, (users.c.user_id == user_id) & (subaccounts.c.is_main == 1))
    return found.principal if found else None


_JOINED = (
    select(
        users.c.user_id,
        users.c.username,
        users.c.default_country_sms,
        users.c.currency,
        users.c.char_limit,
        users.c.throttle_seconds,
        users.c.active,
        users.c.banned,
        users.c.strict_opt_out,
        users.c.package_id,
        users.c.cors_origins,
        users.c.setting_unicode_sms,
        users.c.password_hash.label("user_password"),
        subaccounts,
        clients.c.reseller_id,
        resellers.c.margin_percent,
        referrals.c.user_id.label("referrer_id"),
        referrals.c.percentage,
        select(func.aggregate_strings(owned_numbers.c.number, " "))
        .where(owned_numbers.c.user_id == users.c.user_id)
        .scalar_subquery()
        .label("numbers"),
    )
    .join_from(users, subaccounts, users.c.user_id == subaccounts.c.user_id)
    .outerjoin(clients, clients.c.user_id == users.c.user_id)
    .outerjoin(resellers, resellers.c.user_id == clients.c.reseller_id)
    .outerjoin(referrals, referrals.c.referred_user_id == users.c.user_id)
)


class _Found(msgspec.Struct, frozen=True):
    """A principal (its `proof` is the key's hash) and the hashes of what else proves it."""

    principal: Principal
    password: str | None
    old_key: str | None
    old_key_until: int

    def proven(self, proof: str, now: int) -> Principal | None:
        """The principal, if `proof` (the hash of a key or of the password) is valid at `now`."""
        if proof == self.principal.proof:
            return self.principal
        if proof == self.password:
            return msgspec.structs.replace(self.principal, proof=proof)
        if proof == self.old_key and self.old_key_until > now:
            return msgspec.structs.replace(self.principal, proof=proof, expires=self.old_key_until)
        return None


def _find(tx: Tx, condition: Any) -> _Found | None:
    row = tx.row(_JOINED.where(condition, subaccounts.c.deleted_at.is_(None)))
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
        throttle_seconds=row["throttle_seconds"],
        countries=_countries(tx, row["user_id"]),
        active=bool(row["active"]),
        banned=bool(row["banned"]),
        access=frozenset(flag for flag in ACCESS_FLAGS if row[f"access_{flag}"]),
        epoch=epochs.value(tx, epochs.ACCESS),
        proof=row["key_hash"],
        is_main=bool(row["is_main"]),
        expires=None,
        terms=Terms(
            discount=tariff.rates_of(tx).discount(row["currency"], row["package_id"]),
            margin=row["margin_percent"] or 0,
            reseller_id=row["reseller_id"],
            percentage=row["percentage"] or 0,
            referrer_id=row["referrer_id"],
        ),
        numbers=tuple(sorted((row["numbers"] or "").split())),
        strict_opt_out=bool(row["strict_opt_out"]),
        origins=frozenset(row["cors_origins"].lower().split()),
        unicode=bool(row["setting_unicode_sms"]),
        shares_campaigns=bool(row["share_campaigns"]),
    )
    password = row["user_password"] if row["is_main"] else row["password_hash"]
    return _Found(made, password, row["old_key_hash"], row["old_key_until"] or 0)


def _countries(tx: Tx, user_id: int) -> frozenset[str] | None:
    found = tx.execute(select(user_countries.c.country).where(user_countries.c.user_id == user_id))
    return frozenset(found.scalars()) or None


def row(tx: Tx, user_id: int) -> Mapping[str, Any]:
    """The row of a user that exists."""
    found = tx.row(select(users).where(users.c.user_id == user_id))
    assert found is not None
    return found


def profile(tx: Tx, user_id: int, subaccount_id: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The rows of a user and of one of its subaccounts."""
    sub = tx.row(select(subaccounts).where(subaccounts.c.subaccount_id == subaccount_id))
    assert sub is not None
    return row(tx, user_id), sub


def find(tx: Tx, username: str) -> Mapping[str, Any] | None:
    """The row of a user by its name, in any case."""
    return tx.row(select(users).where(users.c.username == username.lower()))


def listing(tx: Tx) -> Sequence[Mapping[str, Any]]:
    """Every user with its balance (`micros`), in the order in which they were made."""
    joined = select(users, balances.c.micros).join_from(users, balances, users.c.user_id == balances.c.user_id)
    return tx.rows(joined.order_by(users.c.user_id))


def logins(tx: Tx, user_id: int) -> Sequence[Mapping[str, Any]]:
    """The rows of a user's subaccounts, the main one first."""
    mine = (subaccounts.c.user_id == user_id) & subaccounts.c.deleted_at.is_(None)
    return tx.rows(select(subaccounts).where(mine).order_by(subaccounts.c.is_main.desc(), subaccounts.c.subaccount_id))


def sealed_keys(tx: Tx) -> list[str]:
    """Sealed keys of the oldest and the newest subaccount: enough to tell whose vault it was; none without accounts."""
    ids = select(func.min(subaccounts.c.subaccount_id), func.max(subaccounts.c.subaccount_id))
    found = select(subaccounts.c.key_sealed).where(subaccounts.c.subaccount_id.in_(tx.execute(ids).one()))
    return [row["key_sealed"] for row in tx.rows(found)]


def login(tx: Tx, api_username: str) -> Mapping[str, Any] | None:
    """The row of a subaccount by its API username, in any case; None for none, and for one that was deleted."""
    is_it = (subaccounts.c.api_username == api_username.lower()) & subaccounts.c.deleted_at.is_(None)
    return tx.row(select(subaccounts).where(is_it))


def renew_webhook_secret(tx: Tx, user_id: int, secret: str) -> str:
    """Sign the account's events with another secret from now on; the secret."""
    tx.execute(users.update().where(users.c.user_id == user_id).values(webhook_secret=secret))
    return secret


ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/,]{1,255}", re.IGNORECASE)
"""An origin that an account can name (RFC 6454, 6.2)."""


def allowed_origin(tx: Tx, origin: str) -> bool:
    """Whether any account has named this origin, in any case. A preflight request has no credentials, so no more can be
    checked.
    """
    if not ORIGIN.fullmatch(origin):
        return False
    listed = select(users.c.cors_origins).where(
        users.c.cors_origins != "",
        func.lower(users.c.cors_origins).contains(origin.lower(), autoescape=True),
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
