"""The length of an SMS: alphabet, segments, truncation. Knows texts only: octets are the carrier's matter."""

import re
import unicodedata
from collections.abc import Iterator

import msgspec


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


_ALIKE = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u2022\u00b7", "*")
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "\u0131": "i", "œ": "oe", "Œ": "OE"}
)
"""Quotes, dashes, dots and letters that look like characters of GSM 03.38, and that Unicode does not take apart."""


def plain(text: str) -> str:
    """A text with characters of GSM 03.38 only: accents that it lacks fall, and what nothing stands for is "?"."""
    if is_gsm(text):
        return text
    return "".join(
        char if is_gsm(char) else _replaced(char) for char in unicodedata.normalize("NFC", text).translate(_ALIKE)
    )


def _replaced(char: str) -> str:
    if char.isspace():
        return " "
    taken_apart = (part for part in unicodedata.normalize("NFKD", char) if unicodedata.category(part) not in _UNSEEN)
    return "".join(part if is_gsm(part) else "?" for part in taken_apart)


_UNSEEN = ("Mn", "Me", "Cf")
"""Unicode's categories of what stands above or around another character, and of what cannot be seen."""


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
