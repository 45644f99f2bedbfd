"""Draws lines of any script on a page: broken where they are too long, each letter in a font that has it."""

import itertools
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from arabic_reshaper import reshape
from bidi import get_display
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas

LATIN = "Helvetica"
MOST_LINES = 4
"""Lines of one text; the rest of it is replaced by an ellipsis."""

WIDESPREAD = "DejaVuSans.ttf"
"""Latin, Greek, Cyrillic, Hebrew, Arabic and more. reportlab looks for it where systems keep their fonts."""

EAST_ASIAN = (
    ("HeiseiKakuGo-W5", "\u3040", "\u30ff"),
    ("HYGothic-Medium", "\u1100", "\u11ff"),
    ("HYGothic-Medium", "\uac00", "\ud7a3"),
    ("STSong-Light", "\u3000", "\u303f"),
    ("STSong-Light", "\u4e00", "\u9fff"),
    ("STSong-Light", "\uff00", "\uffef"),
)
"""Fonts for these letters that every viewer brings (Adobe's standard Asian fonts): the file names them and does not
contain them.
"""

Has = Callable[[str], bool]


class Lettering:
    """Draws in one size. `path` is a TrueType file that comes before those that the machine has. Raises OSError."""

    def __init__(self, canvas: Canvas, size: float, path: str = "") -> None:
        self._canvas = canvas
        self._size = size
        self._fonts: list[tuple[str, Has]] = [(LATIN, _is_latin)]
        self._fonts += [font for font in map(_true_type, filter(None, (path, WIDESPREAD))) if font]
        self._fonts += [_east_asian(*row) for row in EAST_ASIAN]

    def block(
        self, x: float, y: float, texts: Sequence[str], width: float, lead: float, *, right: bool = False
    ) -> float:
        """Draw texts one below the other, from `x` on or, `right`, up to it; where the next line would be. Points."""
        for line in itertools.chain.from_iterable(self.wrapped(text, width) for text in texts):
            self._line(x, y, line, right=right)
            y -= lead
        return y

    def wrapped(self, text: str, width: float) -> list[str]:
        """A text in lines of at most this width, broken at spaces if there are any."""
        rest = " ".join(unicodedata.normalize("NFC", text).split())
        lines: list[str] = []
        while rest and len(lines) < MOST_LINES:
            end = self._fitting(rest, width)
            lines.append(rest[:end])
            rest = rest[end:].lstrip()
        if rest:
            lines[-1] = lines[-1][:-1] + "…"
        return lines

    def _fitting(self, text: str, width: float) -> int:
        """How many letters of it fill a line."""
        for end, taken in enumerate(itertools.accumulate(self._width(letter) for letter in text)):
            if taken > width:
                space = text.rfind(" ", 1, end + 1)
                return space if space > 0 else max(end, 1)
        return len(text)

    def _width(self, text: str) -> float:
        return sum(pdfmetrics.stringWidth(part, font, self._size) for font, part in self._runs(text))

    def _line(self, x: float, y: float, text: str, *, right: bool) -> None:
        shown = str(get_display(reshape(text)))  # in the order of drawing, left to right; Arabic letters joined
        runs = self._runs(shown)
        x -= self._width(shown) if right else 0
        for font, part in runs:
            self._canvas.setFont(font, self._size)
            self._canvas.drawString(x, y, part)
            x += pdfmetrics.stringWidth(part, font, self._size)

    def _runs(self, text: str) -> list[tuple[str, str]]:
        """(font, part) in turn: one font for the whole text if there is one that has all of it."""
        for font, has in self._fonts:
            if all(map(has, text)):
                return [(font, text)]
        named = [(self._font(letter), letter) for letter in text]
        letters = [(font or LATIN, letter if font else "?") for font, letter in named]
        return [(font, "".join(one for _, one in run)) for font, run in itertools.groupby(letters, lambda one: one[0])]

    def _font(self, letter: str) -> str | None:
        return next((font for font, has in self._fonts if has(letter)), None)


def _is_latin(letter: str) -> bool:
    """Whether the built-in fonts have a letter: those of Windows-1252."""
    try:
        return bool(letter.encode("cp1252"))
    except UnicodeEncodeError:
        return False


@cache
def _true_type(path: str) -> tuple[str, Has] | None:
    """A font by its file or its name; None when the machine has none of this name. Raises OSError: a broken file."""
    try:
        font = TTFont(f"file {path}", path)
    except TTFError as problem:
        if path == WIDESPREAD:
            return None
        raise OSError(f"{path}: {problem}") from None
    pdfmetrics.registerFont(font)
    glyphs = font.face.charToGlyph
    return font.fontName, lambda letter: ord(letter) in glyphs


@cache
def _east_asian(name: str, first: str, last: str) -> tuple[str, Has]:
    pdfmetrics.registerFont(UnicodeCIDFont(name))
    return name, lambda letter: first <= letter <= last
