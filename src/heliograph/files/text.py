"""Foreign bytes as text: the encoding of a file, and its text with a mark for every byte that does not fit.

The one place that decides it, for imports and for conversions. The memory needed does not grow with the file.
"""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from typing import IO, TextIO

BROKEN = "\udcff"
"""What stands in the text for bytes that do not fit. No text has it: it is half of a pair (Unicode 15, 3.8)."""

HEAD = 65_536
"""Bytes that are enough to see what a file is."""

_ERRORS = "heliograph.broken"
codecs.register_error(_ERRORS, lambda fault: (BROKEN, fault.end) if isinstance(fault, UnicodeDecodeError) else ("?", 0))

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_CODE_PAGES = {
    country: page
    for page, countries in {
        "cp1250": "CZ SK PL HU SI HR RO MD BA ME AL XK",
        "cp1251": "RU UA BY BG RS MK KZ KG TJ UZ MN",
        "cp1253": "GR CY",
        "cp1254": "TR AZ",
        "cp1255": "IL",
        "cp1256": "SA AE BH DZ EG IQ IR JO KW LB LY MA OM PK PS QA SD SY TN YE",
        "cp1257": "EE LV LT",
        "cp1258": "VN",
        "cp874": "TH",
        "cp932": "JP",
        "gb18030": "CN SG",
        "cp949": "KR",
        "cp950": "TW HK MO",
    }.items()
    for country in countries.split()
}
"""What Windows programs write by default in these countries; elsewhere it is cp1252."""


_BREAK = re.compile(r"\r\n|[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029]")
"""What separates two lines of a cell in some program: every control character but a tab, and Unicode's own breaks."""


def clean(cell: str) -> str:
    """A cell without the space around it, and with a line feed for every break or control character.

    None of them may disappear or become a space: what stands in two lines are two numbers.
    """
    return cell.strip() if cell.isprintable() else _BREAK.sub("\n", cell).strip()


def code_page(country: str) -> str:
    """The encoding that a text of a country (ISO alpha-2) has when it is not Unicode."""
    return _CODE_PAGES.get(country, "cp1252")


def utf_16(head: bytes) -> str | None:
    """The encoding of a text that begins like this, if its units are larger than a byte: by its mark, or UTF-16 by
    every other byte being zero.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    some = head[:1000]
    if len(some) > 3 and some[1::2].count(0) > 0.4 * len(some) and some[::2].count(0) == 0:
        return "utf-16-le"
    if len(some) > 3 and some[::2].count(0) > 0.4 * len(some) and some[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def encoding(file: IO[bytes], otherwise: str) -> str:
    """The encoding of a text: by its mark, UTF-8 if most lines that could be something else are, or `otherwise`.

    The file is read from its beginning, and is at its beginning again afterwards.
    """
    file.seek(0)
    found = utf_16(file.read(HEAD))
    file.seek(0)
    if found is None:
        found = "utf-8-sig" if is_utf_8(_lines(file)) else otherwise
        file.seek(0)
    return found


def is_utf_8(lines: Iterable[bytes]) -> bool:
    """Whether at least half of the lines that are not ASCII are UTF-8: a text in a code page hardly ever looks so."""
    good = bad = 0
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            good += 1
        except UnicodeDecodeError:
            bad += 1
    return good >= bad


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; pieces of it where it has none for long, or where there is nothing but ASCII."""
    rest = b""
    while piece := file.read(1 << 18):
        if not rest and piece.isascii():
            continue
        lines = (rest + piece).splitlines()
        rest = lines.pop() if len(lines) > 1 and not piece.endswith((b"\n", b"\r")) else b""
        yield from lines
    yield rest


def opened(file: IO[bytes], name: str) -> TextIO:
    """The text of a file in the encoding `name`; line ends are as they are, and BROKEN stands for what does not fit."""
    return io.TextIOWrapper(file, name, _ERRORS, newline="")


def text_of(data: bytes, otherwise: str = "cp1252") -> str | None:
    """The bytes as text, with U+FFFD for what does not fit; None when they are no text.

    NULs become U+FFFD too.
    """
    with opened(io.BytesIO(data), encoding(io.BytesIO(data), otherwise)) as file:
        text = file.read()
    return text.replace(BROKEN, "\ufffd").replace("\0", "\ufffd") if is_text(text) else None


def is_text(some: str) -> bool:
    """Whether decoded bytes are a text: few control characters, of which some may be anywhere by a program's mistake.

    Of bytes by chance a tenth are control characters. BROKEN is more frequent in a text of two encodings.
    """
    controls = sum(map(some.count, filter(is_control, set(some))))
    return controls * 20 <= len(some) and (controls + some.count(BROKEN)) * 10 <= len(some)


def is_control(character: str) -> bool:
    """Whether a character is a control character that separates nothing in a text."""
    return character < " " and character not in "\t\n\v\f\r"
