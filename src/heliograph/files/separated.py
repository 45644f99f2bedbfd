"""CSV as rows, one by one: the one reader for imports and for conversions.

A file that is written properly (RFC 4180) is read exactly, however long a quoted cell is. Of one that is not, a row is
lost for each mistake, and nothing that stands inside of quotes becomes a row: quotes that somebody forgot to double
are taken for the pair around a quotation where that gives a row of the usual width. Time grows as the file does: where
a quote that opens a cell is looked for its end, another one that opens a cell ends the search, and where a pair is
looked for in vain, it is not looked for again. Where row after row reads the same lines in vain, a row among them that
has many cells does not get more lines. The memory needed does not grow with the file.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TextIO

import msgspec

from heliograph import written as spelt
from heliograph.files.text import BROKEN

DELIMITERS = ",;\t|"
PIECE = 65_536
"""Characters of a line that are read at once."""

LOOKED_BACK = 4 * 1024 * 1024
"""Characters behind a quote that are kept while its end is looked for; for a longer way back the file is read anew."""

PIECE_ITSELF = 80
"""Bytes that a piece needs besides its characters."""

LONGEST_DOUBT = 100
"""Lines of a row that depend on a guess what its quotes mean; a wrong guess shall not cost the whole file."""

MOST_AGAIN, AGAIN_A_LINE = 100_000, 20
"""Characters that rows may read once more in vain: in all, and for each line of the file before them."""

MANY_CELLS = 32
"""A row of several lines with more cells ends where too much has been read in vain. A search passes a line on which
others begin only by ending a cell there, so it has many.
"""

SAMPLED = 2_000
"""Rows that decide on the delimiter."""

UNCLOSED = "The quotes of this row are never closed."
UNFIT = "The row has bytes that do not fit the encoding of the file."

_NAMED = re.compile(r'"?sep=([^\w\s"]|\t)"?(\r\n|\r|\n)', re.IGNORECASE)
LIST = ":::"
"""What stands between the numbers or addresses of one cell, in exports of Google Contacts."""

_ADDRESS = re.compile(r"[^@\s,;|]{1,64}@[^@\s,;|]{1,255}")
_FIVE_DIGITS = re.compile(r"[^\d,;\t|]{0,20}(?:\d[^\d,;\t|]{0,3}){4}\d[^,;\t|]*")
"""A cell that may be a number: it has five digits, and no delimiter, which could stand between two cells."""


class Flawed(msgspec.Struct, frozen=True):
    """A row with a mistake: what there is of it, and what is wrong. It is not `usable` when its cells are in doubt."""

    cells: list[str]
    reason: str
    usable: bool = False


Row = tuple[int, list[str] | Flawed]
"""The line (from 1) where a row begins, and its cells."""


class Dialect(msgspec.Struct, frozen=True):
    """How a file is written. `width` is how many cells its rows usually have, 0 when that is not known; `marked` that
    its first line only names the delimiter.
    """

    delimiter: str
    width: int = 0
    marked: bool = False


class Limits(msgspec.Struct, frozen=True):
    """Characters of a cell that are kept, and cells of a row; 0: all of them. A cell that is cut off is still longer
    than `longest`, without the space around it.
    """

    longest: int = 0
    widest: int = 0


NONE = Limits()
Opener = Callable[[], TextIO]
"""Opens the text at its beginning. It is called again where the reader has to go back."""


def dialect(opener: Opener, width: int = 0) -> Dialect:
    """How a file is written: its delimiter makes most rows agree in how many cells they have, quotes respected.

    What is left to choose is decided by which cells are a number or an address as a whole, and by the number of cells
    that is expected (`width`; 0: any). A first line "sep=;" names the delimiter (Excel's habit).
    """
    with opener() as file:
        first = file.readline(PIECE).lstrip("\ufeff")
    named = _NAMED.match(first)
    if named:
        return Dialect(named[1], _fit(opener, Dialect(named[1], marked=True), width)[1], marked=True)
    found = {one: _fit(opener, Dialect(one), width) for one in DELIMITERS}
    best = max(DELIMITERS, key=lambda one: found[one])
    return Dialect(best, found[best][1] if found[best][0] else 1)


def _fit(opener: Opener, tried: Dialect, width: int) -> tuple[tuple[float, bool, int], int]:
    """(how well the rows look when they are cut like this, how many cells they usually have)."""
    counts: Counter[int] = Counter()
    keys = 0
    for _, cells in islice(rows(opener, tried, Limits(300, 10_000)), SAMPLED):
        if not isinstance(cells, Flawed):
            counts[len(cells)] += 1
            keys += any(map(_is_key, cells))
    usual, often = max(counts.items(), key=lambda item: item[1], default=(0, 0))
    if usual < 2:
        return (0.0, False, 0), usual
    total = counts.total()
    return (round(often / total * (1 + keys / total), 1), usual == width, usual), usual


def _is_key(cell: str) -> bool:
    """Whether a cell is a number or an address as a whole, or a list of them; a number in any usual spelling."""
    first = cell.partition(LIST)[0].strip()
    if _ADDRESS.fullmatch(first):
        return True
    return _FIVE_DIGITS.fullmatch(first) is not None and spelt.dialled(first) is not None


def rows(opener: Opener, written: Dialect, limits: Limits = NONE) -> Iterator[Row]:
    """The rows of a file without the empty ones."""
    lines = _Lines(opener)
    if written.marked:
        lines.next()
    whole = _Whole(written.delimiter)
    try:
        while line := lines.next():
            start = lines.number
            cells = whole.cells(line) if line.endswith(("\n", "\r")) or lines.at_end() else None
            if cells is None:
                row = _long(lines, line, written, limits, whole)
            else:
                row = _fitting(cells) if BROKEN in line else cells
            if isinstance(row, Flawed):
                yield start, row
            elif limits.widest and len(row) > limits.widest:
                yield start, Flawed(row[: limits.widest], f"The row has more than {limits.widest} columns.")
            elif any(map(str.strip, row)):
                yield start, row
    finally:
        lines.close()


def _fitting(cells: list[str]) -> Flawed:
    return Flawed([cell.replace(BROKEN, "\ufffd") for cell in cells], UNFIT)


def _long(lines: "_Lines", line: str, written: Dialect, limits: Limits, whole: "_Whole") -> list[str] | Flawed:
    """The row that begins with a line which is no row by itself, or not written properly."""
    long = _Long(lines, written.delimiter, limits, lines.number > lines.doubted and line.endswith(("\n", "\r")))
    cells = long.cells(line)
    if long.guessed and (cells is None or written.width not in (0, len(cells))):
        lines.doubted = lines.number
        lines.back()
        long = _Long(lines, written.delimiter, limits)
        cells = long.cells(line)
    fits = cells is not None and (lines.number == lines.row or written.width in (0, len(cells)))
    if long.doubtful and not fits:
        alone = whole.forgiven(line)
        if written.width in (0, len(alone)):
            lines.give_up()
            return _fitting(alone) if BROKEN in line else alone
    if cells is None:
        lines.give_up()
        return Flawed([line[:500].rstrip("\r\n").replace(BROKEN, "\ufffd")], UNCLOSED)
    return _fitting(cells) if long.unfit else cells


class _Stray(Exception):
    """A quote opens a cell that is not closed."""


class _Lines:
    """The lines of a text in pieces, and the way back to the second line of a row."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._file = opener()
        self._waiting: list[str] = []
        self._taken: list[str] = []
        self._size = 0
        self.row = 0
        self._whole = True
        self.number = 0
        self.doubted = 0
        """The line up to which quotations were looked for in vain."""
        self._ahead = 0
        self._vain = 0
        self._again = 0

    def next(self) -> str:
        """The next piece; it ends with its line, or it is very long. Empty at the end of the text."""
        piece = self._waiting.pop() if self._waiting else self._file.readline(PIECE)
        if self._whole:
            self.number += 1
            if self.number == 1:
                piece = piece.lstrip("\ufeff")
        self._whole = piece.endswith(("\n", "\r"))
        return piece

    def at_end(self) -> bool:
        """Whether nothing follows."""
        if not self._waiting:
            self._waiting.append(self._file.readline(PIECE))
        return not self._waiting[-1]

    def begin(self, piece: str) -> None:
        """A row begins with this piece."""
        self._taken, self._size, self.row, self._ahead = [piece], len(piece), self.number, 0

    def more(self) -> str:
        """The next piece of the row; it is kept as long as that does not need much memory."""
        piece = self.next()
        self._ahead += len(piece)
        if self._size <= LOOKED_BACK:
            self._taken.append(piece)
            self._size += len(piece) + PIECE_ITSELF
        return piece

    def is_too_much(self, cells: int) -> bool:
        """Whether a row that has so many cells must end: others have read its lines in vain before, and too often."""
        if not self.row <= self._vain or self.number == self.row:
            return False
        much = cells > MANY_CELLS or 2 * self._size > LOOKED_BACK
        return much and self._again > MOST_AGAIN + AGAIN_A_LINE * self.row

    def give_up(self) -> None:
        """Go back to the second line of a row that is none, or only its first line."""
        self._again += self._ahead if self.row <= self._vain else 0
        self._vain = max(self._vain, self.number)
        self.back()

    def back(self) -> None:
        """Go back to the second line of the row."""
        if self.number == self.row:  # it has not been left
            while not self._whole and self.next():
                pass
            return
        second = next((at for at, piece in enumerate(self._taken, 1) if piece.endswith(("\n", "\r"))), None)
        if self._size <= LOOKED_BACK and second is not None:
            self._waiting.extend(reversed(self._taken[second:]))
            self.number, self._whole = self.row, True
            return
        row = self.row
        self.close()
        self._file, self._waiting, self._whole, self.number = self._opener(), [], True, 0
        while self.number < row or not self._whole:
            if not self.next():
                break

    def close(self) -> None:
        self._file.close()


class _Whole:
    """Cells of lines that are rows by themselves; by far the most are."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._padded = delimiter + " "
        self._waiting: list[str] = []
        some = iter(self._waiting.pop, None)  # an IndexError where another line is needed
        self._reader = csv.reader(some, delimiter=delimiter, skipinitialspace=True, strict=True)

    def cells(self, line: str) -> list[str] | None:
        """The cells; None for a line that is no row by itself, or not written properly."""
        if '"' not in line:
            cells = line.rstrip("\r\n").split(self._delimiter)
            if self._padded in line or line.startswith(" "):
                return [cell.lstrip(" ") for cell in cells]
            return cells
        self._waiting.append(line)
        try:
            return next(self._reader)
        except (csv.Error, IndexError):
            return None

    def forgiven(self, line: str) -> list[str]:
        """The cells of a line by itself as most programs read it: what follows a closing quote belongs to the cell."""
        try:
            return next(csv.reader((line,), delimiter=self._delimiter, skipinitialspace=True), [])
        except csv.Error:  # too long for this library
            return []


class _Long:
    """A row of several lines, or of one that is not written properly or very long. Read from quote to quote."""

    def __init__(self, lines: _Lines, delimiter: str, limits: Limits, quotations: bool = False) -> None:
        self._lines = lines
        self._quotations = quotations
        self._inner = False
        self._delimiter = delimiter
        self._limits = limits
        self._made: list[str] = []
        self._parts: list[str] = []
        self._size = 0
        self._over = False
        self._text = ""
        self._at = 0
        self._before = "\n"
        self._padded = False
        self.unfit = False
        self.doubtful = False
        """Whether a quote stands within a quoted cell that neither ends it nor is doubled."""
        self.guessed = False
        """Whether such quotes decided where a cell ends, as the pair around a quotation."""

    def cells(self, line: str) -> list[str] | None:
        """The cells of the row that begins with this line; None when a quote of it is never closed."""
        self._lines.begin(line)
        self._take(line)
        try:
            while True:
                if self._opens():
                    while not self._closes():
                        self._more()
                if not self._goes_on():
                    return self._made
        except _Stray:
            return None

    def _take(self, piece: str) -> None:
        """Read on in this piece, and a little more where its end would not show what it means."""
        while piece[-1:] in ('"', " ", self._delimiter) and len(piece) < 16 * PIECE and not self._lines.at_end():
            piece += self._lines.more()
        self.unfit = self.unfit or BROKEN in piece
        self._text, self._at = piece, 0

    def _more(self) -> None:
        """Read on in the next piece. Raises _Stray at the end of the text."""
        self._before = self._text[-1:] or self._before
        lines = self._lines
        if lines.is_too_much(len(self._made)):
            raise _Stray
        piece = lines.more()
        if not piece or (self.guessed and lines.number - lines.row > LONGEST_DOUBT):
            raise _Stray
        self._take(piece)

    def _opens(self) -> bool:
        """Whether the cell that begins here is quoted; then go behind the quote."""
        text, at = self._text, _behind(self._text, self._at, " ")
        end = _behind(text, at, '"')
        if (end - at) % 2:
            self._padded, self._at, self._inner = at > self._at, at + 1, False
            return True
        if end > at:  # a cell of nothing but quotes: two around it, and pairs
            self._keep('"' * ((end - at) // 2 - 1))
        self._at = end
        return False

    def _closes(self) -> bool:
        """Go to the end of the quoted cell, or of the piece; whether it is that of the cell. Raises _Stray."""
        text = self._text
        while (quote := text.find('"', self._at)) >= 0:
            self._keep(text[self._at : quote])
            self._at = _behind(text, quote, '"')
            run = self._at - quote
            self._keep('"' * (run // 2))
            if run == 2 and self._inner and self._is_end() and not self._is_opening(quote):
                self.guessed = self.doubtful = True
                return True
            if run % 2 == 0:
                continue
            if self._is_end() and not (self._inner and run == 1):
                return True
            self._note(quote)
            self._keep('"')
        self._keep(text[self._at :])
        self._at = len(text)
        return False

    def _note(self, quote: int) -> None:
        """A quote neither ends the cell nor is doubled: it may begin or end a quotation. Raises _Stray.

        One behind a letter or a digit begins none: it is a mark of inches, or an end. One behind a comma most likely
        begins a cell, in a file of another delimiter.
        """
        text, behind = self._text, self._text[self._at : self._at + 1]
        ends = self._inner and (behind == " " or self._is_end())
        if self._is_opening(quote) and not ends:
            raise _Stray
        self.guessed = self.guessed or (ends and (self._is_end() or self._is_opening(quote)))
        before = text[quote - 1] if quote else self._before
        begins = behind != " " and not before.isalnum() and before not in ",;|"
        self._inner = self._quotations and not ends and begins
        self.doubtful = True

    def _is_end(self) -> bool:
        """Whether a quote before this place could end its cell."""
        after = _behind(self._text, self._at, " ")
        return self._text[after : after + 1] in ("", "\r", "\n", self._delimiter)

    def _is_opening(self, quote: int) -> bool:
        """Whether a quote stands where a cell begins: then the one that is taken for open has never been."""
        at = quote
        while self._padded and at and self._text[at - 1] == " ":
            at -= 1
        return (self._text[at - 1] if at else self._before) in (self._delimiter, "\r", "\n")

    def _goes_on(self) -> bool:
        """Take what is left of the cell, in which quotes mean nothing; whether another cell follows. Raises _Stray."""
        while True:
            if self._is_full() and self._text.find('"', self._at) < 0:
                self._at = len(self._text)
            end = self._text.find(self._delimiter, self._at)
            if end >= 0:
                self._keep(self._text[self._at : end])
                self._end_cell()
                self._at = end + 1
                return True
            self._keep(self._text[self._at :].rstrip("\r\n"))
            if self._text.endswith(("\r", "\n")) or self._lines.at_end():
                self._end_cell()
                return False
            self._more()

    def _keep(self, text: str) -> None:
        """Add to the cell, up to its limit."""
        longest = self._limits.longest
        if longest:
            text = text if self._size else text.lstrip()
            room = longest - self._size
            self._over = self._over or bool(text[room:].strip())
            text = text[:room]
            self._size += len(text)
        if text:
            self._parts.append(text)

    def _is_full(self) -> bool:
        """Whether the row has more cells than are looked at."""
        return 0 < self._limits.widest < len(self._made)

    def _end_cell(self) -> None:
        if not self._is_full():
            self._made.append("".join(self._parts) + "…" * self._over)
        self._parts, self._size, self._over = [], 0, False


def _behind(text: str, at: int, character: str) -> int:
    """Where a run of a character ends that begins at `at`."""
    while at < len(text) and text[at] == character:
        at += 1
    return at
