"""Texts as people mean them: the one form in which they are compared, whole words, and letters alone.

Everything here takes time in proportion to the text, whatever the text is.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
"""Unicode's Default_Ignorable_Code_Point: what is in a text and cannot be seen (UAX #44)."""

MOST_MARKS = 30
"""Combining marks in a row that are kept. No writing has more (UAX #15, Stream-Safe Text Format)."""


def visible(text: str) -> str:
    """A text without what cannot be seen."""
    return text if text.isascii() else _UNSEEN.sub("", text)


def normal(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """A text in a normalization form of Unicode (UAX #15), without what goes beyond MOST_MARKS.

    Python sorts the marks of a character in time that grows with their square.
    """
    return text if text.isascii() else unicodedata.normalize(form, "".join(_few_marks(text)))


def _few_marks(text: str) -> Iterator[str]:
    run = 0
    for char in text:
        run = run + 1 if unicodedata.category(char)[0] == "M" else 0
        if run <= MOST_MARKS:
            yield char


def folded(text: str) -> str:
    """The form of a text in which it is compared with others and searched.

    Equal are: letters in any case (Unicode's case folding), the two i's of Turkish, wide and styled letters (NFKC),
    accents composed or not, any blanks; what cannot be seen counts for nothing. Accents count.
    """
    if not text.isascii():
        text = normal("NFKC", visible(text))
        # A Turkish capital i with a dot is an i with a dot above once it is folded; the one without a dot stays.
        marked = normal("NFD", text.casefold()).replace("i\u0307", "i").replace("\u0131", "i")
        text = normal("NFKC", marked)
    return " ".join(text.lower().split())


def words(text: str) -> str:
    """The words of a text in the form of `folded`, by single spaces: whatever stands between words is left out.

    So a whole word is what `f" {word} " in f" {words(text)} "` finds.
    """
    return " ".join("".join(char if _category(char) in "LMN" else " " for char in folded(text)).split())


def letters(text: str) -> str:
    """Letters and digits alone, without accents: the same for `Opt-Out!` and `OPTOUT`, for `Arrêt` and `ARRET`.

    Marks that are no accents stay: those that are vowels, or end a syllable, as in Hindi, Tamil and Thai.
    """
    return "".join(char for char in normal("NFD", folded(text)) if _category(char) in "LN" or _is_vowel(char))


_VOWELS = frozenset({0, *range(7, 10), *range(84, 200)})
"""Combining classes of marks that belong to a script's letters: vowels, voicing, the end of a syllable (UAX #44). The
others are strokes (1), points of Hebrew and Arabic that may be left out (10 to 36), and accents (200 and more).
"""


def _is_vowel(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc") and unicodedata.combining(char) in _VOWELS


_PIECES = re.compile(r"\w+|\s+|[^\w\s]+")


def after(term: str, text: str) -> str:
    """What follows a term in a text, from the end of the word on in which the term ends; all of it without the term.

    The term is looked for in the form of `folded`; what follows is as it was written, but for what cannot be seen.
    """
    pieces = _PIECES.findall(normal("NFC", visible(text)).strip())
    forms = [folded(piece) or " " for piece in pieces]
    sought = folded(term)
    at = "".join(forms).find(sought) if sought else -1
    if at < 0:
        return text
    left = at + len(sought)
    for number, form in enumerate(forms):
        if left <= 0:
            return "".join(pieces[number:])
        left -= len(form)
    return ""


def _category(char: str) -> str:
    return unicodedata.category(char)[0]
