"""Numbers of spreadsheets as their formats show them: zeros in front, a plus, brackets, decimals, percent.

Source: ECMA-376 part 1, 18.8.31. Two things are not as they are shown: digits are never grouped, and no number is
written with an exponent, since both would spoil a phone number.
"""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import pairwise

import msgspec

BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
}
"""Formats without a code in the file, by their ids (18.8.30); dates and those with exponents are left out."""

LONGEST = 255
"""Characters of a format; what is longer is none."""

_TOKEN = re.compile(r'"[^"]{0,255}"|\\.|[_*].|\[[^\]]{0,99}\]|general|.', re.IGNORECASE | re.DOTALL)
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d{1,15}(?:\.\d{1,9})?)\]")
_COMPARE = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
}
_DIGITS = ("\x000", "\0#", "\0?")
_PLAIN = frozenset(("", "general", "@", "0", "#", "#,##0", "standard"))


class _Section(msgspec.Struct, frozen=True):
    """A part of a format between semicolons: its pieces, and for which numbers it is.

    A piece is a text as it is, or one of `0`, `#`, `?` (a digit), `.`, `%` and `general` with a NUL before it.
    """

    pieces: tuple[str, ...]
    condition: tuple[str, float] | None = None

    def takes(self, value: float) -> bool:
        return self.condition is not None and bool(_COMPARE[self.condition[0]](value, self.condition[1]))


def shapes(code: str) -> bool:
    """Whether a format shows a number in another way than `plain`."""
    return code.strip().lower() not in _PLAIN and bool(_sections(code))


def plain(value: float) -> str:
    """A number as it was typed, without an exponent; with 15 digits, of which a spreadsheet is sure."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return format(Decimal(format(value, ".15g")), "f") if abs(value) < 1e100 else str(value)


def shown(value: float, code: str) -> str:
    """A number as the format `code` shows it; as `plain` for formats of dates, fractions and other things."""
    sections = _sections(code) if shapes(code) else ()
    if not sections or abs(value) >= 1e100:
        return plain(value)
    section, signed = _chosen(sections, value)
    pieces = section.pieces
    if not any(piece in _DIGITS or piece == "\0general" for piece in pieces):
        return plain(value)
    number = abs(Decimal(format(value, ".15g"))).scaleb(2 * pieces.count("\0%"))
    sign = "-" if value < 0 and signed else ""
    return (sign + _filled(pieces, number)).strip()


def _chosen(sections: Sequence[_Section], value: float) -> tuple[_Section, bool]:
    """The section for a number, and whether it shows a minus of its own."""
    if any(one.condition for one in sections):
        found = next((one for one in sections[:3] if one.condition is None or one.takes(value)), sections[-1])
        return found, True
    if value < 0 and len(sections) > 1:
        return sections[1], False
    if value == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], True


def _filled(pieces: Sequence[str], number: Decimal) -> str:
    """The pieces with the digits of a number in their places."""
    dot = pieces.index("\0.") if "\0." in pieces else len(pieces)
    places = [at for at, piece in enumerate(pieces) if piece in _DIGITS]
    after = [at for at in places if at > dot]
    rounded = number.quantize(Decimal(1).scaleb(-len(after)), ROUND_HALF_UP)
    whole, _, decimals = format(rounded, "f").partition(".")
    made = list(pieces)
    rest = "" if whole == "0" else whole
    before = [at for at in places if at < dot]
    for at in reversed(before):
        digit, rest = rest[-1:], rest[:-1]
        made[at] = digit or ("0" if pieces[at] == "\x000" else "")
    if before:
        made[before[0]] = rest + made[before[0]]
    shown = len(decimals)
    while shown and pieces[after[shown - 1]] != "\x000" and decimals[shown - 1] == "0":
        shown -= 1
    for position, at in enumerate(after):
        made[at] = decimals[position] if position < shown else ""
    marks = {"\0%": "%", "\0.": "." if shown else "", "\0general": plain(float(number))}
    return "".join(marks.get(piece, piece) for piece in made)


@lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[_Section, ...]:
    """The sections of a format that shows digits; nothing for another one."""
    if len(code) > LONGEST:
        return ()
    sections: list[_Section] = []
    pieces: list[str] = []
    condition = None
    for mark in (*_TOKEN.findall(code), ";"):
        if mark == ";":
            if _divides(pieces):
                return ()
            sections.append(_Section(tuple(piece for piece in pieces if piece != "\0,"), condition))
            pieces, condition = [], None
        elif mark.startswith("["):
            found = _CONDITION.fullmatch(mark)
            condition = (found[1], float(found[2])) if found else condition
            if not found and mark[1:2].lower() in ("h", "m", "s"):
                return ()
            pieces.append(mark[2:-1].partition("-")[0] if mark.startswith("[$") else "")
        else:
            piece = _piece(mark)
            if piece is None and len(sections) < 3:
                return ()
            pieces.append(piece or "")
    return tuple(sections)


def _divides(pieces: Sequence[str]) -> bool:
    """Whether a comma stands behind the last digit: then a thousandth of the number is shown."""
    return any(one == "\0," and after not in _DIGITS for one, after in pairwise((*pieces, "")))


def _piece(mark: str) -> str | None:
    """A token as a piece of a section; None for one of a date, a fraction, a text or an exponent."""
    if mark[0] == '"' and len(mark) > 1:
        return mark[1:-1]
    if mark[0] == "\\":
        return mark[1:]
    if mark[0] in "_*" and len(mark) > 1:
        return ""
    if mark in "0#?.%," or mark.lower() == "general":
        return "\0" + mark.lower()
    return None if mark.isascii() and (mark.isalpha() or mark in "/@") else mark
