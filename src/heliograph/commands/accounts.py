"""Commands about accounts that exist: change one, read the audit log."""

import time
from typing import Any

from rich.table import Table

from heliograph import audit
from heliograph.accounts import account, preferences
from heliograph.accounts.preferences import OperatorChanges
from heliograph.billing import prices
from heliograph.commands.base import AsJson, Data, named, show, within
from heliograph.db.engine import Tx
from heliograph.settings import Settings

SHOWN = (
    *("username", "email", "phone", "first_name", "last_name", "account_name", "default_country_sms", "timezone"),
    *("reply_to", "delivery_to", "low_credit_amount", "setting_unicode_sms", "setting_email_sms_subject"),
    *("setting_fix_sender_id", "char_limit", "cors_origins", "throttle_seconds", "active", "banned"),
)


def change(
    username: str,
    *,
    email: str | None = None,
    phone: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    account_name: str | None = None,
    default_country: str | None = None,
    timezone: str | None = None,
    reply_to: str | None = None,
    delivery_to: str | None = None,
    low_credit: str | None = None,
    char_limit: int | None = None,
    unicode: bool | None = None,
    email_subject: bool | None = None,
    fix_sender_id: bool | None = None,
    cors_origins: str | None = None,
    throttle_seconds: int | None = None,
    active: bool | None = None,
    banned: bool | None = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Change an account, and show what it is then; without options, only show it.

    Parameters
    ----------
    username: The account.
    email: Address of its owner.
    phone: Their number.
    first_name: Their name.
    last_name: Their name.
    account_name: Name of the company.
    default_country: ISO code; national numbers are read by it.
    timezone: Name of the tz database, as Australia/Melbourne.
    reply_to: originalemail, or an address.
    delivery_to: Address of delivery reports; an empty text clears it.
    low_credit: Amount of credit that counts as low.
    char_limit: Most parts of a message, 1 to 8.
    unicode: Whether unicode messages are wanted.
    email_subject: Whether the subject of an email becomes a part of the SMS.
    fix_sender_id: Whether sender IDs are mended.
    cors_origins: Origins that browsers may call from, separated by commas.
    throttle_seconds: The same text to the same recipient within this time is refused; -1: as the server is set.
    active: Whether it may send.
    banned: Whether it is shut out.
    """
    given = OperatorChanges(
        user_email=email,
        user_phone=phone,
        user_first_name=first_name,
        user_last_name=last_name,
        account_name=account_name,
        default_country_sms=default_country,
        timezone=timezone,
        reply_to=reply_to,
        delivery_to=delivery_to,
        low_credit_amount=low_credit,
        setting_unicode_sms=unicode,
        setting_email_sms_subject=email_subject,
        setting_fix_sender_id=fix_sender_id,
        setting_sms_message_char_limit=char_limit,
        cors_origins=cors_origins,
        throttle_seconds=throttle_seconds,
        active=active,
        banned=banned,
    )

    def work(_: Settings, tx: Tx) -> dict[str, Any]:
        user_id = named(tx, username)["user_id"]
        preferences.change(tx, user_id, audit.CLI, given)
        row = dict(account.row(tx, user_id))
        row["low_credit_amount"] = prices.fixed(row["low_credit_micros"], 2)
        return {name: row[name] for name in SHOWN}

    made = within(data, work)
    lines = [f"{name:26}{'' if value is None else value}" for name, value in made.items()]
    show(as_json, made, "\n".join(lines))


def read_audit(username: str | None = None, *, limit: int = 100, data: Data = None, as_json: AsJson = False) -> None:
    """Show who changed what about access and money, newest first.

    Parameters
    ----------
    username: The account; without one, all of them.
    limit: Most entries to show.
    """
    if username:
        found = within(data, lambda _, tx: audit.entries(tx, named(tx, username)["username"], limit))
    else:
        found = within(data, lambda _, tx: audit.entries(tx, None, limit))
    table = Table("at (UTC)", "account", "actor", "what", "detail")
    for entry in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(entry["at"]))
        table.add_row(at, entry["username"] or "", entry["actor"], entry["what"], entry["detail"])
    show(as_json, [dict(entry) for entry in found], table)
