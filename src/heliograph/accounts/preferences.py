"""Settings of an account that its owner can change, and those that only the operator can: checked, stored, audited."""

import datetime
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from heliograph import audit, phone
from heliograph.accounts import account
from heliograph.billing import prices
from heliograph.db.engine import Tx
from heliograph.db.tables import subaccounts, users
from heliograph.errors import BadRequest, label
from heliograph.mailaddress import is_address
from heliograph.settings import Settings

ORIGINAL = "originalemail"
"""Replies by mail go to the address that the message was sent by. Source: endpoint 1."""

LONGEST, MOST_ORIGINS = 255, 20


class Changes(msgspec.Struct, kw_only=True):
    """What to change, by the names that GET /account has; None: keep. An empty text clears an address."""

    user_email: Annotated[str | None, Meta(description="Email address of its owner.")] = None
    user_phone: Annotated[str | None, Meta(description="Their phone number.")] = None
    user_first_name: Annotated[str | None, Meta(description="Their name.")] = None
    user_last_name: Annotated[str | None, Meta(description="Their name.")] = None
    account_name: Annotated[str | None, Meta(description="Name of the company.")] = None
    default_country_sms: Annotated[
        str | None,
        Meta(description="ISO 3166 code of the country whose national numbers are understood without a country code."),
    ] = None
    timezone: Annotated[str | None, Meta(description="Name in the IANA database.")] = None
    reply_to: Annotated[
        str | None,
        Meta(description="Where replies are mailed to: originalemail (to who sent the message), or an address."),
    ] = None
    delivery_to: Annotated[
        str | None, Meta(description="Where delivery reports are mailed to; an empty text clears it.")
    ] = None
    low_credit_amount: Annotated[
        str | None, Meta(description="Credit that counts as low, in units of the currency: the owner gets a mail.")
    ] = None
    setting_unicode_sms: Annotated[
        bool | None, Meta(description="Whether SMS may be Unicode, where the operator leaves it to the account.")
    ] = None
    setting_email_sms_subject: Annotated[
        bool | None, Meta(description="Whether the subject of a mail that becomes an SMS stands before its text.")
    ] = None
    setting_fix_sender_id: Annotated[bool | None, Meta(description="Kept and shown: wrong sender IDs are refused.")] = (
        None
    )
    setting_email_tracking: Annotated[
        bool | None, Meta(description="Whether openings and clicks of the account's email campaigns are counted.")
    ] = None
    setting_sms_message_char_limit: Annotated[int | None, Meta(description="Most segments of a message, 1 to 8.")] = (
        None
    )
    cors_origins: Annotated[
        str | None,
        Meta(description="Origins whose pages may use the account, as https://app.example.com, separated by spaces."),
    ] = None
    throttle_seconds: Annotated[
        int | None,
        Meta(
            description="The same text to the same recipient within this time is THROTTLED; -1: as the server is set."
        ),
    ] = None


class OperatorChanges(Changes, kw_only=True):
    """What the operator can change beside that."""

    active: bool | None = None
    banned: bool | None = None


_COLUMNS = {
    "user_email": "email",
    "user_phone": "phone",
    "user_first_name": "first_name",
    "user_last_name": "last_name",
    "low_credit_amount": "low_credit_micros",
    "setting_email_tracking": "email_tracking",
    "setting_sms_message_char_limit": "char_limit",
}
"""Name in the contract -> name of the column, where they differ."""

_MAIN_SUBACCOUNT = {
    "user_email": "email",
    "user_phone": "phone_number",
    "user_first_name": "first_name",
    "user_last_name": "last_name",
}
"""Fields that are copied to the main subaccount, since it stands for the same person: name there."""


def personal(given: Changes) -> bool:
    """Whether this changes the owner's name, address or number. Other subaccounts than the main one must not: a key for
    a new password goes to that address.
    """
    return any(getattr(given, name) is not None for name in _MAIN_SUBACCOUNT)


class Mailing(msgspec.Struct, frozen=True):
    """Settings of an account for the mails that it gets, and its time zone."""

    reply_to: str
    delivery_to: str | None
    timezone: str

    def clock(self, at: float) -> str:
        """A Unix time as a text in the account's time zone."""
        return f"{datetime.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(self.timezone)):%Y-%m-%d %H:%M %Z}"


def mailing(tx: Tx, user_id: int) -> Mailing:
    """The mail settings of a user, looked up once a transaction."""
    key = ("mailing", user_id)
    if key not in tx.memo:
        sql = "SELECT reply_to, delivery_to, timezone FROM users WHERE user_id = ?"
        tx.memo[key] = Mailing(*tx.driver(sql, [user_id]).fetchone())
    found: Mailing = tx.memo[key]
    return found


def subject_in_sms(tx: Tx, user_id: int) -> bool:
    """Whether the subject of a mail that becomes an SMS stands before its text. Source: facts H3."""
    (flag,) = tx.driver("SELECT setting_email_sms_subject FROM users WHERE user_id = ?", [user_id]).fetchone()
    return bool(flag)


def tracks_emails(tx: Tx, settings: Settings, user_id: int) -> bool:
    """Whether openings and clicks of an account's email campaigns are counted: its choice, or else the server's."""
    chosen = tx.driver("SELECT email_tracking FROM users WHERE user_id = ?", [user_id]).fetchone()[0]
    return settings.tracks_emails if chosen is None else bool(chosen)


def change(tx: Tx, user_id: int, actor: str, given: Changes) -> None:
    """Store the changes of an account. Raises BadRequest with a sentence for each bad value."""
    named = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not None}
    if not named:
        return
    row = account.row(tx, user_id)
    faults: dict[str, str] = {}
    checked = {name: _checked(name, value, row, faults) for name, value in named.items()}
    if faults:
        raise BadRequest(faults)
    values = {_COLUMNS.get(name, name): value for name, value in checked.items()}
    tx.execute(users.update().where(users.c.user_id == user_id).values(**values))
    same = {_MAIN_SUBACCOUNT[name]: value for name, value in checked.items() if name in _MAIN_SUBACCOUNT}
    if same:
        main = (subaccounts.c.user_id == user_id) & (subaccounts.c.is_main == 1)
        tx.execute(subaccounts.update().where(main).values(**same))
    tx.memo.pop(("mailing", user_id), None)
    account.touch(tx)
    audit.record(tx, user_id, actor, "account.changed", ", ".join(f"{name}={named[name]}" for name in named))


def _checked(name: str, value: Any, row: Mapping[str, Any], faults: dict[str, str]) -> Any:
    """The value as it is stored; what is wrong with it goes into `faults`."""
    if isinstance(value, bool):
        return int(value)
    try:
        return _CHECKS[name](value.strip() if isinstance(value, str) else value, row)
    except ValueError as problem:
        faults[name] = f"{label(name)} {problem}"
        return None


def _text(value: str, _: Mapping[str, Any]) -> str:
    if len(value) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters.")
    return value


def _mail(value: str, _: Mapping[str, Any]) -> str:
    if not is_address(value):
        raise ValueError("must be an email address.")
    return value


def _phone(value: str, row: Mapping[str, Any]) -> str:
    number = phone.parse(value, row["country"])
    if number is None:
        raise ValueError("must be a valid phone number.")
    return number.number


def _country(value: str, _: Mapping[str, Any]) -> str:
    if value.upper() not in phone.COUNTRIES:
        raise ValueError("must be a two-letter ISO 3166 code.")
    return value.upper()


def _timezone(value: str, _: Mapping[str, Any]) -> str:
    if value not in zoneinfo.available_timezones():
        raise ValueError("must be a name of the tz database, as Australia/Melbourne.")
    return value


def _reply_to(value: str, _: Mapping[str, Any]) -> str:
    if value not in ("", ORIGINAL) and not is_address(value):
        raise ValueError(f"must be {ORIGINAL} or an email address.")
    return value or ORIGINAL


def _delivery_to(value: str, _: Mapping[str, Any]) -> str | None:
    if value not in ("", ORIGINAL) and not is_address(value):
        raise ValueError(f"must be empty, {ORIGINAL} or an email address.")
    return value or None


def _amount(value: str, _: Mapping[str, Any]) -> int:
    try:
        micros = prices.micros(value)
    except ValueError:
        micros = -1
    if micros < 0:
        raise ValueError("must be an amount that is not negative, as 20.00.")
    return micros


def _parts(value: int, _: Mapping[str, Any]) -> int:
    if not 1 <= value <= 8:
        raise ValueError("must be 1 to 8 message parts.")
    return value


def _origins(value: str, _: Mapping[str, Any]) -> str:
    origins = value.replace(",", " ").split()
    if not all(account.ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("must be origins such as https://app.example.com.")
    if len(origins) > MOST_ORIGINS:
        raise ValueError(f"must be {MOST_ORIGINS} origins at most.")
    return " ".join(origins)


def _seconds(value: int, _: Mapping[str, Any]) -> int | None:
    if not -1 <= value <= 86_400:
        raise ValueError("must be 0 to 86400, or -1 for the server's setting.")
    return None if value == -1 else value


_CHECKS: dict[str, Any] = {
    "user_email": _mail,
    "user_phone": _phone,
    "user_first_name": _text,
    "user_last_name": _text,
    "account_name": _text,
    "default_country_sms": _country,
    "timezone": _timezone,
    "reply_to": _reply_to,
    "delivery_to": _delivery_to,
    "low_credit_amount": _amount,
    "setting_sms_message_char_limit": _parts,
    "cors_origins": _origins,
    "throttle_seconds": _seconds,
}
"""How each value that is no flag is checked: a function of it and of the account's row, which raises ValueError."""
