"""A process of its own that turns a spreadsheet or a file of cards into CSV: `python -m heliograph.contacts.convert`.

It has little memory and time, so that a hostile file ends it and nothing else.
"""

import csv
import re
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import vobject
from python_calamine import CalamineError, CalamineWorkbook

from heliograph.contacts import sheets
from heliograph.contacts.contact import FIELDS

MOST_MEMORY = 2 * 1024**3
MOST_SECONDS = 45
MOST_OUTPUT = 512 * 1024**2


def main(arguments: Sequence[str]) -> int:
    """Convert: the kind of the file, its path, the path of the CSV, the country of the account. The exit code."""
    kind, source, made, country = arguments
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))
    try:
        with Path(made).open("w", encoding="utf-8", newline="", errors="replace") as out:
            writer = csv.writer(out)
            for cells in cards(Path(source), country) if kind == "vcard" else cells_of(Path(source)):
                writer.writerow([re.sub(r"\s+", " ", cell) for cell in cells])
    except CalamineError:
        return sheets.DAMAGED
    except (MemoryError, OSError):
        return sheets.TOO_LARGE
    return 0


def cells_of(path: Path) -> Iterator[list[str]]:
    """The rows of the first sheet of an xlsx, xls or ods; an empty row stays, so that line numbers are right."""
    with path.open("rb") as file:
        sheet = CalamineWorkbook.from_filelike(file).get_sheet_by_index(0)
        left = [""] * (sheet.start[1] if sheet.start else 0)  # empty columns before the first cell are left out
        for row in sheet.iter_rows():
            yield left + [_text(value) for value in row[: sheets.MOST_CELLS + 1]]


def _text(value: Any) -> str:
    """A cell as a person reads it: a number that is whole has no point (phone numbers are such)."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def cards(path: Path, country: str) -> Iterator[list[str]]:
    """The cards of a vCard file (2.1, 3.0, 4.0) as rows in the order of FIELDS; a broken card is an empty row."""
    with path.open(encoding=sheets.encoding(path, country), errors="replace") as file:
        card: list[str] = []
        for line in iter(lambda: file.readline(sheets.LONGEST_LINE), ""):
            word = line.strip().upper()
            if word == "BEGIN:VCARD":
                card.clear()
            card.append(line if line.endswith("\n") else line + "\n")
            if word == "END:VCARD":
                yield _row("".join(card))
                card.clear()
            elif len(card) > 5000:  # photographs have long lines of their own; this is no card
                card.clear()


def _row(text: str) -> list[str]:
    try:
        card = vobject.readOne(text)
    except (vobject.base.VObjectError, ValueError, LookupError, AttributeError, StopIteration):
        return ["(a card that cannot be read)"]
    phones, fax = _phones(card)
    name = getattr(getattr(card, "n", None), "value", None)
    address = getattr(getattr(card, "adr", None), "value", None)
    organisation = getattr(getattr(card, "org", None), "value", None)
    full = _first(card, "fn")
    values = {
        "phone_number": phones,
        "fax_number": fax,
        "email": _first(card, "email"),
        "first_name": _line(getattr(name, "given", "")) or ("" if getattr(name, "family", "") else full),
        "last_name": _line(getattr(name, "family", "")),
        "organization_name": _line(organisation[0] if organisation else ""),
        "address_line_1": _line(getattr(address, "street", "")),
        "address_line_2": _line(getattr(address, "extended", "")),
        "address_city": _line(getattr(address, "city", "")),
        "address_state": _line(getattr(address, "region", "")),
        "address_postal_code": _line(getattr(address, "code", "")),
        "address_country": _line(getattr(address, "country", "")),
    }
    return [values.get(field, "") for field in FIELDS]


def _line(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _first(card: Any, name: str) -> str:
    found = card.contents.get(name)
    return _line(found[0].value).removeprefix("mailto:") if found else ""


def _phones(card: Any) -> tuple[str, str]:
    """(the cell phone or else the first number that is no fax, the first fax)."""
    cell = other = fax = ""
    for line in card.contents.get("tel", ()):
        kinds = {str(kind).upper() for kind in [*line.params.get("TYPE", ()), *line.singletonparams]}
        number = _line(line.value).removeprefix("tel:")
        if "FAX" in kinds:
            fax = fax or number
        elif "CELL" in kinds:
            cell = cell or number
        else:
            other = other or number
    return cell or other, fax


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
