"""HTTP shapes of the subaccount section (endpoints 162 to 167)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph import phone
from heliograph.accounts import account
from heliograph.accounts.api import NAME, subaccount
from heliograph.accounts.subaccounts import subaccount as subaccounts
from heliograph.accounts.vault import hash_password
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.errors import BadRequest
from heliograph.http import paging, search
from heliograph.http.request import Reply, Request
from heliograph.queue import mail

LONGEST = {"first_name": 255, "last_name": 255, "notes": 2000, "password": 1000}


class SubaccountChanges(msgspec.Struct, kw_only=True):
    """Body of an update, which changes what it names."""

    api_username: str | None = None
    password: str | None = None
    email: str | None = None
    phone_number: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    access_users: bool | None = None
    access_billing: bool | None = None
    access_reporting: bool | None = None
    access_contacts: bool | None = None
    access_settings: bool | None = None
    access_sms: bool | None = None
    access_email: bool | None = None
    access_voice: bool | None = None
    access_fax: bool | None = None
    access_post: bool | None = None
    access_reseller: bool | None = None
    access_mms: bool | None = None
    share_campaigns: bool | None = None
    notes: str | None = None


class NewSubaccount(SubaccountChanges, kw_only=True):
    """Body of a creation. A flag that is not given is that of whoever asks: all of them, in the document's example."""

    api_username: str
    password: str
    email: str
    phone_number: str
    first_name: str
    last_name: str


def view_all(req: Request) -> Reply:
    """162. The subaccounts that whoever asks may manage."""
    shown = paging.window(req)
    total, rows = search.rows(
        req, subaccounts.visible(req.who), subaccounts.COLUMNS, shown, default=("subaccount_id", False)
    )
    return Reply(paging.page(req, shown, total, rows, lambda row: subaccount(req.services.vault, row)))


async def create(req: Request) -> Reply:
    """163."""
    values = await _values(req, req.decode(NewSubaccount))
    vault = req.services.vault

    def work(tx: Tx) -> Mapping[str, Any]:
        return subaccounts.create(tx, vault, account.current(tx, req.who), values)

    return Reply(subaccount(vault, await req.services.database.write(work)))


def view(req: Request) -> Reply:
    """164."""
    return Reply(subaccount(req.services.vault, subaccounts.find(req.tx, req.who, _key(req))))


async def update(req: Request) -> Reply:
    """165. Also without some of the fields: the official clients send only what changes."""
    key = _key(req)
    values = await _values(req, req.decode(SubaccountChanges))
    vault = req.services.vault

    def work(tx: Tx) -> Mapping[str, Any]:
        return subaccounts.update(tx, vault, account.current(tx, req.who), key, values)

    return Reply(
        subaccount(vault, await req.services.database.write(work)), message=f"Subaccount #{key} has been updated."
    )


def delete(req: Request) -> Reply:
    """166."""
    key = _key(req)
    subaccounts.delete(req.tx, req.who, key)
    return Reply(True, message=f"Subaccount #{key} has been deleted")


def new_key(req: Request) -> Reply:
    """167. The old key dies at once, unless the operator has set an overlap (facts J8)."""
    overlap = req.services.settings.key_overlap
    return Reply({"api_key": subaccounts.new_api_key(req.tx, req.services.vault, req.who, _key(req), overlap)})


def _key(req: Request) -> int:
    return req.number("subaccount_id", subaccounts.UNKNOWN)


async def _values(req: Request, given: SubaccountChanges) -> dict[str, Any]:
    """The columns to store. Raises BadRequest."""
    values = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not None}
    _check(values)
    if "phone_number" in values:
        values["phone_number"] = phone.kept(values["phone_number"], req.who.country)
    for name in ("share_campaigns", *(f"access_{flag}" for flag in ACCESS_FLAGS)):
        if name in values:
            values[name] = int(values[name])
    if "password" in values:
        values["password_hash"] = await asyncio.to_thread(hash_password, values.pop("password"))
    return values


def _check(values: Mapping[str, Any]) -> None:
    """Raises BadRequest with a sentence for each bad field."""
    faults = {name: fault for name, text in values.items() if (fault := _fault(name, text))}
    if faults:
        raise BadRequest({name: f"{name.capitalize().replace('_', ' ')} {fault}" for name, fault in faults.items()})


def _fault(name: str, text: Any) -> str:
    """What is wrong with a value, or nothing."""
    if name in LONGEST and len(text) > LONGEST[name]:
        return f"must have at most {LONGEST[name]} characters."
    if name == "api_username" and not NAME.fullmatch(text):
        return "must have 2 to 100 letters, digits or . @ + - _."
    if name == "password" and len(text) < 4:
        return "must have at least 4 characters."
    if name == "email" and not mail.is_address(text):
        return "must be an email address."
    if name == "phone_number" and phone.kept(text, "AU") is None:
        return "must be a phone number."
    return ""
