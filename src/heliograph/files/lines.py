"""Rows on their way from a conversion to an import: as CSV, each with its line in the customer's file and its flaw."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from heliograph.files.separated import Flawed, Row
from heliograph.files.text import clean

LONGEST = 1000
"""Characters of a cell that are kept: an import takes fewer, and Python's reader fails at very many."""


def written(rows: Iterable[Row]) -> bytes:
    """The rows. Their cells keep their spaces and breaks: what they mean depends on the column.

    A cell that is cut off ends in "…": it is longer than an import takes, and no number is seen in its beginning.
    """
    out = io.BytesIO()
    with io.TextIOWrapper(out, "utf-8", errors="replace", newline="", write_through=True) as text:
        writer = csv.writer(text)
        for line, row in rows:
            flaw = row if isinstance(row, Flawed) else None
            kind, reason = ("", "") if flaw is None else ("partial" if flaw.usable else "refused", flaw.reason)
            cells = row.cells if isinstance(row, Flawed) else row
            writer.writerow([line, kind, reason, *map(_kept, cells)])
        return out.getvalue()


def _kept(cell: str) -> str:
    text = clean(cell)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def read(path: Path) -> Iterator[Row]:
    """The rows of such a file, one by one."""
    with path.open(encoding="utf-8", newline="") as file:
        for line, kind, reason, *cells in csv.reader(file):
            yield int(line), Flawed(cells, reason, kind == "partial") if kind else cells
