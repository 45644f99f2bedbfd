"""Spreadsheets (xlsx, xls, ods) as rows of texts: the first sheet that can be seen and is not blank."""

import io
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import python_calamine as calamine
import xlrd

from heliograph.files import formats, sheetxml
from heliograph.files.task import Refused
from heliograph.files.text import clean

DAMAGED = "The file is damaged."
LOCKED = "The file is protected with a password."


def rows(data: bytes, kind: str) -> Iterator[list[str]]:
    """Every row of the sheet from the first one on, also the empty ones (as an empty list). Raises Refused.

    Numbers are as their formats show them (formats.py), dates as in ISO 8601.
    """
    return _old(data) if kind == "xls" else _new(data, kind)


def _new(data: bytes, kind: str) -> Iterator[list[str]]:
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        number, sheet = _seen(book)
    except calamine.PasswordError:
        raise Refused(LOCKED) from None
    except (calamine.CalamineError, calamine.ZipError, calamine.XmlError, OSError):
        raise Refused(DAMAGED) from None
    if sheet is None:
        return
    shapes = sheetxml.shapes(data, kind, number)
    begin = sheet.start[1] if sheet.start else 0  # the library leaves empty columns at the left out
    left = [""] * min(begin, sheetxml.MOST_COLUMNS)
    coming = next(shapes, None)
    for at, row in enumerate(sheet.iter_rows()):
        cells = [_cell(value) for value in row]
        while coming is not None and coming.last < at:
            coming = next(shapes, None)
        if coming is not None and coming.first <= at:
            for column, shape in coming.cells.items():
                value = row[column - begin] if begin <= column < begin + len(row) else None
                if isinstance(value, int | float) and not isinstance(value, bool):
                    cells[column - begin] = shape(float(value))
        yield left + cells if any(cells) else []


def _seen(book: calamine.CalamineWorkbook) -> tuple[int, calamine.CalamineSheet | None]:
    """The number of the first visible sheet with a cell that is not blank, and the sheet; None when there is none."""
    for number, one in enumerate(book.sheets_metadata):
        if one.typ == calamine.SheetTypeEnum.WorkSheet and one.visible == calamine.SheetVisibleEnum.Visible:
            sheet = book.get_sheet_by_index(number)
            if any(_cell(value) for row in sheet.iter_rows() for value in row):
                return number, sheet
    return 0, None


def _old(data: bytes) -> Iterator[list[str]]:
    """The rows of an Excel 97 workbook, with a library that tells formats."""
    try:
        book = xlrd.open_workbook(file_contents=data, formatting_info=True, ragged_rows=True, logfile=io.StringIO())
    except xlrd.XLRDError as problem:
        raise Refused(LOCKED if "encrypted" in str(problem) else DAMAGED) from None
    seen = (one for one in book.sheets() if one.visibility == 0)
    sheet = next((one for one in seen if any(_old_cell(book, cell) for row in one.get_rows() for cell in row)), None)
    for cells in () if sheet is None else sheet.get_rows():
        row = [_old_cell(book, one) for one in cells]
        yield row if any(row) else []


def _old_cell(book: xlrd.Book, cell: Any) -> str:
    if cell.ctype == xlrd.XL_CELL_NUMBER:
        return formats.shown(cell.value, book.format_map[book.xf_list[cell.xf_index].format_key].format_str)
    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            when = xlrd.xldate_as_datetime(cell.value, book.datemode)
        except (ValueError, OverflowError):
            return formats.plain(cell.value)
        if cell.value < 1:
            return str(when.time())
        return _cell(when.date() if when.time() == time() else when)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, ""))
    return clean(str(cell.value))


def _cell(value: bool | float | str | date | time | timedelta) -> str:
    """A cell as text. Spreadsheets keep a phone number as 61411111111.0, which nobody typed."""
    if isinstance(value, float):
        return formats.plain(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return clean(str(value))
