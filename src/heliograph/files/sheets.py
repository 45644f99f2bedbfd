"""Spreadsheets and address books as CSV in UTF-8 with commas: without empty rows for customers, with every row for
imports.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import python_calamine as calamine

from heliograph.files import cards
from heliograph.files.kinds import text_of
from heliograph.files.task import Refused

MOST_ROWS = 200_000
MOST_COLUMNS = 500
UNREADABLE = "(a card that cannot be read)"


def to_csv(data: bytes, kind: str) -> bytes:
    """The first sheet, the text or the cards as CSV: CRLF, every row as long as the longest. Raises Refused."""
    readers = {"csv": _separated, "vcf": _cards}
    rows = list(_bounded(_counted(readers.get(kind, _workbook)(data))))
    width = max(map(len, rows), default=0)
    if not width:
        raise Refused("The file has no rows.")
    out = io.StringIO()
    csv.writer(out).writerows([*row, *[""] * (width - len(row))] for row in rows)
    return out.getvalue().encode()


def to_lines(data: bytes, kind: str, code_page: str) -> bytes:
    """The first sheet, or the cards in the order of cards.COLUMNS, for an import. Raises Refused.

    One line for each row or card, also for one that is empty or cannot be read: so the numbers of lines are right.
    """
    out = io.BytesIO()
    with io.TextIOWrapper(out, "utf-8", errors="replace", newline="", write_through=True) as text:
        writer = csv.writer(text)
        for row in cards.rows(text_of(data, code_page) or "") if kind == "vcf" else _workbook(data):
            writer.writerow([UNREADABLE] if row is None else [re.sub(r"\s+", " ", cell) for cell in row[:MOST_COLUMNS]])
        return out.getvalue()


def _bounded(rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Rows without the empty cells at their ends; empty rows are left out."""
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
    left = [""] * (sheet.start[1] if sheet.start else 0)  # the library leaves empty columns at the left out
    for row in sheet.iter_rows():
        cells = [_cell(value) for value in row]
        yield left + cells if any(cells) else []


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
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark):
            yield [_clean(value) for value in row]
    except csv.Error as problem:
        raise Refused(f"The file is no CSV: {problem}.") from None


def _cards(data: bytes) -> Iterator[Sequence[str]]:
    yield cards.COLUMNS
    for row in cards.rows(text_of(data) or ""):
        if row is not None:
            yield [_clean(value) for value in row]
