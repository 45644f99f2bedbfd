"""HTTP shapes of the subaccount section (endpoints 162 to 167)."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from heliograph import phone
from heliograph.accounts import account, passwords
from heliograph.accounts.api import NAME, OwnSubaccount, subaccount
from heliograph.accounts.subaccounts import subaccount as subaccounts
from heliograph.accounts.vault import hash_password
from heliograph.db.engine import Tx
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.errors import BadRequest, label
from heliograph.fields import Mail, about
from heliograph.http import search
from heliograph.http.endpoint import endpoint
from heliograph.http.request import Reply, Request
from heliograph.mailaddress import is_address

LONGEST = {"first_name": 255, "last_name": 255, "notes": 2000}


Name = Annotated[str, about("2 to 100 letters, digits or . @ + - _, in any case; nobody else's.", "jane.sms")]
Password = Annotated[str, about("4 to 200 characters.", "a long sentence")]
Phone = Annotated[str, about("Phone number, in E.164 format or as it is written in the country.", "+61411111111")]
FirstName = Annotated[str, about("Name of whoever uses it.", "Jane", maxLength=LONGEST["first_name"])]
LastName = Annotated[str, about("Name of whoever uses it.", "Doe", maxLength=LONGEST["last_name"])]


class SubaccountChanges(msgspec.Struct, kw_only=True):
    """Body of an update, which changes what it names."""

    api_username: Name | None = None
    password: Password | None = None
    email: Mail | None = None
    phone_number: Phone | None = None
    first_name: FirstName | None = None
    last_name: LastName | None = None
    access_users: Annotated[bool | None, about("Whether it may manage subaccounts.", True)] = None
    access_billing: Annotated[bool | None, about("Whether it may see and spend the account's money.", True)] = None
    access_reporting: Annotated[bool | None, about("Whether it may see histories, statistics and usage.", True)] = None
    access_contacts: Annotated[bool | None, about("Whether it may use contacts and lists.", True)] = None
    access_settings: Annotated[bool | None, about("Whether it may change settings and rules.", True)] = None
    access_sms: Annotated[bool | None, about("Whether it may use SMS.", True)] = None
    access_email: Annotated[bool | None, about("Whether it may use email.", True)] = None
    access_voice: Annotated[bool | None, about("Whether it may use voice.", True)] = None
    access_fax: Annotated[bool | None, about("Whether it may use fax.", True)] = None
    access_post: Annotated[bool | None, about("Whether it may use post.", True)] = None
    access_reseller: Annotated[bool | None, about("Whether it may manage clients.", True)] = None
    access_mms: Annotated[bool | None, about("Whether it may use MMS.", True)] = None
    access_smpp: Annotated[bool | None, about("Whether it may send over SMPP.", True)] = None
    share_campaigns: Annotated[
        bool | None, about("Whether it sees the campaigns of the whole account, and not only its own.", False)
    ] = None
    notes: Annotated[str | None, about("Kept and shown.", maxLength=LONGEST["notes"])] = None


class NewSubaccount(SubaccountChanges, kw_only=True):
    """Body of a creation. A flag that is not given is that of the caller: all of them, in the document's example."""

    api_username: Name
    password: Password
    email: Mail
    phone_number: Phone
    first_name: FirstName
    last_name: LastName


class SubaccountEntry(OwnSubaccount, kw_only=True):
    """A subaccount (162 to 165)."""


class NewKey(msgspec.Struct):
    """`data` of a new key (167)."""

    api_key: Annotated[str, about("The key in clear.", "E72D09F6-AC80-4A5C-87F0-1A244A377A5C")]


Done = Annotated[bool, about("Always true.", True)]


@endpoint("SUCCESS", SubaccountEntry, paged=True)
def view_all(req: Request) -> Reply:
    """View the subaccounts that the caller may manage."""
    base, vault = subaccounts.visible(req.who), req.services.vault
    render = partial(subaccount, vault, kind=SubaccountEntry)
    return search.page(req, base, subaccounts.COLUMNS, ("subaccount_id", False), render)


@endpoint("New account has been created.", SubaccountEntry)
async def create(req: Request, body: NewSubaccount) -> Reply:
    """Create a subaccount. It has a permission that is not named if the caller has it."""
    values = await _values(req, body)
    vault = req.services.vault

    def work(tx: Tx) -> Mapping[str, Any]:
        return subaccounts.create(tx, vault, account.current(tx, req.who), values)

    return Reply(subaccount(vault, await req.services.database.write(work), SubaccountEntry))


@endpoint("Here are your data.", SubaccountEntry)
def view(req: Request) -> Reply:
    """View a subaccount."""
    return Reply(subaccount(req.services.vault, subaccounts.find(req.tx, req.who, _key(req)), SubaccountEntry))


@endpoint("", SubaccountEntry)
async def update(req: Request, body: SubaccountChanges) -> Reply:
    """Change a subaccount. What the body does not name stays as it is."""
    key = _key(req)
    values = await _values(req, body)
    vault = req.services.vault

    def work(tx: Tx) -> Mapping[str, Any]:
        return subaccounts.update(tx, vault, account.current(tx, req.who), key, values)

    entry = subaccount(vault, await req.services.database.write(work), SubaccountEntry)
    return Reply(entry, message=f"Subaccount #{key} has been updated.")


@endpoint("", Done)
def delete(req: Request) -> Reply:
    """Delete a subaccount. Its key and its password die at once."""
    key = _key(req)
    subaccounts.delete(req.tx, req.who, key)
    return Reply(True, message=f"Subaccount #{key} has been deleted")


@endpoint("Your API Key has been regenerated.", NewKey)
def new_key(req: Request) -> Reply:
    """Give a subaccount a new API key. The old one dies at once, unless the operator has set an overlap."""
    overlap = req.services.settings.key_overlap
    return Reply(NewKey(subaccounts.new_api_key(req.tx, req.services.vault, req.who, _key(req), overlap)))


def _key(req: Request) -> int:
    return req.number("subaccount_id", subaccounts.NO_RECORD)


async def _values(req: Request, body: SubaccountChanges) -> dict[str, Any]:
    """The columns to store. Raises BadRequest."""
    values = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
    _check(values, req.services.settings.strict)
    if "phone_number" in values:
        values["phone_number"] = phone.kept(values["phone_number"], req.who.country)
    for name in ("share_campaigns", *(f"access_{flag}" for flag in ACCESS_FLAGS)):
        if name in values:
            values[name] = int(values[name])
    if "password" in values:
        values["password_hash"] = await asyncio.to_thread(hash_password, values.pop("password"))
    return values


def _check(values: Mapping[str, Any], strict: bool) -> None:
    """Raises BadRequest with a sentence for each bad field."""
    faults = {name: fault for name, text in values.items() if (fault := _fault(name, text, strict))}
    if faults:
        raise BadRequest({name: f"{label(name)} {fault}" for name, fault in faults.items()})


def _fault(name: str, text: Any, strict: bool) -> str:
    """What is wrong with a value, or nothing."""
    if name in LONGEST and len(text) > LONGEST[name]:
        return f"must have at most {LONGEST[name]} characters."
    if name == "api_username" and not NAME.fullmatch(text):
        return "must have 2 to 100 letters, digits or . @ + - _."
    if name == "password":
        return passwords.fault(text, strict).removeprefix("Password ")
    if name == "email" and not is_address(text):
        return "must be an email address."
    if name == "phone_number" and phone.kept(text, "AU") is None:
        return "must be a phone number."
    return ""
