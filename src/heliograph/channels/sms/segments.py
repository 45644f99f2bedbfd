"""The length of an SMS: alphabet, segments, truncation. Knows texts only: octets are the carrier's matter."""

import re
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
_is_gsm = re.compile(f"[{re.escape(_BASIC + _EXTENSION)}]*").fullmatch


class _Alphabet(msgspec.Struct, frozen=True):
    """How many units a message has alone and as a part of several, and which characters take two of them."""

    single: int
    part: int
    double: re.Pattern[str]


# An extension character is an escape and a septet; a character beyond the basic plane is a surrogate pair.
_GSM = _Alphabet(160, 153, re.compile(f"[{re.escape(_EXTENSION)}]"))
_UCS2 = _Alphabet(70, 67, re.compile("[\U00010000-\U0010ffff]"))


def measure(text: str, limit: int) -> Segmented:
    """Alphabet and segments of a text that may take at most `limit` segments (1 to 8); what goes beyond is cut off.

    The alphabet is that of the whole text, also when the only character that asked for Unicode is cut off. An empty
    text is one segment. Source: api-v3, "How many characters can I send in a message?".
    """
    if len(text) <= _GSM.single and _is_basic(text):
        return Segmented(False, 1, text, False)
    unicode = not _is_gsm(text)
    alphabet = _UCS2 if unicode else _GSM
    head = text[: max(alphabet.single, limit * alphabet.part)]
    parts = split(head, unicode)
    if limit == 1 and len(parts) > 1:
        parts = tuple(_cut(head, alphabet.single, alphabet.double))
    kept = "".join(parts[:limit])
    return Segmented(unicode, min(len(parts), limit), kept, len(kept) < len(text))


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
