"""HTTP shapes of the reseller section (endpoints 120 to 124)."""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from heliograph import audit, phone
from heliograph.accounts import account, api, passwords
from heliograph.accounts.api import Registration
from heliograph.accounts.resellers import client
from heliograph.accounts.vault import hash_password
from heliograph.billing import ledger
from heliograph.billing.prices import MICRO, RatesError
from heliograph.db.engine import Tx
from heliograph.errors import BadRequest, NotFound, TooLittleCredit
from heliograph.fields import Flag, Mail, RegionalPhone, about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.mailaddress import is_address

MOST_TRANSFERRED = 10**9
"""Units of a currency in one transfer, so that micros in any other currency fit into 64 bits."""


class ClientChanges(msgspec.Struct, kw_only=True):
    """Body of an update, which changes what it names."""

    username: Annotated[str | None, about("2 to 100 letters, digits or . @ + - _, in any case.", "jane")] = None
    password: Annotated[str | None, about("4 to 200 characters.", "a long sentence")] = None
    user_email: Mail | None = None
    user_phone: RegionalPhone | None = None
    user_first_name: str | None = None
    user_last_name: str | None = None
    account_name: Annotated[str | None, about("Name of the company.")] = None
    country: Annotated[str | None, about("ISO 3166 code of two letters; the currency stays.", "AU")] = None


class Transfer(msgspec.Struct):
    """Body of a transfer. Fractions are refused: the document has an integer."""

    client_user_id: Annotated[int, about("Id of the client.", 24)]
    balance: Annotated[int, about("What to transfer, in units of the currency.", 10)]
    currency: Annotated[str, about("ISO 4217 code of three letters.", "AUD")]


class ResellerSettings(msgspec.Struct):
    """Body of the reseller's settings."""

    margin_percent: Annotated[int, about("What is added to the prices of the clients.", 20)]


class Margin(msgspec.Struct):
    """`data` of the reseller's settings."""

    margin_percent: Annotated[int, about("What is added to the prices of the clients.", 20)]


class ClientEntry(api.NewAccountAnswer, kw_only=True):
    """A client (120, 122 and 124): two keys more than at its creation."""

    setting_fix_sender_id: Annotated[int, about("1 for yes, 0 for no.", 0)]  # type: ignore[assignment]
    unsubscribe_mail: Flag
    setting_beta: Flag


@endpoint("Here are you data.", ClientEntry, paged=True)
def view_all(req: Request) -> Reply:
    """View the clients."""
    base = client.of(req.who.user_id)
    return search.page(req, base, client.COLUMNS, ("user_id", False), partial(_entry, req.tx, req))


@endpoint("New reseller has been added.", api.NewAccountAnswer)
async def create(req: Request, body: Registration) -> Reply:
    """Create a client. It starts without credit: the reseller gives it some."""
    new = await api.new_account(body, req.services.settings.strict)

    def work(tx: Tx) -> Reply:
        reseller = account.current(tx, req.who)
        row = client.create(tx, req.services.vault, reseller.user_id, new)
        audit.record(tx, row["user_id"], reseller.api_username, "account.created", f"client of {reseller.username}")
        return Reply(_answer(tx, req, row))

    return await req.services.database.write(work)


@endpoint("Here are your data.", ClientEntry)
def view(req: Request) -> Reply:
    """View a client."""
    return Reply(_entry(req.tx, req, client.find(req.tx, req.who.user_id, _key(req))))


@endpoint("Reseller account has been updated.", api.NewAccountAnswer)
async def update(req: Request, body: ClientChanges) -> Reply:
    """Change a client. What the body does not name stays as it is; the names of subaccounts stay in any case."""
    key, password = _key(req), body.password
    hashed = await asyncio.to_thread(hash_password, password) if password and len(password) >= 4 else None

    def work(tx: Tx) -> Reply:
        reseller = account.current(tx, req.who)
        client.find(tx, reseller.user_id, key)
        values = _checked(body, account.row(tx, key)["country"], req.services.settings.strict)
        if hashed:
            values["password_hash"] = hashed
        row = client.update(tx, reseller.user_id, key, values)
        audit.record(tx, key, reseller.api_username, "account.changed", ", ".join(sorted(values)))
        return Reply(_answer(tx, req, row))

    return await req.services.database.write(work)


@endpoint("Your balance has been successfully transferred.", ClientEntry, spends=True, refuses=(NotFound,))
def transfer(req: Request, body: Transfer) -> Reply:
    """Transfer credit to a client. It is converted by the rates file."""
    currency = body.currency.strip().upper()
    faults = {}
    if not 0 < body.balance <= MOST_TRANSFERRED:
        faults["balance"] = f"Balance must be a whole number from 1 to {MOST_TRANSFERRED}."
    if not re.fullmatch("[A-Z]{3}", currency):
        faults["currency"] = "Currency must be a three-letter ISO 4217 code."
    if faults:
        raise BadRequest(faults)
    try:
        client.transfer(req.tx, req.who.user_id, body.client_user_id, body.balance * MICRO, currency)
    except RatesError as problem:
        raise BadRequest({"currency": f"The credit cannot be converted. {problem}"}) from None
    except ledger.InsufficientCredit:
        raise TooLittleCredit("Your balance is too low for this transfer.") from None
    for user_id in (req.who.user_id, body.client_user_id):
        detail = f"{currency} {body.balance} to client {body.client_user_id}"
        audit.record(req.tx, user_id, req.who.api_username, "credit.transferred", detail)
    return Reply(_entry(req.tx, req, client.find(req.tx, req.who.user_id, body.client_user_id)))


@endpoint("Here are your settings.", Margin)
def view_settings(req: Request) -> Reply:
    """View the settings of a reseller. An addition to the contract."""
    return Reply(Margin(client.margin(req.tx, req.who.user_id)))


@endpoint("Your settings have been updated.", Margin)
def change_settings(req: Request, body: ResellerSettings) -> Reply:
    """Change the settings of a reseller. An addition to the contract."""
    percent = body.margin_percent
    if not 0 <= percent <= client.MOST_MARGIN:
        raise BadRequest({"margin_percent": f"Margin percent must be 0 to {client.MOST_MARGIN}."})
    client.set_margin(req.tx, req.who.user_id, percent)
    audit.record(req.tx, req.who.user_id, req.who.api_username, "margin.changed", str(percent))
    return Reply(Margin(percent))


def _key(req: Request) -> int:
    return req.number("client_user_id", client.NO_RECORD)


def _entry(tx: Tx, req: Request, row: Mapping[str, Any]) -> ClientEntry:
    values = api.profile(tx, req.services.vault, row["user_id"], row["subaccount_id"])
    return ClientEntry(**values, unsubscribe_mail=0, setting_beta=0)


def _answer(tx: Tx, req: Request, row: Mapping[str, Any]) -> api.NewAccountAnswer:
    return api.NewAccountAnswer(**api.profile(tx, req.services.vault, row["user_id"], row["subaccount_id"]))


def _checked(body: ClientChanges, country: str, strict: bool) -> dict[str, Any]:
    """The columns to store of a client of this country. Raises BadRequest."""
    country = (body.country or country).strip().upper()
    number = phone.parse(body.user_phone, country) if body.user_phone is not None else None
    faults = {
        "username": body.username is not None
        and not api.NAME.fullmatch(body.username)
        and "Username must have 2 to 100 letters, digits or . @ + - _.",
        "password": body.password is not None and passwords.fault(body.password, strict),
        "user_email": body.user_email is not None
        and not is_address(body.user_email)
        and "User email must be an email address.",
        "user_phone": body.user_phone is not None and number is None and "User phone must be a valid phone number.",
        "country": country not in phone.COUNTRIES and "Country must be a two-letter ISO 3166 code.",
    }
    names = {name: getattr(body, name) for name in api.CALLED}
    faults |= {name: api.faulty_name(name, text) for name, text in names.items() if text is not None}
    refused = {name: text for name, text in faults.items() if text}
    if refused:
        raise BadRequest(refused)
    values = {
        "username": body.username and body.username.lower(),
        "email": body.user_email,
        "phone": number and number.number,
        "first_name": body.user_first_name,
        "last_name": body.user_last_name,
        "account_name": body.account_name,
        "country": country if body.country else None,
    }
    return {name: value for name, value in values.items() if value is not None}
