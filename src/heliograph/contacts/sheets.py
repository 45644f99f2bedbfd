"""Rows of a file as fields of contacts: what kind of file it is, what its columns mean, how programs dress numbers.

Knows nothing of accounts or lists.
"""

import re
from collections.abc import Sequence

from heliograph import phone
from heliograph.contacts.contact import FIELDS, REACHABLE
from heliograph.files.kinds import is_markup, signed
from heliograph.files.separated import LIST, Limits
from heliograph.files.text import is_text, utf_16

LONGEST_CELL = 300
"""Characters of a cell, without the space around it: a longer one costs its row before anything reads what it says."""

LIMITS = Limits(longest=LONGEST_CELL, widest=256)
"""What is read of a row."""

DIGITS_OF_A_HEADING = 4
"""Most digits in the name of a column: "Phone 1", "Mobile 2024"."""

_OTHER_NAMES = {
    "phone": "phone_number",
    "mobile": "phone_number",
    "mobilenumber": "phone_number",
    "fax": "fax_number",
    "emailaddress": "email",
    "organisationname": "organization_name",
    "company": "organization_name",
    "companyname": "organization_name",
    **{f"cust{number}": f"custom_{number}" for number in (1, 2, 3, 4)},
    "address1": "address_line_1",
    "address2": "address_line_2",
    "city": "address_city",
    "state": "address_state",
    "postalcode": "address_postal_code",
    "postcode": "address_postal_code",
    "zip": "address_postal_code",
    "country": "address_country",
}
_NAMES = {re.sub(r"\W|_", "", name): name for name in FIELDS} | _OTHER_NAMES


def field(name: str) -> str | None:
    """The field of a contact that a column's name means, in the spellings of facts H8 and usual ones; None: unknown."""
    return _NAMES.get(re.sub(r"\W|_", "", name).lower())


def kind(head: bytes) -> str | None:
    """What a file that begins like this is: "sheet" (xlsx, xls, ods), "vcard", "markup" or "text".

    None: nothing readable.
    """
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
        return "sheet"
    units = utf_16(head)
    text = head.decode(units or "latin-1", "replace").removeprefix("\xef\xbb\xbf").lstrip("\ufeff \t\r\n")
    if text[:11].upper() == "BEGIN:VCARD":
        return "vcard"
    if is_markup(text):
        return "markup"
    if units is None and (text.startswith(("%PDF-", "{\\rtf")) or signed(head) is not None):
        return None
    return "text" if is_text(text) else None


def unquoted(cell: str) -> str:
    """A cell without what programs put around its text to have it kept as text: '0491…, ="0491…"."""
    text = cell.strip()
    if text.startswith('="') and text.endswith('"') and text.count('"') == 2:
        return text[2:-1]
    return text.removeprefix("'")


def numbers(cell: str) -> list[str]:
    """The numbers or addresses of a cell; most have one."""
    return [text for text in map(unquoted, cell.split(LIST)) if text]


def is_header(cells: Sequence[str], fields: Sequence[str | None], country: str) -> bool:
    """Whether a first row only names the columns: it holds no number and no address where they belong (facts H10)."""
    keyed = [cell.strip() for name, cell in zip(fields, cells, strict=False) if name in REACHABLE]
    said = [cell for cell in keyed if cell]
    return bool(said) and max(map(len, said)) <= LONGEST_CELL and all(_is_heading(cell, country) for cell in said)


def _is_heading(cell: str, country: str) -> bool:
    if field(cell) is not None:
        return True
    digits = sum(map(str.isdigit, cell))
    if "@" in cell or digits > DIGITS_OF_A_HEADING:
        return False
    return not digits or (any(map(str.isalpha, cell)) and phone.parse(cell, country) is None)
