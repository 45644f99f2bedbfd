"""HTTP shapes of the account section: registration, the account's view of itself, its usage (endpoints 1 to 3)."""

import asyncio
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec

from heliograph import audit, phone
from heliograph.accounts import account, passwords, preferences
from heliograph.accounts.account import NewAccount
from heliograph.accounts.referrals import referral
from heliograph.accounts.vault import Vault, hash_password
from heliograph.billing import commission, currencies, ledger, prices, tariff, usage
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.errors import BadRequest, Forbidden, label
from heliograph.fields import Amount, Country, Flag, Mail, PhoneNumber, Price, RegionalPhone, about
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.mailaddress import is_address
from heliograph.media import USAGES
from heliograph.webhooks.signature import new_secret

NAME = re.compile(r"[\w.@+-]{2,100}")
LONGEST_NAME = 200
CLOSED = "Registration is closed. Ask the operator of this server for an account."
CALLED = ("user_first_name", "user_last_name", "account_name")
S = TypeVar("S", bound="OwnSubaccount")


class Registration(msgspec.Struct):
    """Body of POST /account."""

    username: Annotated[str, about("2 to 100 letters, digits or . @ + - _, in any case; nobody else's.", "jane")]
    password: Annotated[
        str, about("4 to 200 characters; in production mode 8 at least, and no common one.", "a long sentence")
    ]
    user_phone: RegionalPhone
    user_email: Mail
    user_first_name: str
    user_last_name: str
    account_name: Annotated[str, about("Name of the company.")]
    country: Annotated[str, about("ISO 3166 code of two letters; it decides on the currency.", "AU")]
    referrer: Annotated[
        str | None, about("Username of who referred the account. An addition to the contract.", "john")
    ] = None


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
    access_smpp: Flag
    share_campaigns: Flag
    notes: str | None


class AccountBase(msgspec.Struct, kw_only=True):
    """What each answer about an account begins with (1, 2 and 5)."""

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


class NewAccountAnswer(AccountBase, kw_only=True):
    """`data` of a registration (1)."""

    default_country_sms: Annotated[
        Country, about("Whose national numbers are understood without a country code.", "AU")
    ]
    auto_recharge: Flag
    auto_recharge_amount: Amount
    low_credit_amount: Amount
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
    """`data` of the account (2): four documented keys more than at its registration, and settings of our own."""

    private_uploads: Flag
    fax_quality: Annotated[int, about("Always 0.", 0)]
    setting_sms_hide_your_number: Flag
    setting_sms_hide_business_name: Flag
    cors_origins: Annotated[str, about("Origins whose pages may use the account.", "https://app.example.com")]
    throttle_seconds: Annotated[
        int | None, about("For how long the same text to the same recipient is THROTTLED; null: as the server is set.")
    ]
    setting_email_tracking: Annotated[
        int | None, about("1: openings and clicks of email campaigns are counted; null: as the server is set.", 1)
    ]


class UsageEntry(msgspec.Struct):
    """What a subaccount sent in a channel."""

    subaccount_id: int
    username: str
    total_count: Annotated[str, about("Messages that were sent, two decimals; whole for letters.", "42.00")]
    total_price: Price


class MailUsageEntry(UsageEntry):
    """The same of email, with a number."""

    total_count: Annotated[int, about("Mails that were sent.", 42)]  # type: ignore[assignment]


class UsageTotal(msgspec.Struct):
    """What all subaccounts sent in a channel."""

    count: int
    price: Price


class Usage(msgspec.Struct):
    """`data` of the usage (3)."""

    sms: list[UsageEntry]
    sms_total: UsageTotal
    mms: list[UsageEntry]
    mms_total: UsageTotal
    voice: list[UsageEntry]
    voice_total: UsageTotal
    fax: list[UsageEntry]
    fax_total: UsageTotal
    post: list[UsageEntry]
    post_total: UsageTotal
    email: list[MailUsageEntry]
    email_total: UsageTotal
    email_transactional: list[MailUsageEntry]
    email_transactional_total: UsageTotal
    currency: currencies.Currency = msgspec.field(name="_currency")


@endpoint("Successfully created an account.", NewAccountAnswer, guarded=True, refuses=(Forbidden,))
async def register(req: Request, body: Registration) -> Reply:
    """Create an account with trial credit. In production mode registration is closed until the operator opens it."""
    settings, vault = req.services.settings, req.services.vault
    if not settings.registers:
        raise Forbidden(CLOSED)
    trial = prices.micros(settings.first_credit)
    new = await new_account(body, settings.strict, active=settings.new_accounts == "active", credit_micros=trial)

    def registered(tx: Tx) -> Reply:
        user_id = account.create(tx, vault, new)
        if body.referrer:
            referral.add(tx, body.referrer, user_id, settings.referral_percent)
        who = account.by_user(tx, user_id)
        assert who is not None
        audit.record(tx, user_id, who.api_username, "account.registered", new.email)
        return Reply(NewAccountAnswer(**profile(tx, vault, user_id, who.subaccount_id)))

    return await req.services.database.write(registered)


async def new_account(registration: Registration, strict: bool, **more: Any) -> NewAccount:
    """The account that a registration asks for, with `more` about it; `strict`: in production. Raises BadRequest."""
    country = registration.country.strip().upper()
    number = phone.parse(registration.user_phone, country)
    faults = _faults(registration, country, strict)
    if number is None:
        faults["user_phone"] = "User phone must be a valid phone number."
    if faults or number is None:
        raise BadRequest(faults)
    return NewAccount(
        username=registration.username,
        email=registration.user_email,
        phone=number.number,
        first_name=registration.user_first_name,
        last_name=registration.user_last_name,
        account_name=registration.account_name,
        country=country,
        password_hash=await asyncio.to_thread(hash_password, registration.password),
        webhook_secret=new_secret(),
        **more,
    )


def _faults(registration: Registration, country: str, strict: bool) -> dict[str, str]:
    """What is wrong with a registration, apart from its phone number."""
    faults = {name: fault for name in CALLED if (fault := faulty_name(name, getattr(registration, name)))}
    if not NAME.fullmatch(registration.username):
        faults["username"] = "Username must have 2 to 100 letters, digits or . @ + - _."
    if fault := passwords.fault(registration.password, strict):
        faults["password"] = fault
    if not is_address(registration.user_email):
        faults["user_email"] = "User email must be an email address."
    if country not in phone.COUNTRIES:
        faults["country"] = "Country must be a two-letter ISO 3166 code."
    return faults


def faulty_name(field: str, name: str) -> str:
    """What is wrong with a name of a person or a company, or nothing."""
    fine = 0 < len(name.strip()) <= LONGEST_NAME
    return "" if fine else f"{label(field)} must have 1 to {LONGEST_NAME} characters."


@endpoint("Here's your account", AccountAnswer, before_activation=True)
def view(req: Request) -> Reply:
    """View the account of the caller."""
    return Reply(_account(req))


def _account(req: Request) -> AccountAnswer:
    user = account.row(req.tx, req.who.user_id)
    return AccountAnswer(
        **profile(req.tx, req.services.vault, req.who.user_id, req.who.subaccount_id),
        cors_origins=user["cors_origins"],
        throttle_seconds=user["throttle_seconds"],
        setting_email_tracking=user["email_tracking"],
        private_uploads=0,
        fax_quality=0,
        setting_sms_hide_your_number=0,
        setting_sms_hide_business_name=0,
    )


@endpoint("Your account has been updated.", AccountAnswer, before_activation=True)
def change(req: Request, body: preferences.Changes) -> Reply:
    """Change the account. What the body does not name stays as it is. An addition to the contract (facts J10)."""
    if preferences.personal(body) and not req.who.is_main:
        raise Forbidden
    preferences.change(req.tx, req.who.user_id, req.who.api_username, body)
    return Reply(_account(req))


@endpoint("Here is your usage for this month.", Usage, before_activation=True)
def view_usage(req: Request) -> Reply:
    """View what each subaccount sent in a month of UTC, and what it cost. The shorter path is of this month."""
    today = datetime.datetime.fromtimestamp(req.tx.now, datetime.UTC)
    year = _in_range(req, "year", 1970, 9998, today.year)
    month = _in_range(req, "month", 1, 12, today.month)
    start = datetime.datetime(year, month, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(year + month // 12, month % 12 + 1, 1, tzinfo=datetime.UTC)
    rows = usage.by_subaccount(req.tx, req.who.user_id, int(start.timestamp()), int(end.timestamp()))
    data: dict[str, Any] = {}
    for channel in USAGES:
        data |= _channel_usage(channel, [row for row in rows if row["medium"] == channel])
    return Reply(Usage(**data, currency=currencies.describe(req.who.currency)))


def _in_range(req: Request, name: str, least: int, most: int, default: int) -> int:
    """A whole number out of the path. Raises BadRequest."""
    text = req.params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not least <= int(text) <= most:
        raise BadRequest({name: f"{label(name)} must be a number from {least} to {most}."})
    return int(text)


def _channel_usage(channel: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    count = sum(int(row["sent"]) for row in rows)
    micros = sum(int(row["micros"]) for row in rows)
    entries = [
        _usage(channel, row["subaccount_id"], row["api_username"] or "", int(row["sent"]), int(row["micros"]))
        for row in rows
    ]
    return {channel: entries, f"{channel}_total": UsageTotal(count, prices.fixed(micros, 4))}


def _usage(channel: str, subaccount_id: int, name: str, sent: int, micros: int) -> UsageEntry:
    """An entry with the type of count that the document's example has for the channel."""
    price = prices.fixed(micros, 4)
    if channel.startswith("email"):
        return MailUsageEntry(subaccount_id, name, sent, price)
    return UsageEntry(subaccount_id, name, str(sent) if channel == "post" else f"{sent}.00", price)


def profile(tx: Tx, vault: Vault, user_id: int, subaccount_id: int) -> dict[str, Any]:
    """The fields of NewAccountAnswer."""
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
        "currency": currencies.describe(user["currency"]),
        "subaccount": subaccount(vault, sub, OwnSubaccount),
    }


def subaccount(vault: Vault, sub: Mapping[str, Any], kind: type[S]) -> S:
    """A subaccount as the contract shows it, with its key."""
    flags = {f"access_{flag}": sub[f"access_{flag}"] for flag in ACCESS_FLAGS}
    same = ("subaccount_id", "api_username", "email", "phone_number", "first_name", "last_name", "share_campaigns")
    return kind(
        **{name: sub[name] for name in same}, **flags, api_key=vault.unseal(sub["key_sealed"]), notes=sub["notes"]
    )
