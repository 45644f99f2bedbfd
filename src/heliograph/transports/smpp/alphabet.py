"""Text to octets and back, by data_coding. Knows characters only; segments are cut elsewhere, but never in a pair."""

import codecs
from typing import Final, Literal, NoReturn

Alphabet = Literal["gsm", "latin1", "utf8"]

LATIN1: Final = 3
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
_UNICODE: Final = "utf-16-be"
_BINARY: Final = "latin-1"
"""8-bit data has no characters of its own: one for each octet, so that nothing is lost and plain words are plain."""
_JAPANESE: Final = "iso2022_jp"
_OF_JAPANESE: Final = bytes((*b"\t\n\r\x1b", *range(0x20, 0x7F)))
_OF_SMPP: Final = {
    0x01: "ascii",
    0x02: _BINARY,
    LATIN1: "latin-1",
    0x04: _BINARY,
    0x05: "shift_jis",
    0x06: "iso8859-5",
    0x07: "iso8859-8",
    UCS2: _UNICODE,
    0x0A: _JAPANESE,
    0x0D: "euc_jp",
    0x0E: "euc_kr",
}
"""What SMPP 3.4, 5.2.19 names; its Pictogram Encoding (0x09) is specified nowhere."""


def _reading(data_coding: int) -> str | None:
    """The codec of a data_coding, None for the default alphabet: SMPP's meaning, else that of 3GPP TS 23.038, 4.

    SMPP reserves 0x10 to 0xBF, yet carriers hand through what the phone wrote. Reserved codes of 23.038 are read as the
    default alphabet, as it asks. Nobody compresses texts: that bit is not looked at.
    """
    if data_coding in _OF_SMPP:
        return _OF_SMPP[data_coding]
    if data_coding < 0x80:  # general data coding, and the same with automatic deletion
        return (None, _BINARY, _UNICODE, None)[data_coding >> 2 & 3]
    group = data_coding & 0xF0
    if group == 0xF0:  # data coding and message class
        return _BINARY if data_coding & 4 else None
    return _UNICODE if group == 0xE0 else None  # message waiting


_READINGS: Final = tuple(map(_reading, range(256)))

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
    texts = [codecs.charmap_decode(first, "replace", _BASIC)[0]]
    for run in escaped:
        if not run:
            texts.append(" ")
            continue
        texts.append(_EXTENSION.get(run[0]) or codecs.charmap_decode(run[:1], "replace", _BASIC)[0])
        texts.append(codecs.charmap_decode(run[1:], "replace", _BASIC)[0])
    return "".join(texts)


def encode(text: str, alphabet: Alphabet) -> bytes:
    """Text for data_coding 0 of a carrier. Raises UnicodeEncodeError where the alphabet lacks a character."""
    codec = _CODECS.get(alphabet)
    return encode_gsm(text) if codec is None else text.encode(codec)


def encode_ucs2(text: str) -> bytes:
    """Text for data_coding 8: UTF-16 in network order, as phones read it."""
    return text.encode("utf-16-be", "replace")


def is_ucs2(data_coding: int) -> bool:
    """Whether the text of a message that came in stands in UCS-2."""
    return _READINGS[data_coding] == _UNICODE


def is_binary(data_coding: int) -> bool:
    """Whether a data_coding says that the octets are no text."""
    return _READINGS[data_coding] == _BINARY and data_coding != LATIN1


def decode(octets: bytes, data_coding: int, alphabet: Alphabet) -> str:
    """Text of a message that came in. Never raises: what cannot be read becomes `\ufffd`.

    NUL, with which some peers pad, is left out: not every database can hold it. So is the byte order mark (RFC 2781,
    3.2), of which each part of a long message may have one; as a character of the text it has no width and no meaning.
    """
    codec = _READINGS[data_coding] or _CODECS.get(alphabet)
    if codec == _JAPANESE and octets.translate(None, _OF_JAPANESE):
        codec = _UNICODE  # the meaning that the code has in 3GPP TS 23.038
    if codec == _UNICODE and octets.startswith(codecs.BOM_UTF16_LE):
        codec = "utf-16-le"
    text = decode_gsm(octets) if codec is None else octets.decode(codec, "replace")
    return text.replace("\0", "").replace("\ufeff", "")


def cut(octets: bytes, size: int, data_coding: int) -> list[bytes]:
    """Pieces of at most `size` octets; no piece ends inside an escape pair or a surrogate pair."""
    pieces = []
    begin = 0
    while len(octets) - begin > size:
        end = begin + size
        if data_coding == UCS2:
            end -= size % 2
            end -= 2 if 0xD8 <= octets[end - 2] <= 0xDB else 0
        elif octets[end - 1] == ESCAPE:
            end -= 1
        pieces.append(octets[begin:end])
        begin = end
    return [*pieces, octets[begin:]]
