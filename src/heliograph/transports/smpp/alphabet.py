"""Text to octets and back, by data_coding. Knows characters only; segments are cut elsewhere, but never in a pair."""

import codecs
from typing import Final, Literal, NoReturn

Alphabet = Literal["gsm", "latin1", "utf8"]

UCS2: Final = 8
ESCAPE: Final = 0x1B
_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_DATA_CODINGS: Final = {
    1: "ascii",
    3: "latin-1",
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    UCS2: "utf-16-be",
    14: "euc_kr",
}
"""SMPP 3.4, 5.2.19; what is not here is taken for the default alphabet."""

_CODECS: Final = {"latin1": "latin-1", "utf8": "utf-8"}
"""Python's names of what carriers take data_coding 0 for, other than GSM 03.38."""


class _ToGsm(dict[int, str]):
    """For str.translate: a character to its septets (as Latin-1); an unknown one is an error, not left as it is."""

    def __missing__(self, character: int) -> NoReturn:
        raise UnicodeEncodeError("gsm0338", chr(character), 0, 1, "not in the alphabet")


_TO_GSM: Final = _ToGsm({ord(char): chr(code) for code, char in enumerate(_BASIC) if code != ESCAPE})
_TO_GSM.update({ord(char): chr(ESCAPE) + chr(code) for code, char in _EXTENSION.items()})


def encode_gsm(text: str) -> bytes:
    """GSM 03.38 (3GPP TS 23.038, 6.2.1), one septet an octet. Raises UnicodeEncodeError outside the alphabet."""
    return text.translate(_TO_GSM).encode("latin-1")


def decode_gsm(octets: bytes) -> str:
    """GSM 03.38; an unknown pair is its second character, as 6.2.1.1 asks, and an octet above 127 is a `\ufffd`."""
    first, *escaped = octets.split(bytes((ESCAPE,)))
    text = codecs.charmap_decode(first, "replace", _BASIC)[0]
    for run in escaped:
        if not run:
            text += " "
            continue
        text += _EXTENSION.get(run[0]) or codecs.charmap_decode(run[:1], "replace", _BASIC)[0]
        text += codecs.charmap_decode(run[1:], "replace", _BASIC)[0]
    return text


def encode(text: str, alphabet: Alphabet) -> bytes:
    """Text for data_coding 0 of a carrier. Raises UnicodeEncodeError where the alphabet lacks a character."""
    codec = _CODECS.get(alphabet)
    return encode_gsm(text) if codec is None else text.encode(codec)


def encode_ucs2(text: str) -> bytes:
    """Text for data_coding 8: UTF-16 in network order, as phones read it."""
    return text.encode("utf-16-be", "replace")


def decode(octets: bytes, data_coding: int, alphabet: Alphabet) -> str:
    """Text of a message that came in. Never raises: what cannot be read becomes `\ufffd`.

    NUL, with which some peers pad, is left out: not every database can hold it.
    """
    codec = _DATA_CODINGS.get(data_coding) or _CODECS.get(alphabet)
    text = decode_gsm(octets) if codec is None else octets.decode(codec, "replace")
    return text.replace("\0", "")


def cut(octets: bytes, size: int, data_coding: int) -> list[bytes]:
    """Pieces of at most `size` octets; no piece ends inside an escape pair or a surrogate pair."""
    pieces = []
    while len(octets) > size:
        end = size
        if data_coding == UCS2:
            end -= end % 2
            end -= 2 if 0xD8 <= octets[end - 2] <= 0xDB else 0
        elif octets[end - 1] == ESCAPE:
            end -= 1
        pieces.append(octets[:end])
        octets = octets[end:]
    return [*pieces, octets]
