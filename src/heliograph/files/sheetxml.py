"""How the numbers of a sheet are shown: what the library that reads their values does not tell.

Read beside it, row by row, from the XML of xlsx (ECMA-376) and ods (ODF 1.2), with the parser of Python's own library;
a file that defines entities is refused.
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any
from xml.parsers import expat

import msgspec

from heliograph.files import formats
from heliograph.files.task import Refused

MOST_COLUMNS = 500
CHUNK = 1 << 18

_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_ODF = "urn:oasis:names:tc:opendocument:xmlns:"
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_GROUPED = re.compile(r"\d{1,3}(?:[., \u00a0\u202f']\d{3})+")
_ODS_NUMBER = re.compile(r"(\D{0,20})(\d(?:[\d., \u00a0\u202f'()/-]{0,60}\d)?)(\D{0,20})")

Shape = Callable[[float], str]
"""Makes of a number what is shown of it."""


class Shapes(msgspec.Struct, frozen=True):
    """Rows (from 0) whose cells are shaped alike: column -> how."""

    first: int
    last: int
    cells: dict[int, Shape]


def shapes(data: bytes, kind: str, number: int) -> Iterator[Shapes]:
    """The cells of the sheet with this number (from 0) whose format matters, row by row. Raises Refused."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (_ods if kind == "ods" else _xlsx)(archive, number)
    except (expat.ExpatError, KeyError, zipfile.BadZipFile):
        raise Refused("The file is damaged.") from None


class _Reader:
    """A parser of XML that gives elements as "namespace name", and rows as soon as they are read."""

    def __init__(self) -> None:
        self.rows: list[Shapes] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self.start
        self._parser.EndElementHandler = self.end
        self._parser.CharacterDataHandler = self.text
        self._parser.EntityDeclHandler = self._entity
        self._parser.buffer_text = True

    def start(self, name: str, given: dict[str, str]) -> None:
        pass

    def end(self, name: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass

    def _entity(self, *_: Any) -> None:
        raise Refused("The file is damaged.")

    def read(self, archive: zipfile.ZipFile, member: str) -> Iterator[Shapes]:
        with archive.open(member) as file:
            while piece := file.read(CHUNK):
                self._parser.Parse(piece, False)
                yield from self.rows
                self.rows.clear()
            self._parser.Parse(b"", True)
            yield from self.rows


class _Elements(_Reader):
    """All elements of a small file with their attributes, and those within which they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, dict[str, str]]] = []
        self._inside: list[str] = []

    def start(self, name: str, given: dict[str, str]) -> None:
        self.found.append((name.rpartition(" ")[2], self._inside[-1] if self._inside else "", given))
        self._inside.append(name.rpartition(" ")[2])

    def end(self, name: str) -> None:
        self._inside.pop()


def _elements(archive: zipfile.ZipFile, member: str) -> list[tuple[str, str, dict[str, str]]]:
    """(name, parent, attributes) of each element; nothing when the file is not there."""
    if member not in archive.namelist():
        return []
    reader = _Elements()
    list(reader.read(archive, member))
    return reader.found


def _xlsx(archive: zipfile.ZipFile, number: int) -> Iterator[Shapes]:
    codes = _codes(_elements(archive, "xl/styles.xml"))
    member = _member(archive, number)
    if codes and member in archive.namelist():
        yield from _Sheet(codes).read(archive, member)


def _codes(styles: list[tuple[str, str, dict[str, str]]]) -> dict[str, Shape]:
    """How a number of each style is shown, of the styles for which that matters."""
    named = {given.get("numFmtId"): given.get("formatCode", "") for name, _, given in styles if name == "numFmt"}
    used = [given.get("numFmtId", "0") for name, parent, given in styles if (name, parent) == ("xf", "cellXfs")]
    codes = [named.get(key) or formats.BUILT_IN.get(int(key) if key.isdecimal() else 0, "") for key in used]
    return {str(at): partial(_shown, code=code) for at, code in enumerate(codes) if formats.shapes(code)}


def _shown(value: float, code: str) -> str:
    return formats.shown(value, code)


def _member(archive: zipfile.ZipFile, number: int) -> str:
    """The file in the archive that holds a sheet."""
    sheets = [given for name, _, given in _elements(archive, "xl/workbook.xml") if name == "sheet"]
    key = next((value for name, value in sheets[number].items() if name.endswith("relationships id")), "")
    links = _elements(archive, "xl/_rels/workbook.xml.rels")
    target = next((given.get("Target", "") for _, _, given in links if given.get("Id") == key), "")
    return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")


class _Sheet(_Reader):
    """The cells of a worksheet with a style for which it matters."""

    def __init__(self, codes: dict[str, Shape]) -> None:
        super().__init__()
        self._codes = codes
        self._row = self._column = -1
        self._cells: dict[int, Shape] = {}

    def start(self, name: str, given: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        if space not in (_SHEET, _STRICT):
            return
        if tag == "row":
            at = given.get("r", "")
            self._row = int(at) - 1 if at.isdecimal() and len(at) < 8 else self._row + 1
            self._column = -1
        elif tag == "c":
            place = _PLACE.fullmatch(given.get("r", ""))
            self._column = _column(place[1]) if place else self._column + 1
            shape = self._codes.get(given.get("s", ""))
            if shape is not None and given.get("t", "n") == "n":
                self._cells[self._column] = shape

    def end(self, name: str) -> None:
        if self._cells and name in (f"{_SHEET} row", f"{_STRICT} row"):
            self.rows.append(Shapes(self._row, self._row, self._cells))
            self._cells = {}


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _ods(archive: zipfile.ZipFile, number: int) -> Iterator[Shapes]:
    return _Table(number).read(archive, "content.xml")


class _Table(_Reader):
    """The cells of a table of an OpenDocument: it says itself what is shown of them."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number
        self._depth = 0
        self._row = self._column = self._next = 0
        self._cells: dict[int, Shape] = {}
        self._repeated = 0
        self._value = ""
        self._shown: list[str] = []
        self._noted = False

    def start(self, name: str, given: dict[str, str]) -> None:
        tag = name.removeprefix(_ODF)
        if tag == "table:1.0 table":
            self._depth += 1
        elif self._left or self._depth != 1:
            return
        elif tag == "table:1.0 table-row":
            self._row, self._column = self._next, 0
            self._next += _times(given, "rows")
        elif tag in ("table:1.0 table-cell", "table:1.0 covered-table-cell"):
            self._repeated = _times(given, "columns")
            self._value = given.get(f"{_ODF}office:1.0 value", "")
            self._shown = []
        self._noted = tag.startswith("office:1.0 annotation") or (self._noted and "table-cell" not in tag)

    def text(self, text: str) -> None:
        if self._value and not self._noted and len(self._shown) < 20:
            self._shown.append(text)

    def end(self, name: str) -> None:
        tag = name.removeprefix(_ODF)
        if tag == "table:1.0 table":
            self._depth -= 1
            self._left -= self._depth == 0
        elif self._left or self._depth != 1:
            return
        elif tag in ("table:1.0 table-cell", "table:1.0 covered-table-cell"):
            if self._value and self._shown:
                shape = partial(_as_shown, text="".join(self._shown))
                end = min(self._column + self._repeated, MOST_COLUMNS)
                self._cells.update(dict.fromkeys(range(self._column, end), shape))
            self._column += self._repeated
            self._value = ""
        elif tag == "office:1.0 annotation":
            self._noted = False
        elif tag == "table:1.0 table-row":
            if self._cells:
                self.rows.append(Shapes(self._row, self._next - 1, self._cells))
            self._cells = {}


def _times(given: dict[str, str], what: str) -> int:
    text = given.get(f"{_ODF}table:1.0 number-{what}-repeated", "1")
    return max(1, int(text)) if text.isdecimal() and len(text) < 8 else 1


def _as_shown(value: float, text: str) -> str:
    """A number as the text that is shown of it in the file, which is in somebody's language: without what groups
    digits, and with a point.
    """
    text = text.strip()
    found = _ODS_NUMBER.fullmatch(text)
    if not found:
        return formats.plain(value)
    before, core, after = found.groups()
    digits = "".join(filter(str.isdecimal, core))
    number = abs(Decimal(format(value, ".15g"))).scaleb(2 * after.count("%"))
    if number == number.to_integral_value() and int(digits) == number:
        return before + digits + after if _GROUPED.fullmatch(core) else text
    places = len(re.split(r"[.,]", core)[-1])
    rounded = format(number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP), "f")
    return before + rounded + after if rounded.replace(".", "") == digits else formats.plain(value)
