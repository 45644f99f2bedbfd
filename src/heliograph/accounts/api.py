"""HTTP shapes of the account section: registration and the account's view of itself (endpoints 1 and 2)."""

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from heliograph import phone
from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault, hash_password
from heliograph.billing import currencies, ledger, prices
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.errors import BadRequest
from heliograph.http import loose
from heliograph.http.fields import Country, Flag, Mail, PhoneNumber, about
from heliograph.http.request import Reply, Request
from heliograph.webhooks.signature import new_secret

NAME = re.compile(r"[\w.@+-]{2,100}")
LONGEST_NAME, SHORTEST_PASSWORD, LONGEST_PASSWORD = 200, 4, 200


class Registration(msgspec.Struct):
    """Body of POST /account."""

    username: Annotated[str, about("2 to 100 letters, digits or . @ + - _, in any case; nobody else's.", "jane")]
    password: Annotated[str, about("4 to 200 characters.", "a long sentence")]
    user_phone: Annotated[
        str, about("Phone number, in E.164 format or as it is written in the country.", "+61411111111")
    ]
    user_email: Mail
    user_first_name: str
    user_last_name: str
    account_name: Annotated[str, about("Name of the company.")]
    country: Annotated[str, about("ISO 3166 code of two letters; it decides on the currency.", "AU")]


class OwnSubaccount(msgspec.Struct, kw_only=True):
    """The subaccount whose credentials were used, in an account."""

    subaccount_id: int
    api_username: str
    email: Mail
    phone_number: PhoneNumber
    first_name: str
    last_name: str
    api_key: Annotated[str, about("The key in clear.", "D83DED51-9E35-4D42-9BB9-0E34B7CA85AE")]
    access_users: Flag
    access_billing: Flag
    access_reporting: Flag
    access_contacts: Flag
    access_settings: Flag
    access_sms: Flag
    access_email: Flag
    access_voice: Flag
    access_fax: Flag
    access_post: Flag
    access_reseller: Flag
    access_mms: Flag
    share_campaigns: Flag
    notes: str | None


class NewAccountAnswer(msgspec.Struct, kw_only=True):
    """`data` of a registration (1)."""

    user_id: int
    username: str
    user_email: Mail
    active: Flag
    banned: Flag
    balance: Annotated[str, about("Credit in units of the currency, six decimals.", "20.000000")]
    user_phone: PhoneNumber
    reply_to: Annotated[str, about("Where replies are mailed to by default.", "originalemail")]
    delivery_to: str | None
    user_first_name: str
    user_last_name: str
    account: Annotated[int, about("Always 0.", 0)]
    account_name: str
    account_billing_email: Mail
    account_billing_mobile: PhoneNumber
    country: Country
    default_country_sms: Annotated[
        Country, about("Whose national numbers are understood without a country code.", "AU")
    ]
    auto_recharge: Flag
    auto_recharge_amount: Annotated[str, about("In units of the currency, two decimals.", "20.00")]
    low_credit_amount: Annotated[str, about("In units of the currency, two decimals.", "0.00")]
    setting_unicode_sms: Flag
    setting_email_sms_subject: Flag
    setting_fix_sender_id: Flag
    setting_sms_message_char_limit: Annotated[int, about("Segments that an SMS may have.", 8)]
    old_dashboard: Annotated[int, about("Always 0.", 0)]
    balance_commission: Annotated[str, about("Earned by referrals, six decimals.", "0.000000")]
    timezone: Annotated[str, about("Name in the IANA database.", "UTC")]
    currency: currencies.Currency = msgspec.field(name="_currency")
    subaccount: OwnSubaccount = msgspec.field(name="_subaccount")


class AccountAnswer(NewAccountAnswer, kw_only=True):
    """`data` of the account (2): four keys more than at its registration."""

    private_uploads: Flag
    fax_quality: Annotated[int, about("Always 0.", 0)]
    setting_sms_hide_your_number: Flag
    setting_sms_hide_business_name: Flag


async def register(req: Request) -> Reply:
    """1. Create an account with trial credit."""
    given = req.decode(Registration)
    country = given.country.strip().upper()
    number = phone.parse(given.user_phone, country)
    faults = _faults(given, country)
    if number is None:
        faults["user_phone"] = "User phone must be a valid phone number."
    if faults or number is None:
        raise BadRequest(faults)
    new = NewAccount(
        username=given.username,
        email=given.user_email,
        phone=number.number,
        first_name=given.user_first_name,
        last_name=given.user_last_name,
        account_name=given.account_name,
        country=country,
        password_hash=await asyncio.to_thread(hash_password, given.password),
        webhook_secret=new_secret(),
        credit_micros=prices.micros(req.services.settings.trial_credit),
    )
    return await req.services.database.write(lambda tx: _registered(tx, req.services.vault, new))


def _faults(given: Registration, country: str) -> dict[str, str]:
    """What is wrong with a registration, apart from its phone number."""
    faults = {}
    for name in ("user_first_name", "user_last_name", "account_name"):
        if not 0 < len(getattr(given, name).strip()) <= LONGEST_NAME:
            faults[name] = f"{name.capitalize().replace('_', ' ')} must have 1 to {LONGEST_NAME} characters."
    if not NAME.fullmatch(given.username):
        faults["username"] = "Username must have 2 to 100 letters, digits or . @ + - _."
    if not SHORTEST_PASSWORD <= len(given.password) <= LONGEST_PASSWORD:
        faults["password"] = f"Password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."
    if not loose.is_mail(given.user_email):
        faults["user_email"] = "User email must be an email address."
    if country not in phone.COUNTRIES:
        faults["country"] = "Country must be a two-letter ISO 3166 code."
    return faults


def _registered(tx: Tx, vault: Vault, new: NewAccount) -> Reply:
    user_id = account.create(tx, vault, new)
    made = account.by_user(tx, user_id)
    assert made is not None
    return Reply(NewAccountAnswer(**_shape(tx, vault, user_id, made.subaccount_id)))


def view(req: Request) -> Reply:
    """2. View the account of whoever asks."""
    return Reply(
        AccountAnswer(
            **_shape(req.tx, req.services.vault, req.who.user_id, req.who.subaccount_id),
            private_uploads=0,
            fax_quality=0,
            setting_sms_hide_your_number=0,
            setting_sms_hide_business_name=0,
        )
    )


def _shape(tx: Tx, vault: Vault, user_id: int, subaccount_id: int) -> dict[str, Any]:
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
        "balance_commission": "0.000000",
        "timezone": user["timezone"],
        "currency": currencies.describe(user["currency"]),
        "subaccount": _subaccount(vault, sub),
    }


def _subaccount(vault: Vault, sub: Mapping[str, Any]) -> OwnSubaccount:
    flags = {f"access_{flag}": sub[f"access_{flag}"] for flag in ACCESS_FLAGS}
    same = ("subaccount_id", "api_username", "email", "phone_number", "first_name", "last_name", "share_campaigns")
    return OwnSubaccount(
        **{name: sub[name] for name in same}, **flags, api_key=vault.unseal(sub["key_sealed"]), notes=sub["notes"]
    )
