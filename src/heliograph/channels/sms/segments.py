"""The length of an SMS: alphabet, segments, truncation. Knows texts only: octets are the carrier's matter."""

# ruff: noqa: RUF001 - letters that are taken for others are what a part of this is about

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import msgspec
from anyascii import anyascii

from heliograph.texts import normal, visible


class Segmented(msgspec.Struct, frozen=True, gc=False):
    """A text as it will be sent: its alphabet, how many segments it takes, and what is left of it after truncation."""

    unicode: bool
    count: int
    text: str
    truncated: bool


# 3GPP TS 23.038 (formerly GSM 03.38), clauses 6.2.1 and 6.2.1.1; its line feed and carriage return are characters.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"

_is_basic = re.compile(f"[{re.escape(_BASIC)}]*").fullmatch
_gsm_only = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*").fullmatch


class _Alphabet(msgspec.Struct, frozen=True):
    """How many units a message has alone and as a part of several, and which characters take two of them."""

    single: int
    part: int
    double: re.Pattern[str]


# An extension character is an escape and a septet; a character beyond the basic plane is a surrogate pair.
_GSM = _Alphabet(160, 153, re.compile(f"[{re.escape(_EXTENSION)}]"))
_UCS2 = _Alphabet(70, 67, re.compile("[\U00010000-\U0010ffff]"))


def is_gsm(text: str) -> bool:
    """Whether a text has characters of GSM 03.38 only."""
    return _gsm_only(text) is not None


def measure(text: str, limit: int) -> Segmented:
    """Alphabet and segments of a text that may take at most `limit` segments (1 to 8); what goes beyond is cut off.

    The alphabet is that of the whole text, also when the only character that asked for Unicode is cut off. An empty
    text is one segment. Source: api-v3, "How many characters can I send in a message?".
    """
    if len(text) <= _GSM.single and _is_basic(text):
        return Segmented(False, 1, text, False)
    unicode = not is_gsm(text)
    alphabet = _UCS2 if unicode else _GSM
    head = text[: max(alphabet.single, limit * alphabet.part)]
    parts = split(head, unicode)
    if limit == 1 and len(parts) > 1:
        parts = tuple(_cut(head, alphabet.single, alphabet.double))
    kept = "".join(parts[:limit])
    return Segmented(unicode, min(len(parts), limit), kept, len(kept) < len(text))


_ALIKE = (
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02b9\u02bb\u02bc\u02bd\u02c8\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc", "-")
    | dict.fromkeys("\u2022\u00b7", "*")
    | {"\u2044": "/", "÷": "/", "×": "x", "·": "*"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "\u0131": "i"}
    | {"œ": "oe", "Œ": "OE", "ẞ": "SS", "ŋ": "ng", "Ŋ": "NG", "ǝ": "e", "ə": "e", "Ə": "E"}
    | dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True))
    | {"\u0627": "a", "\u0640": "", "\u0787": "'", "\u0e45": "a", "\u0ead": "o", "\u0f68": "a", "\u3147": "ng"}
)
"""What looks like characters of GSM 03.38 or stands for them, where neither Unicode nor the table of anyascii says so
well: quotes, dashes, letters of Latin alphabets, Greek capitals, letters of other scripts that only carry a vowel.
"""


_OTHER_FIGURES = "[¼½¾⅐-⅟↉①-⒛⓪-⓿❶-➓㉑-㉟㊱-㊿]"
_BESIDE_FIGURES = (
    (re.compile(r"(?<=\d)(?=[²³¹⁰⁴-⁹])"), "^"),
    (re.compile(r"(?<=\d)(?=[₀-₉])"), "_"),
    (re.compile(rf"(?<=\d)(?={_OTHER_FIGURES})|(?<={_OTHER_FIGURES})(?=[\d¼-¾⅐-⅟①-⓿])"), " "),
)
"""What keeps a figure and one of another kind apart once both are plain: 2½ is 2 1/2 and not 21/2, 10² is 10^2."""


def plain(text: str) -> str:
    """A text with characters of GSM 03.38 only: accents that it lacks fall, other letters are transliterated.

    A letter that nothing stands for is its code point, as U+39DD: a letter is never lost silently. A picture or sign
    that nothing stands for is "?".
    """
    if is_gsm(text):
        return text
    text = normal("NFC", visible(text))
    for place, mark in _BESIDE_FIGURES:
        text = place.sub(mark, text)
    return "".join(char if is_gsm(char) else _replaced(char) for char in text)


@lru_cache(maxsize=4096)
def _replaced(char: str) -> str:
    if char in _ALIKE:
        return _ALIKE[char]
    category = unicodedata.category(char)
    if char.isspace():
        return " "
    if category in ("Cf", "Cc"):
        return ""
    apart = [one for one in unicodedata.normalize("NFKD", char) if unicodedata.category(one)[0] != "M"]
    if apart and all(one in _ALIKE or is_gsm(one) for one in apart):
        return "".join(_ALIKE.get(one, one) for one in apart)
    written = anyascii(char).replace("`", "'")
    if written and "?" not in written and not (category[0] == "S" and written[0] == ":"):  # emoji have :names:
        return written
    return f"U+{ord(char):04X}" if category[0] in "LN" else "" if category[0] == "M" else "?"


def split(text: str, unicode: bool) -> tuple[str, ...]:
    """The segments of a text, as carriers cut it: alone 160 septets or 70 UTF-16 units, else 153 or 67 a part.

    The parts joined are the text. An extension character and a surrogate pair are never torn apart, so a part may
    end one unit early. Source: 3GPP TS 23.040, clause 9.2.3.24.1 (the header that takes the other units).
    """
    alphabet = _UCS2 if unicode else _GSM
    if len(text) <= alphabet.single and len(text) + len(alphabet.double.findall(text)) <= alphabet.single:
        return (text,)
    return tuple(_cut(text, alphabet.part, alphabet.double))


def _cut(text: str, room: int, double: re.Pattern[str]) -> Iterator[str]:
    """Pieces of at most `room` units, each as long as it can be."""
    start = 0
    while start < len(text):
        end = start + room
        for pair in double.finditer(text, start, end):
            if pair.start() >= end:
                break
            end -= 1
        yield text[start:end]
        start = end
