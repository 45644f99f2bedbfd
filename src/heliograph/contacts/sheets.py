"""Files of contacts as rows: what kind of file it is, its encoding and delimiter, and its rows one by one.

Knows nothing of accounts or lists. The memory needed does not grow with the length of a file.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from heliograph.contacts.contact import FIELDS, REACHABLE
from heliograph.files.kinds import utf_16

LONGEST_LINE = 65_536
LONGEST_CELL = 300
"""Characters of a cell, without the space around it: a longer one costs its row before anything reads what it says."""
MOST_CELLS = 256
MOST_LINES_OF_A_ROW = 50
SAMPLE = 65_536
DELIMITERS = ",;\t|"
TOO_LONG = f"The line is longer than {LONGEST_LINE} characters."
TOO_MANY = f"The row has more than {MOST_CELLS} columns."
UNCLOSED = "The quotes of this row are never closed."

Row = tuple[int, list[str] | str]
"""The line (from 1) where a row begins, and its cells; or the reason why it cannot be read."""

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
    """What a file that begins like this is: "sheet" (xlsx, xls, ods), "vcard" or "text"; None: nothing readable."""
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
        return "sheet"
    plain = head.replace(b"\x00", b"")  # address books may be in UTF-16, too
    if re.match(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*BEGIN:VCARD", plain, re.IGNORECASE):
        return "vcard"
    if b"\x00" in head and utf_16(head) is None:
        return None
    return "text"


_CODE_PAGES = {
    **dict.fromkeys(("CZ", "SK", "PL", "HU", "SI", "HR", "RO", "BA", "AL"), "cp1250"),
    **dict.fromkeys(("RU", "UA", "BY", "BG", "RS", "MK", "KZ"), "cp1251"),
    "GR": "cp1253",
    "CY": "cp1253",
    "TR": "cp1254",
    "IL": "cp1255",
    "VN": "cp1258",
    "TH": "cp874",
    **dict.fromkeys(("EE", "LV", "LT"), "cp1257"),
    "JP": "cp932",
    "CN": "gb18030",
    "SG": "gb18030",
    "KR": "cp949",
    "TW": "cp950",
    "HK": "cp950",
    "MO": "cp950",
}
"""What Windows programs write by default in these countries; elsewhere it is cp1252."""


def code_page(country: str) -> str:
    """The encoding that a text of a country has when it is not Unicode."""
    return _CODE_PAGES.get(country, "cp1252")


def encoding(path: Path, country: str) -> str:
    """The encoding of a text file: by its mark, UTF-8 if all of it is, or else the code page of the country."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    found = utf_16(head)
    if found:
        return found
    for name in ("utf-8-sig", code_page(country)):
        if _decodes(path, name):
            return name
    return "cp1252"


def _decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    with path.open("rb") as file:
        try:
            while piece := file.read(1 << 20):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


class _Lines:
    """The lines of a text for csv.reader; each is short, and those of an unfinished row can be put back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._back: list[str] = []
        self.number = 0
        self.taken: list[str] = []
        self.cut = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._back.pop() if self._back else self._file.readline(LONGEST_LINE + 1)
        if not line or (self.taken and (len(self.taken) >= MOST_LINES_OF_A_ROW or len(line) > LONGEST_LINE)):
            self.cut = bool(self.taken)
            if line:
                self._back.append(line)
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(LONGEST_LINE)
            raise _Bad(TOO_LONG)
        self.taken.append(line)
        return line

    def begin(self) -> None:
        """A new row begins."""
        self.taken.clear()
        self.cut = False

    def put_back(self) -> None:
        """Give all lines of the row back but its first."""
        self.number -= len(self.taken) - 1
        self._back.extend(reversed(self.taken[1:]))


class _Bad(Exception):
    """A line that cannot be read."""


def rows(path: Path, name: str, width: int) -> Iterator[Row]:
    """The rows of a CSV in the encoding `name`, of which about `width` columns are expected. Empty ones are left out.

    A quote that is never closed spoils its own row only.
    """
    with path.open(encoding=name, errors="replace", newline="") as file:
        delimiter, marked = _delimiter(file.read(SAMPLE), width)
        file.seek(0)
        lines = _Lines(file)
        if marked:
            next(lines)
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        while True:
            lines.begin()
            start = lines.number + 1
            try:
                cells = next(reader)
                if lines.cut:
                    raise _Bad(UNCLOSED)
            except StopIteration:
                return
            except (_Bad, csv.Error) as problem:
                if not isinstance(problem, _Bad) or lines.cut:
                    lines.put_back()
                yield start, str(problem) if isinstance(problem, _Bad) else UNCLOSED
                continue
            if len(cells) > MOST_CELLS:
                yield start, TOO_MANY
            elif any(cell.strip() for cell in cells):
                yield start, cells


def _delimiter(sample: str, width: int) -> tuple[str, bool]:
    """The delimiter, and whether a first line "sep=;" names it (Excel's habit)."""
    named = re.match(r"sep=([,;\t|:^~])\r?\n", sample, re.IGNORECASE)
    if named:
        return named[1], True
    head = sample.splitlines()[:20]
    return max(DELIMITERS, key=lambda one: _fit(head, one, width)), False


def _fit(head: Sequence[str], delimiter: str, width: int) -> tuple[int, int, int]:
    """How well the first lines look when they are cut at this delimiter."""
    try:
        counts = Counter(len(cells) for cells in csv.reader(head, delimiter=delimiter) if cells)
    except csv.Error:
        return 0, 0, 0
    usual, often = max(counts.items(), key=lambda item: (item[0] > 1, item[1]), default=(0, 0))
    return counts[width] if width > 1 else 0, often if usual > 1 else 0, usual


def unquoted(cell: str) -> str:
    """A number or an address without what programs put around it to keep its digits: '0491…, ="0491…", 61491….0.

    Without a pattern: one that tries every place for the end took seconds for a cell of 30,000 spaces.
    """
    text = cell.strip()
    if text.startswith('="') and text.endswith('"') and text.count('"') == 2:
        return text[2:-1]
    text = text.removeprefix("'")
    whole, dot, zeros = text.rpartition(".")
    if dot and zeros and not zeros.strip("0") and len(whole) > 4 and whole[-5:].isdecimal():
        return whole
    return text


def is_header(cells: Sequence[str], fields: Sequence[str | None]) -> bool:
    """Whether a first row only names the columns: it holds no number and no address where they belong (facts H10)."""
    keyed = [cell.strip() for name, cell in zip(fields, cells, strict=False) if name in REACHABLE]
    said = [cell for cell in keyed if cell]
    if not said or max(map(len, said)) > LONGEST_CELL:
        return False
    return all(field(cell) is not None or not re.search(r"[\d@]", cell) for cell in said)
