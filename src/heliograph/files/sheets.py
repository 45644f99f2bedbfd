"""Spreadsheets, texts and address books as CSV in UTF-8 with commas, for customers and for imports."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from heliograph.files import cards, lines, separated, workbook
from heliograph.files.separated import Flawed, Row
from heliograph.files.task import Refused
from heliograph.files.text import clean, encoding, opened

MOST_ROWS = 200_000
MOST_COLUMNS = 500


def to_csv(data: bytes, kind: str, code_page: str) -> bytes:
    """The first sheet, the text or the cards as CSV: CRLF, every row as long as the longest. Raises Refused."""
    rows = list(_bounded(_counted(_rows(data, kind, code_page))))
    width = max(map(len, rows), default=0)
    if not width:
        raise Refused("The file has no rows.")
    out = io.StringIO()
    csv.writer(out).writerows([*row, *[""] * (width - len(row))] for row in rows)
    return out.getvalue().encode()


def to_lines(data: bytes, kind: str, code_page: str) -> bytes:
    """The first sheet, or the cards in the order of cards.COLUMNS, for an import (lines.py). Raises Refused."""
    if kind == "vcf":
        return lines.written(cards.rows(data, code_page))
    return lines.written((at, row[:MOST_COLUMNS]) for at, row in enumerate(workbook.rows(data, kind), 1) if row)


def _rows(data: bytes, kind: str, code_page: str) -> Iterable[Sequence[str]]:
    if kind == "vcf":
        return _cards(data, code_page)
    return _separated(data, code_page) if kind == "csv" else workbook.rows(data, kind)


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


def _separated(data: bytes, code_page: str) -> Iterator[Sequence[str]]:
    """The rows of a text. One that cannot be read stays as the text that it is, in one cell."""
    name = encoding(io.BytesIO(data), code_page)

    def opener() -> TextIO:
        return opened(io.BytesIO(data), name)

    for _, row in separated.rows(opener, separated.dialect(opener)):
        yield [clean(cell) for cell in (row.cells if isinstance(row, Flawed) else row)]


def _cards(data: bytes, code_page: str) -> Iterator[Sequence[str]]:
    """The cards that have an end, each with its best number and address."""
    yield cards.COLUMNS
    found: Iterable[Row] = cards.rows(data, code_page)
    for _, card in found:
        if not isinstance(card, Flawed) or card.usable:
            cells = card.cells if isinstance(card, Flawed) else card
            yield [clean(cell.partition(cards.BETWEEN)[0]) for cell in cells]
