"""HTTP shapes of the account section: registration, the account's view of itself, its usage (endpoints 1 to 3)."""

import asyncio
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heliograph import audit, phone
from heliograph.accounts import account, preferences
from heliograph.accounts.account import NewAccount
from heliograph.accounts.referrals import referral
from heliograph.accounts.vault import Vault, hash_password
from heliograph.billing import commission, currencies, ledger, prices, tariff, usage
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.errors import BadRequest, Forbidden
from heliograph.http.request import Reply, Request
from heliograph.queue import mail
from heliograph.webhooks.signature import new_secret

NAME = re.compile(r"[\w.@+-]{2,100}")
CHANNELS = ("sms", "mms", "voice", "fax", "post", "email")
"""The channels of a usage report. Their names are those of `messages.channel`."""


class Registration(msgspec.Struct):
    """Body of POST /account. `referrer`, an addition to the contract, is the username of who referred the account."""

    username: str
    password: str
    user_phone: str
    user_email: str
    user_first_name: str
    user_last_name: str
    account_name: str
    country: str
    referrer: str | None = None


async def register(req: Request) -> Reply:
    """1. Create an account with trial credit."""
    given = req.decode(Registration)
    settings, vault = req.services.settings, req.services.vault
    trial = prices.micros(settings.trial_credit)
    new = await new_account(given, active=settings.new_accounts == "active", credit_micros=trial)

    def registered(tx: Tx) -> Reply:
        user_id = account.create(tx, vault, new)
        if given.referrer:
            referral.add(tx, given.referrer, user_id, settings.referral_percent)
        made = account.by_user(tx, user_id)
        assert made is not None
        audit.record(tx, user_id, made.api_username, "account.registered", new.email)
        return Reply(profile(tx, vault, user_id, made.subaccount_id))

    return await req.services.database.write(registered)


async def new_account(given: Registration, **more: Any) -> NewAccount:
    """The account that a registration asks for, with `more` about it. Raises BadRequest."""
    country = given.country.strip().upper()
    number = phone.parse(given.user_phone, country)
    faults = {
        "username": not NAME.fullmatch(given.username) and "Username must have 2 to 100 letters, digits or . @ + - _.",
        "password": faulty_password(given.password),
        "user_email": not mail.is_address(given.user_email) and "User email must be an email address.",
        "user_phone": number is None and "User phone must be a valid phone number.",
        "country": not re.fullmatch("[A-Z]{2}", country) and "Country must be a two-letter ISO 3166 code.",
    }
    found = {name: text for name, text in faults.items() if text}
    if found or number is None:
        raise BadRequest(found)
    return NewAccount(
        username=given.username,
        email=given.user_email,
        phone=number.number,
        first_name=given.user_first_name,
        last_name=given.user_last_name,
        account_name=given.account_name,
        country=country,
        password_hash=await asyncio.to_thread(hash_password, given.password),
        webhook_secret=new_secret(),
        **more,
    )


def faulty_password(password: str) -> str:
    """What is wrong with a password, or nothing."""
    return "" if 4 <= len(password) <= 1000 else "Password must have 4 to 1000 characters."


def view(req: Request) -> Reply:
    """2. The account of whoever asks."""
    data = profile(req.tx, req.services.vault, req.who.user_id, req.who.subaccount_id)
    data |= {
        "private_uploads": 0,
        "fax_quality": 0,
        "setting_sms_hide_your_number": 0,
        "setting_sms_hide_business_name": 0,
    }
    return Reply(data)


def change(req: Request) -> Reply:
    """Change the account; the answer is that of 2. An addition to the contract (facts J10)."""
    given = req.decode(preferences.Changes)
    if preferences.personal(given) and not req.who.is_main:
        raise Forbidden
    preferences.change(req.tx, req.who.user_id, req.who.api_username, given)
    return view(req)


def view_usage(req: Request) -> Reply:
    """3. What each subaccount sent in a month of UTC, and what it cost; without year and month, in this month."""
    today = datetime.datetime.fromtimestamp(req.tx.now, datetime.UTC)
    year = _in_range(req, "year", 1970, 9998, today.year)
    month = _in_range(req, "month", 1, 12, today.month)
    start = datetime.datetime(year, month, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=datetime.UTC)
    rows = usage.by_subaccount(req.tx, req.who.user_id, CHANNELS, int(start.timestamp()), int(end.timestamp()))
    data: dict[str, Any] = {"_currency": currencies.describe(req.who.currency)}
    for channel in CHANNELS:
        data |= _channel_usage(channel, [row for row in rows if row["channel"] == channel])
    return Reply(data)


def _in_range(req: Request, name: str, least: int, most: int, default: int) -> int:
    """A whole number out of the path. Raises BadRequest."""
    text = req.params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not least <= int(text) <= most:
        raise BadRequest({name: f"{name.capitalize()} must be a number from {least} to {most}."})
    return int(text)


def _channel_usage(channel: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    count = sum(int(row["sent"]) for row in rows)
    micros = sum(int(row["micros"]) for row in rows)
    entries = [
        {
            "subaccount_id": row["subaccount_id"],
            "username": row["api_username"] or "",
            "total_count": _count(channel, int(row["sent"])),
            "total_price": prices.fixed(int(row["micros"]), 4),
        }
        for row in rows
    ]
    return {channel: entries, f"{channel}_total": {"count": count, "price": prices.fixed(micros, 4)}}


def _count(channel: str, sent: int) -> int | str:
    """A count in the form that the document's example has for the channel."""
    if channel == "email":
        return sent
    return str(sent) if channel == "post" else f"{sent}.00"


def profile(tx: Tx, vault: Vault, user_id: int, subaccount_id: int) -> dict[str, Any]:
    """An account as its owner sees it, through one of its subaccounts."""
    user, sub = account.profile(tx, user_id, subaccount_id)
    return {
        "user_id": user["user_id"],
        "username": user["username"],
        "user_email": user["email"],
        "active": user["active"],
        "banned": user["banned"],
        "balance": prices.fixed(ledger.balance(tx, user_id), 6),
        "user_phone": user["phone"],
        "reply_to": user["reply_to"],
        "delivery_to": user["delivery_to"],
        "user_first_name": user["first_name"],
        "user_last_name": user["last_name"],
        "account": 0,
        "account_name": user["account_name"],
        "account_billing_email": user["email"],
        "account_billing_mobile": user["phone"],
        "country": user["country"],
        "default_country_sms": user["default_country_sms"],
        "auto_recharge": user["auto_recharge"],
        "auto_recharge_amount": prices.fixed(user["auto_recharge_micros"], 2),
        "low_credit_amount": prices.fixed(user["low_credit_micros"], 2),
        "setting_unicode_sms": user["setting_unicode_sms"],
        "setting_email_sms_subject": user["setting_email_sms_subject"],
        "setting_fix_sender_id": user["setting_fix_sender_id"],
        "setting_sms_message_char_limit": user["char_limit"],
        "old_dashboard": 0,
        "balance_commission": prices.fixed(commission.total(tx, user_id, user["currency"], tariff.rates_of(tx)), 6),
        "timezone": user["timezone"],
        "_currency": currencies.describe(user["currency"]),
        "_subaccount": subaccount(vault, sub),
    }


def subaccount(vault: Vault, sub: Mapping[str, Any]) -> dict[str, Any]:
    """A subaccount as the contract shows it, with its key."""
    return {
        "subaccount_id": sub["subaccount_id"],
        "api_username": sub["api_username"],
        "email": sub["email"],
        "phone_number": sub["phone_number"],
        "first_name": sub["first_name"],
        "last_name": sub["last_name"],
        "api_key": vault.unseal(sub["key_sealed"]),
        **{f"access_{flag}": sub[f"access_{flag}"] for flag in ACCESS_FLAGS},
        "share_campaigns": sub["share_campaigns"],
        "notes": sub["notes"],
    }
