"""Commands about accounts that exist: list and show them and their keys, change one, opt-outs, records of both."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from heliograph import audit
from heliograph.accounts import account, preferences
from heliograph.accounts.preferences import OperatorChanges
from heliograph.accounts.subaccounts import subaccount
from heliograph.billing import ledger, prices
from heliograph.commands.base import STORE, AsJson, Store, Username, named, vault_of, within
from heliograph.contacts import optout
from heliograph.db.engine import Tx
from heliograph.process import Problem
from heliograph.terminal import lines, moment, show, table

SHOWN = (
    "username",
    "email",
    "phone",
    "first_name",
    "last_name",
    "account_name",
    "default_country_sms",
    "timezone",
    "reply_to",
    "delivery_to",
    "low_credit_amount",
    "setting_unicode_sms",
    "setting_email_sms_subject",
    "setting_fix_sender_id",
    "email_tracking",
    "char_limit",
    "cors_origins",
    "throttle_seconds",
    "active",
    "banned",
)


def change(
    username: Username,
    /,
    *,
    email: Annotated[str | None, Parameter(help="Address of its owner.")] = None,
    phone: Annotated[str | None, Parameter(help="Their number.")] = None,
    first_name: Annotated[str | None, Parameter(help="Their name.")] = None,
    last_name: Annotated[str | None, Parameter(help="Their name.")] = None,
    account_name: Annotated[str | None, Parameter(help="Name of the company.")] = None,
    default_country: Annotated[str | None, Parameter(help="ISO code; national numbers are read by it.")] = None,
    timezone: Annotated[str | None, Parameter(help="Name of the tz database.")] = None,
    reply_to: Annotated[str | None, Parameter(help="originalemail, or an address.")] = None,
    delivery_to: Annotated[str | None, Parameter(help="Address of delivery reports; an empty text clears it.")] = None,
    low_credit: Annotated[str | None, Parameter(help="Credit that counts as low: its owner gets a mail.")] = None,
    char_limit: Annotated[int | None, Parameter(help="Most parts of a message, 1 to 8.")] = None,
    unicode: Annotated[
        bool | None, Parameter(help="Whether SMS may be Unicode, where the server leaves it to accounts.")
    ] = None,
    email_subject: Annotated[
        bool | None,
        Parameter(help="Whether the subject of a mail that becomes an SMS stands before its text."),
    ] = None,
    fix_sender: Annotated[bool | None, Parameter(help="Kept and shown: wrong sender IDs are refused.")] = None,
    email_tracking: Annotated[
        bool | None, Parameter(help="Whether openings and clicks of email campaigns are counted.")
    ] = None,
    cors_origins: Annotated[
        str | None, Parameter(help="Origins that browsers may call from, separated by commas.")
    ] = None,
    throttle_seconds: Annotated[
        int | None,
        Parameter(help="The same text to the same recipient within this time is refused; -1: as the server is set."),
    ] = None,
    active: Annotated[bool | None, Parameter(help="Whether it may send; else not before it proves its number.")] = None,
    banned: Annotated[bool | None, Parameter(help="Whether it is shut out.")] = None,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Change an account, and show what it is then; without options, only show it."""
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
        setting_fix_sender_id=fix_sender,
        setting_email_tracking=email_tracking,
        setting_sms_message_char_limit=char_limit,
        cors_origins=cors_origins,
        throttle_seconds=throttle_seconds,
        active=active,
        banned=banned,
    )

    def work(tx: Tx) -> dict[str, Any]:
        user_id = named(tx, username)["user_id"]
        preferences.change(tx, user_id, audit.CLI, given)
        return _settings(account.row(tx, user_id))

    made = within(where.load(), work)
    show(as_json, made, lines(made))


def _settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a user can be set."""
    shown = {**row, "low_credit_amount": prices.fixed(row["low_credit_micros"], 2)}
    return {name: shown[name] for name in SHOWN}


def list_accounts(*, where: Store = STORE, as_json: AsJson = False) -> None:
    """List the accounts with their balances."""
    found = [
        {
            **{name: row[name] for name in ("user_id", "username", "account_name", "email", "country", "currency")},
            "balance": prices.fixed(row["micros"], 4),
            "state": _state(row),
        }
        for row in within(where.load(), account.listing)
    ]
    show(as_json, found, table(found, found[0]) if found else "There are no accounts.")


def _state(row: Mapping[str, Any]) -> str:
    return "banned" if row["banned"] else "active" if row["active"] else "not active"


def show_account(username: Username, /, *, where: Store = STORE, as_json: AsJson = False) -> None:
    """Show an account: its settings, its balance, and who logs in to it."""

    def work(tx: Tx) -> dict[str, Any]:
        row = named(tx, username)
        balance = prices.fixed(ledger.balance(tx, row["user_id"]), 4)
        about = {"user_id": row["user_id"], "country": row["country"], "currency": row["currency"], "balance": balance}
        names = [sub["api_username"] for sub in account.logins(tx, row["user_id"])]
        return {**about, **_settings(row), "strict_opt_out": row["strict_opt_out"], "subaccounts": names}

    found = within(where.load(), work)
    show(as_json, found, lines({**found, "subaccounts": ", ".join(found["subaccounts"])}))


def show_key(
    name: Annotated[str, Parameter(help="An account, or a subaccount by its API username.")],
    /,
    *,
    new: Annotated[
        bool, Parameter(help="Make a new one; the old one stops working.", negative="", show_default=False)
    ] = False,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show the API key of an account or a subaccount."""
    options = where.load()

    def work(tx: Tx) -> dict[str, Any]:
        vault = vault_of(tx, options)
        sub = account.login(tx, name) or account.logins(tx, named(tx, name)["user_id"])[0]
        owner = account.by_user(tx, sub["user_id"])
        assert owner is not None
        if new:
            by = msgspec.structs.replace(owner, api_username=audit.CLI)  # the audit log tells who it was
            key = subaccount.new_api_key(tx, vault, by, sub["subaccount_id"], options.key_overlap)
        else:
            key = vault.unseal(sub["key_sealed"])
        if not key:
            raise Problem("The key was sealed with another secret (HELIOGRAPH_SECRET), and cannot be read.")
        return {"username": owner.username, "api_username": sub["api_username"], "api_key": key}

    found = within(options, work)
    show(as_json, found, found["api_key"])


def opt_out(
    username: Username,
    /,
    *,
    strict: Annotated[bool, Parameter(help="Every SMS send; --no-strict: sends to lists.", show_default=False)],
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Choose what an opt-out binds: sends to lists only, or every SMS send to a number in the Opt-Out List."""
    bound = "every send" if strict else "sends to lists"

    def work(tx: Tx) -> None:
        user_id = named(tx, username)["user_id"]
        account.set_strict_opt_out(tx, user_id, strict)
        audit.record(tx, user_id, audit.CLI, "opt_out.changed", bound)

    within(where.load(), work)
    show(as_json, {"username": username, "strict": strict}, f"An opt-out of {username} now binds {bound}.")


def check_limit(limit: int) -> None:
    """Refuse a number of entries that nobody can mean. Raises Problem."""
    if not 0 < limit <= 100_000:
        raise Problem(f"--limit={limit}: it must be an integer from 1 to 100000.")


def read_opt_outs(
    username: Username,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most entries to show.")] = 100,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show who opted out of an account's messages, or in again, and why; newest first."""
    check_limit(limit)

    def work(tx: Tx) -> list[dict[str, Any]]:
        names = ("date_added", *(name for name in optout.COLUMNS if name != "date_added"))
        found = optout.listing(tx, named(tx, username)["user_id"], limit)
        return [{name: row[name] for name in names} for row in found]

    found = within(where.load(), work)
    rows = [{**row, "at": moment(row["date_added"]), "message": row["message_id"] or ""} for row in found]
    shown = table(rows, ("at", "recipient", "event", "cause", "message"))
    show(as_json, found, shown if rows else "Nobody has opted out.")


def read_audit(
    username: Annotated[str | None, Parameter(help="The account; without one, all of them.")] = None,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most entries to show.")] = 100,
    where: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Show who changed what about access and money, newest first."""
    check_limit(limit)

    def work(tx: Tx) -> list[dict[str, Any]]:
        name = named(tx, username)["username"] if username else None
        return [dict(entry) for entry in audit.entries(tx, name, limit)]

    found = within(where.load(), work)
    rows = [{**entry, "at": moment(entry["at"]), "account": entry["username"] or ""} for entry in found]
    shown = table(rows, ("at", "account", "actor", "what", "detail"))
    show(as_json, found, shown if rows else "There are no entries.")
