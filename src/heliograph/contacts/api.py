"""HTTP shapes of contacts, contact lists, imports and their search (endpoints 15 to 29 and 125)."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from heliograph.contacts import cleaning, contact, imports, keyword, lists, optout, sheets
from heliograph.db.dialect import chunks
from heliograph.errors import BadRequest, required
from heliograph.fields import Nothing, UnixText, about
from heliograph.files import store as files
from heliograph.http import paging, search
from heliograph.http.endpoint import endpoint
from heliograph.http.parameters import PAGING, unix_time
from heliograph.http.request import Reply, Request
from heliograph.http.route import Query
from heliograph.texts import folded
from heliograph.webhooks.fetch import check_url

LONGEST_NAME = 255
SHOWN_NOTES = 100
UPDATED_AFTER = unix_time("updated_after", "Unix time in seconds; what has not changed since is left out.")
WORD = Query(
    "q", "A part of a name, a number or an address.", {"type": "string", "maxLength": search.LONGEST}, key="word"
)
Row = Mapping[str, Any]


class ListBody(msgspec.Struct):
    """Body of 24 and 26."""

    list_name: Annotated[str, about("Name of the list.", "Customers", maxLength=LONGEST_NAME)]


class ContactBody(msgspec.Struct):
    """Body of 16 and 18; an update changes what it names."""

    phone_number: Annotated[
        str | None,
        about("Phone number, in E.164 format or as it is written in the contact's country.", maxLength=contact.LONGEST),
    ] = None
    fax_number: Annotated[str | None, about("The same of a fax machine.", maxLength=contact.LONGEST)] = None
    email: Annotated[str | None, about("Email address.", maxLength=contact.LONGEST)] = None
    first_name: Annotated[str | None, about("Their name.", maxLength=contact.LONGEST)] = None
    last_name: Annotated[str | None, about("Their name.", maxLength=contact.LONGEST)] = None
    custom_1: Annotated[
        str | None, about("What you like; messages can have it as a placeholder.", maxLength=contact.LONGEST)
    ] = None
    custom_2: Annotated[
        str | None, about("What you like; messages can have it as a placeholder.", maxLength=contact.LONGEST)
    ] = None
    custom_3: Annotated[
        str | None, about("What you like; messages can have it as a placeholder.", maxLength=contact.LONGEST)
    ] = None
    custom_4: Annotated[
        str | None, about("What you like; messages can have it as a placeholder.", maxLength=contact.LONGEST)
    ] = None
    organization_name: Annotated[str | None, about("Name of the company.", maxLength=contact.LONGEST)] = None
    address_line_1: Annotated[str | None, about("Street and number.", maxLength=contact.LONGEST)] = None
    address_line_2: Annotated[str | None, about("More of the address.", maxLength=contact.LONGEST)] = None
    address_city: Annotated[str | None, about("City.", maxLength=contact.LONGEST)] = None
    address_state: Annotated[str | None, about("State.", maxLength=contact.LONGEST)] = None
    address_postal_code: Annotated[str | None, about("Postal code.", maxLength=contact.LONGEST)] = None
    address_country: Annotated[
        str | None, about("ISO 3166 code of two letters; national numbers are read by it.", maxLength=contact.LONGEST)
    ] = None


class DuplicatesBody(msgspec.Struct):
    """Body of 28: a list of fields, or an object with them as keys, as the official client 5.x sends it."""

    fields: Annotated[
        list[str] | dict[str, Any] | str | None, about("Fields that duplicates have in common.", ["phone_number"])
    ] = None


class ImportBody(msgspec.Struct):
    """Body of 29: `file_url` may be the id of an upload. The official client 6.0.2 sends `field_order` as one text."""

    file_url: Annotated[str, about("Address of a CSV, spreadsheet or vCard, or the id of an upload.")]
    field_order: Annotated[
        list[str] | str, about("What its columns hold; an empty name leaves one out.", ["phone", "first_name"])
    ]


class Removed(msgspec.Struct):
    """`data` of the removal of contacts (22 and 28)."""

    deleted: Annotated[int, about("How many contacts were deleted.")]


class StartedImport(msgspec.Struct):
    """`data` of an import that is queued (29)."""

    msg: Annotated[str, about("Always this sentence.", "Messages put on queue.")]
    ids: Annotated[list[str], about("The id of the import.", ["1"])]
    id: Annotated[str, about("The id of the import.", "1")]


class ListEntry(msgspec.Struct):
    """A list."""

    list_id: int
    list_name: str
    list_email_id: str
    contacts_count: int = msgspec.field(name="_contacts_count")
    import_in_progress: int = msgspec.field(name="_import_in_progress")
    optout_in_progress: int = msgspec.field(name="_optout_in_progress")


class ContactEntry(msgspec.Struct):
    """A contact. The times are texts, as in the document."""

    contact_id: int
    list_id: int
    phone_number: str | None
    first_name: str
    last_name: str
    custom_1: str
    custom_2: str
    custom_3: str
    custom_4: str
    date_added: str
    date_updated: str
    fax_number: str | None
    organization_name: str | None
    email: str | None
    address_line_1: str | None
    address_line_2: str | None
    address_city: str | None
    address_state: str | None
    address_postal_code: str | None
    address_country: str | None
    list_name: str = msgspec.field(name="_list_name")


class RowNote(msgspec.Struct):
    """A row of a file that was not imported, or not all of it."""

    line: int
    reason: str


class ImportEntry(msgspec.Struct):
    """View how far an import is. An addition to the contract."""

    import_id: int
    list_id: int
    state: str
    rows_done: int
    rows_added: int
    rows_updated: int
    rows_partial: int
    rows_refused: int
    refused: list[RowNote]
    partial: list[RowNote]
    error: str | None
    error_file_url: str | None
    created_at: int
    finished_at: int | None


class OptOut(msgspec.Struct):
    """An entry of the record of opt-outs. An addition to the contract."""

    opt_out_id: int
    recipient: Annotated[str, about("The number in E.164 format, or the email address.", "+61411111111")]
    event: Annotated[str, about("opt_out, or opt_in for who opted in again.", "opt_out")]
    cause: Annotated[str, about("What it came from.", "Reply STOP")]
    message_id: Annotated[str | None, about("The message that was answered, or whose link was used.", None)]
    list_id: Annotated[int | None, about("The list that the contact left, or came back to.", None)]
    date_added: UnixText


class Found(msgspec.Struct):
    """A contact or a list that a search found."""

    id: int
    name: str
    contact: str
    type: str
    contacts_count: int | None


class FoundPage(paging.Page, kw_only=True):
    """`data` of the search for contacts and lists (125)."""

    data: list[Found]


def _list_entry(req: Request, row: Row) -> ListEntry:
    return ListEntry(
        list_id=row["list_id"],
        list_name=row["list_name"],
        list_email_id=row["list_email_id"],
        contacts_count=row["contacts_count"],
        import_in_progress=int(row["imports_running"] > 0),
        optout_in_progress=int(row["opting_out_until"] > req.tx.now),
    )


def _contact_entry(row: Row, list_name: str) -> ContactEntry:
    values: dict[str, Any] = {name: row[name] for name in ("contact_id", "list_id", *contact.FIELDS)}
    dates = {name: str(row[name]) for name in ("date_added", "date_updated")}
    return ContactEntry(**values | dates, list_name=list_name)


@endpoint("Here are your data.", ListEntry, paged=True)
def view_lists(req: Request) -> Reply:
    """View the contact lists."""
    base = lists.of(req.who.user_id)
    return search.page(req, base, lists.COLUMNS, ("list_id", False), partial(_list_entry, req))


def _name(body: ListBody) -> str:
    name = body.list_name.strip()
    if not name:
        raise BadRequest({"list_name": required("list_name")})
    if len(name) > LONGEST_NAME:
        raise BadRequest({"list_name": f"List name is longer than {LONGEST_NAME} characters."})
    return name


@endpoint("New list has been created.", ListEntry)
def create_list(req: Request, body: ListBody) -> Reply:
    """Create a contact list."""
    return Reply(_list_entry(req, lists.create(req.tx, req.who.user_id, _name(body))))


@endpoint("Here are your data.", ListEntry)
def view_list(req: Request) -> Reply:
    """View a contact list."""
    return Reply(_list_entry(req, lists.find(req.tx, req.who.user_id, _list_id(req))))


def _list_id(req: Request, name: str = "list_id") -> int:
    return req.number(name, lists.NO_RECORD)


@endpoint("", ListEntry)
def update_list(req: Request, body: ListBody) -> Reply:
    """Rename a contact list."""
    key = _list_id(req)
    row = lists.rename(req.tx, req.who.user_id, key, _name(body))
    return Reply(_list_entry(req, row), f"List #{key} has been updated.")


@endpoint("", Nothing)
def delete_list(req: Request) -> Reply:
    """Delete a contact list. Its contacts are removed in the background."""
    key = _list_id(req)
    lists.delete(req.tx, req.who.user_id, key)
    return Reply([], f"List #{key} has been deleted.")


@endpoint("Here are your data.", ContactEntry, paged=True, query=(UPDATED_AFTER,))
def view_contacts(req: Request) -> Reply:
    """View the contacts of a list."""
    window = paging.window(req)
    parent = lists.find(req.tx, req.who.user_id, _list_id(req))
    list_id, render = parent["list_id"], partial(_contact_entry, list_name=parent["list_name"])
    after = req.unix_time("updated_after")
    if search.asked(req, contact.SEARCHED):
        base = contact.of(list_id, updated_after=after)
        return search.page(req, base, contact.SEARCHED, ("contact_id", False), render)
    if after is not None:
        total, rows = contact.updated(req.tx, list_id, after, window.offset, window.limit)
    else:
        total = parent["contacts_count"]  # the page is found by its place, however deep it lies
        rows = contact.page(req.tx, list_id, window.offset, window.limit) if window.offset < total else []
    return Reply(paging.page(req, window, total, rows, render))


def _contact_ids(req: Request, list_name: str = "list_id") -> tuple[int, int]:
    return _list_id(req, list_name), req.number("contact_id", contact.NO_RECORD)


@endpoint("New contact has been created.", ContactEntry)
def create_contact(req: Request, body: ContactBody) -> Reply:
    """Create a contact."""
    target = contact.target(req.tx, req.who.user_id, _list_id(req))
    row = contact.create(req.tx, target, contact.columns(msgspec.structs.asdict(body), req.who.country))
    return Reply(_contact_entry(row, target["list_name"]))


@endpoint("Here are your data.", ContactEntry)
def view_contact(req: Request) -> Reply:
    """View a contact."""
    parent, row = contact.find(req.tx, req.who.user_id, *_contact_ids(req))
    return Reply(_contact_entry(row, parent["list_name"]))


@endpoint("", ContactEntry)
def update_contact(req: Request, body: ContactBody) -> Reply:
    """Change a contact. What the body does not name stays as it is."""
    user_id, (list_id, key) = req.who.user_id, _contact_ids(req)
    _, before = contact.find(req.tx, user_id, list_id, key, lock=True)
    contact.change(req.tx, key, contact.columns(msgspec.structs.asdict(body), req.who.country, before))
    parent, row = contact.find(req.tx, user_id, list_id, key)
    return Reply(_contact_entry(row, parent["list_name"]), f"Contact #{key} has been updated.")


@endpoint("", ContactEntry)
def copy_contact(req: Request) -> Reply:
    """Copy a contact to another list. The copy has an id of its own."""
    list_id, key = _contact_ids(req, "from_list_id")
    _, row = contact.find(req.tx, req.who.user_id, list_id, key)
    target = contact.target(req.tx, req.who.user_id, _list_id(req, "to_list_id"))
    copy = contact.create(req.tx, target, row)
    return Reply(
        _contact_entry(copy, target["list_name"]), f"Contact #{key} has been copied to List #{target['list_id']}"
    )


@endpoint("", ContactEntry)
def transfer_contact(req: Request) -> Reply:
    """Transfer a contact to another list."""
    user_id, (list_id, key) = req.who.user_id, _contact_ids(req, "from_list_id")
    _, row = contact.find(req.tx, user_id, list_id, key, lock=True)
    target = contact.target(req.tx, user_id, _list_id(req, "to_list_id"))
    contact.transfer(req.tx, list_id, target, row)
    parent, row = contact.find(req.tx, user_id, target["list_id"], key)
    return Reply(
        _contact_entry(row, parent["list_name"]), f"Contact #{key} has been transferred to List #{target['list_id']}"
    )


@endpoint("", Nothing)
def delete_contact(req: Request) -> Reply:
    """Delete a contact."""
    list_id, key = _contact_ids(req)
    contact.find(req.tx, req.who.user_id, list_id, key, lock=True)
    contact.remove(req.tx, list_id, [key])
    return Reply([], f"Contact #{key} has been deleted.")


@endpoint("Optout contacts has been deleted.", Removed)
async def remove_opt_outs(req: Request) -> Reply:
    """Remove the contacts of a list that are in an opt-out list too."""
    user_id, list_id = req.who.user_id, _list_id(req)
    opt_out_id = _list_id(req, "opt_out_list_id")
    if list_id == opt_out_id:
        raise BadRequest({"opt_out_list_id": "The opt-out list must be another list."})
    deleted = 0  # slice by slice, so that others are served in between
    start: int | None = 0
    while start is not None:
        work = partial(cleaning.remove_opted_out, user_id=user_id, list_id=list_id, opt_out_id=opt_out_id, start=start)
        removed, start = await req.services.database.write(work, urgent=False, slow=True)
        deleted += removed
    return Reply(Removed(deleted))


@endpoint("Your list duplicate contacts has been deleted.", Removed)
async def remove_duplicates(req: Request, body: DuplicatesBody) -> Reply:
    """Remove the duplicates of a list. The oldest stay."""
    wanted = body.fields or ["phone_number"]
    fields = _fields(wanted.split(",") if isinstance(wanted, str) else list(wanted), "fields")
    names = list(dict.fromkeys(name for name in fields if name))
    if not names:
        raise BadRequest({"fields": required("fields")})
    user_id, list_id, database = req.who.user_id, _list_id(req), req.services.database
    pairs = await database.read(lambda tx: cleaning.duplicates(tx, user_id, list_id, names))
    deleted = 0
    for some in chunks(pairs, 2 * cleaning.PAIRS_AT_ONCE):
        work = partial(cleaning.remove_duplicates, user_id=user_id, list_id=list_id, fields=names, pairs=some)
        deleted += await database.write(work, urgent=False, slow=True)
    return Reply(Removed(deleted))


def _fields(names: list[str], where: str) -> list[str | None]:
    """Fields by their names in any spelling; an empty name is a column to leave out. Raises BadRequest."""
    fields = [sheets.field(name) if name.strip() else None for name in names]
    for name, field in zip(names, fields, strict=True):
        if field is None and name.strip():
            text = f"Unknown field {name.strip()[:50]!r}. Known fields: {', '.join(contact.FIELDS)}."
            raise BadRequest({where: text})
    return fields


@endpoint("Your file is now queued.", StartedImport)
def start_import(req: Request, body: ImportBody) -> Reply:
    """Import contacts from a file. It is fetched and read in the background."""
    order = body.field_order
    fields = _fields(order.split(",") if isinstance(order, str) else order, "field_order")
    named = [name for name in fields if name]
    if not set(named) & set(contact.REACHABLE):
        raise BadRequest({"field_order": "Field order must contain phone_number, fax_number or email."})
    if len(named) > len(set(named)):
        raise BadRequest({"field_order": "Field order names a field twice."})
    url = body.file_url.strip()
    upload = _upload(req, url)
    fault = None if upload else check_url(url, private=req.services.settings.private_webhooks)
    if fault:
        raise BadRequest({"file_url": fault})
    key = imports.queue(req.tx, req.who.user_id, _list_id(req), req.who.country, url, upload, fields)
    return Reply(StartedImport("Messages put on queue.", [str(key)], str(key)))


def _upload(req: Request, url: str) -> str | None:
    """The id of the account's own file that `url` means, if it means one of ours; it is kept until it is read.

    Raises BadRequest: not there.
    """
    file_id = files.named(url, req.base_url)
    until = req.tx.now + files.EXPORT_LIFE
    if file_id is not None and not files.keep(req.tx, req.who.user_id, file_id, until):
        raise BadRequest({"file_url": "There is no such file."})
    return file_id


@endpoint("Here are your data.", ImportEntry)
def view_import(req: Request) -> Reply:
    """View how far an import is. An addition to the contract."""
    key = req.number("import_id", imports.NO_RECORD)
    row = imports.find(req.tx, req.who.user_id, _list_id(req), key)
    refused, partly = (imports.notes(req.tx, key, -1, SHOWN_NOTES, refused=one) for one in (True, False))
    values = {name: row[name] for name in ImportEntry.__struct_fields__ if name in row}
    file_id = row["error_file_id"]
    return Reply(
        ImportEntry(
            **values,
            refused=[RowNote(one["line"], one["reason"]) for one in refused],
            partial=[RowNote(one["line"], one["reason"]) for one in partly],
            error_file_url=f"{req.base_url}/files/{file_id}" if file_id else None,
        )
    )


@endpoint("Here are your opt-outs.", OptOut, paged=True)
def view_opt_outs(req: Request) -> Reply:
    """View who opted out or in again, and why; the newest first. An addition to the contract."""

    def render(row: Row) -> OptOut:
        values = {name: row[name] for name in OptOut.__struct_fields__}
        return OptOut(**values | {"date_added": str(row["date_added"])})

    return search.page(req, optout.of(req.who.user_id), optout.COLUMNS, ("opt_out_id", True), render)


@endpoint("Here are some search result.", FoundPage, query=(WORD, *PAGING))
def search_all(req: Request) -> Reply:
    """Search for contacts and lists. Contacts come first."""
    window = paging.window(req)
    word = req.query.get("q", "")
    if not folded(word):
        raise BadRequest({"q": required("q")})
    if len(word) > search.LONGEST:
        raise BadRequest({"q": f"A search has at most {search.LONGEST} characters."})
    if "\x00" in word:
        raise BadRequest({"q": "The search contains characters that cannot be stored."})
    total, rows = keyword.search(req.tx, req.who.user_id, word, window.offset, window.limit)
    page = paging.page(req, window, total, rows, lambda row: Found(**row))
    return Reply(FoundPage(**msgspec.structs.asdict(page)))
