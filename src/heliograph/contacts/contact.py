"""Contacts: what they hold, how they are checked, and every way in which they come, change and go.

Code that adds or removes contacts must lock the list first (`lists.find(..., lock=True)`), so that its counts stay
right.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select

from heliograph import countries, phone
from heliograph.contacts import lists
from heliograph.db.dialect import chunks
from heliograph.db.engine import Tx
from heliograph.db.tables import contact_lists, contacts
from heliograph.errors import BadRequest, Forbidden, NotFound, label
from heliograph.mailaddress import is_address
from heliograph.texts import folded

NO_RECORD = "Contact record not found."
LONGEST = 255
REACHABLE = ("phone_number", "fax_number", "email")
NAMES = ("first_name", "last_name", "custom_1", "custom_2", "custom_3", "custom_4")
"""Fields that are an empty text when they are not given; the others are null then (see the example of endpoint 15)."""

FIELDS = (
    "phone_number",
    "fax_number",
    "email",
    *NAMES,
    "organization_name",
    "address_line_1",
    "address_line_2",
    "address_city",
    "address_state",
    "address_postal_code",
    "address_country",
)
_STORED = (*FIELDS, "phone_original", "fax_original", "msisdn", "keywords")
COLUMNS = ("user_id", "list_id", "place", "date_added", "date_updated", *_STORED)
SEARCHED = {name: contacts.c[name] for name in ("contact_id", *FIELDS, "date_added", "date_updated")}
"""What the contacts of a list can be searched and sorted by."""

NOTHING: Mapping[str, Any] = {}
Row = Mapping[str, Any]


def columns(given: Mapping[str, str | None], country: str, before: Row = NOTHING) -> dict[str, Any]:
    """The columns of a contact that gets these fields; None or absent: as in `before`, or empty.

    National numbers are those of the contact's country, if it has one, or else of `country`. Raises BadRequest with a
    sentence for each bad field.
    """
    made = {name: before.get(name, "" if name in NAMES else None) for name in _STORED}
    faults: dict[str, str] = {}
    for name in FIELDS:
        value = given.get(name)
        if value is None:
            continue
        text = value.strip()
        if len(text) > LONGEST:
            faults[name] = f"{label(name)} is longer than {LONGEST} characters."
        elif "\x00" in text:
            faults[name] = f"{label(name)} contains characters that cannot be stored."
        made[name] = text or ("" if name in NAMES else None)
    for name, original in (("phone_number", "phone_original"), ("fax_number", "fax_original")):
        if given.get(name) is not None and name not in faults:
            made[original] = made[name]
            made[name] = _number(made[name], made["address_country"], country, name, faults)
    if made["email"] and not is_address(made["email"]):
        faults["email"] = "Email must be an email address."
    if not faults and not any(made[name] for name in REACHABLE):
        faults["phone_number"] = "Phone number field is required when there is no fax number or email."
    if faults:
        raise BadRequest(faults)
    made["msisdn"] = phone.msisdn(made["phone_number"] or "")
    known = (made["first_name"], made["last_name"], made["organization_name"], *(made[name] for name in REACHABLE))
    made["keywords"] = folded(" ".join(filter(None, known)))
    return made


def _number(text: str | None, own: str | None, country: str, name: str, faults: dict[str, str]) -> str | None:
    """E.164 of a number, or None with a note in `faults`."""
    if not text:
        return None
    code = countries.code(own) if own else country
    found = phone.parse(text, code)
    if found is None and code == countries.UNKNOWN and own:
        faults[name] = f"{label(name)} has no country: {own[:40]} is no name and no ISO 3166 code of a country."
    elif found is None:
        home = f" of {code}, or have its calling code" if own else ""
        faults[name] = f"{label(name)} must be a valid phone number{home}."
    return found.number if found else None


def of(list_id: int, *, updated_after: int | None = None) -> Select[Any]:
    """The contacts of a list, to search through. The caller has made sure whose list it is."""
    found = select(contacts).where(contacts.c.list_id == list_id)
    return found if updated_after is None else found.where(contacts.c.date_updated > updated_after)


def find(tx: Tx, user_id: int, list_id: int, contact_id: int, *, lock: bool = False) -> tuple[Row, Row]:
    """(list, contact) by their ids. Raises NotFound."""
    found = lists.find(tx, user_id, list_id, lock=lock)
    row = tx.row(of(list_id).where(contacts.c.contact_id == contact_id))
    if row is None:
        raise NotFound(NO_RECORD)
    return found, row


def target(tx: Tx, user_id: int, list_id: int) -> Row:
    """The locked list that contacts are added to. Raises Forbidden. Source: facts A5."""
    try:
        return lists.find(tx, user_id, list_id, lock=True)
    except NotFound:
        raise Forbidden from None


def add(tx: Tx, into: Row, rows: Sequence[Row]) -> int:
    """Append contacts (as `columns` made them) to a locked list; the place of the first."""
    first = lists.grow(tx, into["list_id"], len(rows))
    tx.insert_rows(
        "contacts",
        COLUMNS,
        [
            (into["user_id"], into["list_id"], place, tx.now, tx.now, *(row[name] for name in _STORED))
            for place, row in enumerate(rows, first)
        ],
    )
    return first


def create(tx: Tx, into: Row, row: Row) -> Row:
    """Add one contact to a locked list and read it back."""
    place = add(tx, into, [row])
    made = tx.row(of(into["list_id"]).where(contacts.c.place == place))
    assert made is not None
    return made


def change(tx: Tx, contact_id: int, row: Row) -> None:
    """Store new columns of a contact of a locked list."""
    values = {name: row[name] for name in _STORED}
    tx.execute(contacts.update().where(contacts.c.contact_id == contact_id).values(date_updated=tx.now, **values))


def remove(tx: Tx, list_id: int, ids: Iterable[int]) -> int:
    """Remove contacts from a locked list; how many were there."""
    # The plus keeps SQLite off the index of the list: it estimates ten rows for a list, and would read all of it.
    sql = "DELETE FROM contacts WHERE +list_id = ? AND contact_id IN ({}) RETURNING place"
    places = [row[0] for row in tx.driver_in(sql, [list_id], ids)]
    lists.shrink(tx, list_id, places)
    return len(places)


def transfer(tx: Tx, source: int, into: Row, row: Row) -> None:
    """Move a contact of the locked list `source` to another locked list; it keeps its id."""
    if source == into["list_id"]:
        return
    place = lists.grow(tx, into["list_id"], 1)
    lists.shrink(tx, source, [row["place"]])
    moved = contacts.update().where(contacts.c.contact_id == row["contact_id"])
    tx.execute(moved.values(list_id=into["list_id"], place=place, date_updated=tx.now))


def page(tx: Tx, list_id: int, offset: int, limit: int) -> Sequence[Row]:
    """A page of a list in the order in which contacts were added. A deep page costs about as much as the first one."""
    first, end, skip = lists.seek(tx, list_id, offset, limit)
    sql = "SELECT place FROM contacts WHERE list_id = ? AND place >= ? AND place < ? ORDER BY place LIMIT ? OFFSET ?"
    places = [row[0] for row in tx.driver(sql, [list_id, first, end, limit, skip]).fetchall()]
    if not places:
        return []
    # Bounds on both sides: without statistics PostgreSQL would read the rest of the list to sort it.
    among = (contacts.c.place >= places[0]) & (contacts.c.place <= places[-1])
    return tx.rows(of(list_id).where(among).order_by(contacts.c.place))


def updated(tx: Tx, list_id: int, after: int, offset: int, limit: int) -> tuple[int, Sequence[Row]]:
    """(how many, those of the page) of the contacts that changed after a Unix time, in the order of their changes.

    Counting and finding the page need the index only; just the rows of the page are read.
    """
    since = (contacts.c.list_id == list_id) & (contacts.c.date_updated > after)
    total = int(tx.scalar(select(func.count()).where(since)))
    if offset >= total:
        return total, []
    order = (contacts.c.date_updated, contacts.c.contact_id)
    shown = select(contacts.c.contact_id).where(since).order_by(*order).limit(limit).offset(offset)
    ids = [row["contact_id"] for row in tx.rows(shown)]
    return total, tx.rows(select(contacts).where(contacts.c.contact_id.in_(ids)).order_by(*order))


def numbered(tx: Tx, list_id: int, numbers: Iterable[int]) -> dict[int, Row]:
    """The contacts of a list that have these numbers (digits of E.164); the oldest of each number."""
    found: dict[int, Row] = {}
    for row in having(tx, list_id, numbers):
        found.setdefault(row["msisdn"], row)
    return found


def having(tx: Tx, list_id: int, numbers: Iterable[int]) -> list[Row]:
    """All contacts of a list that have these numbers, the oldest first."""
    rows: list[Row] = []
    for some in chunks(list(set(numbers)), 500):
        rows += tx.rows(of(list_id).where(contacts.c.msisdn.in_(some)))
    # Sorted here and not in SQL: SQLite would read the whole list in that order instead of looking the numbers up.
    return sorted(rows, key=itemgetter("place"))


def numbers_in(tx: Tx, list_id: int, numbers: Iterable[int | None]) -> set[int]:
    """Those of the numbers (digits of E.164) that a list has."""
    sql = "SELECT msisdn FROM contacts WHERE list_id = ? AND msisdn IN ({})"
    wanted = {number for number in numbers if number is not None}
    return {row[0] for row in tx.driver_in(sql, [list_id], wanted)}


def addresses_in(tx: Tx, list_id: int, addresses: Iterable[str]) -> set[str]:
    """Those of the mail addresses (in small letters) that a list has, in whatever case."""
    sql = "SELECT LOWER(email) FROM contacts WHERE list_id = ? AND email IS NOT NULL AND LOWER(email) IN ({})"
    return {row[0] for row in tx.driver_in(sql, [list_id], set(addresses))}


class Moved(NamedTuple):
    """What `move` found: the recipient as contacts hold it, whether the target had it, whether it left the source."""

    recipient: str
    there: bool
    left: bool


def _named(recipient: str) -> tuple[str, int | str] | None:
    """A recipient as contacts hold it, and what it is looked up by: digits of E.164, or an address in small letters."""
    number = phone.parse(recipient)
    digits = phone.msisdn(number.number) if number else None
    if number and digits is not None:
        return number.number, digits
    return (recipient, recipient.lower()) if is_address(recipient) else None


def _known_by(tx: Tx, list_id: int, key: int | str) -> list[Row]:
    """The contacts of a list that have a number or an address (as `_named` gives it), the oldest first."""
    if isinstance(key, int):
        return having(tx, list_id, [key])
    return sorted(tx.rows(of(list_id).where(func.lower(contacts.c.email) == key)), key=itemgetter("place"))


def _new(recipient: str, said: Row = NOTHING) -> dict[str, Any]:
    """The columns of a contact of which only the recipient is known, and what it said."""
    return columns({**said, "email" if "@" in recipient else "phone_number": recipient}, "")


def _locked(tx: Tx, user_id: int, list_id: int | None) -> Row | None:
    return tx.row(lists.of(user_id).where(contact_lists.c.list_id == (list_id or 0)).with_for_update())


def enter(tx: Tx, user_id: int, recipient: str, list_id: int, said: Mapping[str, str | None]) -> None:
    """What CREATE_CONTACT does: put a number or an address into the list with these fields, or write the fields into
    its contact there.

    Does nothing when it is neither, or the list is gone. Source: facts E. Raises BadRequest: bad fields.
    """
    named, into = _named(recipient), _locked(tx, user_id, list_id)
    if named is None or into is None:
        return
    there = _known_by(tx, list_id, named[1])
    if not there:
        add(tx, into, [_new(named[0], said)])
    elif said:
        change(tx, there[0]["contact_id"], columns(said, "", there[0]))


def move(tx: Tx, user_id: int, recipient: str, source: int | None, list_id: int) -> Moved | None:
    """What MOVE_CONTACT does: move a number or an address from the list that the message went to into `list_id`.

    Other lists are not touched. Who was in no list is still added to an Opt-Out List. None: it is neither, or the list
    is gone. Source: facts E, G9.
    """
    named, into = _named(recipient), _locked(tx, user_id, list_id)
    if named is None or into is None:
        return None
    found = there = bool(_known_by(tx, list_id, named[1]))
    from_ = _locked(tx, user_id, source) if source != list_id else None
    mine = _known_by(tx, from_["list_id"], named[1]) if from_ else []
    if from_ and mine:
        rest = mine if found else mine[1:]
        if not found:
            transfer(tx, from_["list_id"], into, mine[0])
            there = True
        remove(tx, from_["list_id"], [row["contact_id"] for row in rest])
    if not there and into["is_opt_out"]:
        add(tx, into, [_new(named[0])])
    return Moved(named[0], found, bool(mine))


def leave(tx: Tx, user_id: int, recipient: str, list_id: int) -> bool:
    """Remove a number or an address from a list; whether it was there."""
    named, from_ = _named(recipient), _locked(tx, user_id, list_id)
    if named is None or from_ is None:
        return False
    return remove(tx, list_id, [row["contact_id"] for row in _known_by(tx, list_id, named[1])]) > 0
