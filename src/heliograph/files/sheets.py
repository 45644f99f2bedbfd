"""Spreadsheets and address books to clean CSV: UTF-8, commas, CRLF, every row as long as the longest."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import python_calamine as calamine
import vobject

from heliograph.files.kinds import text_of
from heliograph.files.task import Refused

MOST_ROWS = 200_000
MOST_COLUMNS = 500
CARD_COLUMNS = (
    *("phone", "first_name", "last_name", "email", "fax_number", "organization_name", "address_line_1"),
    *("address_line_2", "address_city", "address_state", "address_postal_code", "address_country"),
)
"""First row of what was an address book: the names that an import knows. Source: endpoint 29, `field_order`."""


def to_csv(data: bytes, kind: str) -> bytes:
    """The first sheet, the text or the cards as CSV. Raises Refused."""
    readers = {"csv": _separated, "vcf": _cards}
    rows = list(_bounded(readers.get(kind, _workbook)(data)))
    width = max(map(len, rows), default=0)
    if not width:
        raise Refused("The file has no rows.")
    out = io.StringIO()
    csv.writer(out).writerows([*row, *[""] * (width - len(row))] for row in rows)
    return out.getvalue().encode()


def _bounded(rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Rows without empty ends; empty rows are left out."""
    for row in rows:
        length = len(row)
        while length and not row[length - 1]:
            length -= 1
        if length > MOST_COLUMNS:
            raise Refused(f"The file has more than {MOST_COLUMNS} columns.")
        if length:
            yield row[:length]


def _counted(rows: Iterable[Any]) -> Iterator[Any]:
    for number, row in enumerate(rows):
        if number >= MOST_ROWS:
            raise Refused(f"The file has more than {MOST_ROWS} rows.")
        yield row


def _workbook(data: bytes) -> Iterator[list[str]]:
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheet = book.get_sheet_by_index(0)
    except calamine.PasswordError:
        raise Refused("The file is protected with a password.") from None
    except (calamine.CalamineError, calamine.ZipError, calamine.XmlError, OSError):
        raise Refused("The file is damaged.") from None
    for row in _counted(sheet.iter_rows()):
        yield [_cell(value) for value in row]


def _cell(value: Any) -> str:
    """A cell as text. Spreadsheets keep a phone number as 61411111111.0, which nobody typed."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return _clean(str(value))


def _clean(text: str) -> str:
    """The text without control characters; those that a spreadsheet shows as breaks stay."""
    return "".join(character for character in text.strip() if character >= " " or character in "\n\t")


def _separated(data: bytes) -> Iterator[list[str]]:
    text = text_of(data) or ""
    sample = text[:20_000]
    mark = max(",;\t|", key=lambda one: sample.split("\n", 1)[0].count(one))
    csv.field_size_limit(1_000_000)
    try:
        for row in _counted(csv.reader(io.StringIO(text, newline=""), delimiter=mark)):
            yield [_clean(value) for value in row]
    except csv.Error as problem:
        raise Refused(f"The file is no CSV: {problem}.") from None


def _cards(data: bytes) -> Iterator[Sequence[str]]:
    yield CARD_COLUMNS
    for card in _counted(vobject.readComponents(text_of(data) or "", ignoreUnreadable=True)):
        if card.name == "VCARD":
            yield _card(card.contents)


def _card(contents: dict[str, list[Any]]) -> list[str]:
    numbers = [(_kinds(line), str(line.value).removeprefix("tel:")) for line in contents.get("tel", ())]
    voice = [number for kinds, number in sorted(numbers, key=lambda one: "CELL" not in one[0]) if "FAX" not in kinds]
    fax = [number for kinds, number in numbers if "FAX" in kinds]
    name = contents["n"][0].value if "n" in contents else None
    given, family = (_words(name.given), _words(name.family)) if name else ("", "")
    if not given and not family and "fn" in contents:
        given, _, family = str(contents["fn"][0].value).partition(" ")
    mail = [str(line.value) for line in contents.get("email", ())]
    organization = _words(contents["org"][0].value) if "org" in contents else ""
    values = [*voice[:1], *[""] * (not voice), given, family, (mail or [""])[0], (fax or [""])[0], organization]
    return [_clean(value) for value in (*values, *_address(contents))]


def _kinds(line: Any) -> set[str]:
    """Types of a line: a parameter in vCard 3.0 and 4.0, bare words in 2.1."""
    given = [*line.params.get("TYPE", ()), *line.singletonparams]
    return {word.upper() for one in given for word in str(one).split(",")}


def _words(value: Any) -> str:
    return " ".join(filter(None, map(str, value))) if isinstance(value, list) else str(value)


def _address(contents: dict[str, list[Any]]) -> list[str]:
    if "adr" not in contents:
        return [""] * 6
    adr = contents["adr"][0].value
    return [_words(part) for part in (adr.street, adr.extended, adr.city, adr.region, adr.code, adr.country)]
