"""Texts on the wire: the alphabets of data_coding, user data headers, and long messages put together again."""

import itertools
from collections import OrderedDict

from heliograph.transports.smpp.pdu import SAR_REFERENCE, SAR_SEQUENCE, SAR_TOTAL, UDHI, Message

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {"\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}
_ENCODE = {ord(char): chr(code) for code, char in enumerate(_BASIC)} | {
    ord(char): "\x1b" + chr(code) for char, code in _EXTENSION.items()
}
_DECODE_EXTENSION = {code: char for char, code in _EXTENSION.items()}

_references = itertools.count(1)


def encode(text: str, unicode: bool, alphabet: str) -> bytes:
    """A text in UCS-2, or in what the carrier takes data_coding 0 for: one septet in each octet for GSM 03.38."""
    if unicode:
        return text.encode("utf-16-be", "surrogatepass")
    if alphabet == "gsm":
        return text.translate(_ENCODE).encode("latin-1", "replace")
    return text.encode("latin-1" if alphabet == "latin1" else "utf-8", "replace")


def decode(data: bytes, coding: int, alphabet: str) -> str:
    """The text of received octets (5.2.19): 8 is UCS-2, 3 is Latin-1, 1 is ASCII, 0 is the carrier's alphabet."""
    if coding & 0x0C == 0x08:
        return data.decode("utf-16-be", "replace")
    if coding == 3 or (coding == 0 and alphabet == "latin1"):
        return data.decode("latin-1")
    if coding == 1 or (coding == 0 and alphabet == "utf8"):
        return data.decode("utf-8", "replace")
    return _from_gsm(data)


def _from_gsm(data: bytes) -> str:
    out = []
    escaped = False
    for code in data:
        if escaped:
            out.append(_DECODE_EXTENSION.get(code, " "))
            escaped = False
        elif code == 0x1B:
            escaped = True
        else:
            out.append(_BASIC[code] if code < 128 else "?")
    return "".join(out)


def headers(count: int) -> list[bytes]:
    """User data headers of the segments of one message: 8-bit reference (3GPP TS 23.040, 9.2.3.24.1)."""
    reference = next(_references) % 256
    return [bytes((5, 0, 3, reference, count, number)) for number in range(1, count + 1)]


class Parts:
    """Puts long messages together. Bounded: the oldest unfinished message gives way, delivered as far as it came."""

    def __init__(self, most: int = 1000) -> None:
        self._open: OrderedDict[tuple[str, str, int, int], dict[int, str]] = OrderedDict()
        self._most = most

    def add(self, message: Message, alphabet: str) -> list[str]:
        """The texts that are whole now: usually one or none, one more when an old message had to give way."""
        data = message.payload
        total, number, reference = 1, 1, 0
        if message.esm_class & UDHI and data:
            header, data = data[1 : 1 + data[0]], data[1 + data[0] :]
            total, number, reference = _concatenation(header) or (1, 1, 0)
        elif SAR_REFERENCE in message.tlvs:
            reference = int.from_bytes(message.tlvs[SAR_REFERENCE])
            total = int.from_bytes(message.tlvs.get(SAR_TOTAL, b"\x01"))
            number = int.from_bytes(message.tlvs.get(SAR_SEQUENCE, b"\x01"))
        text = decode(data, message.data_coding, alphabet)
        if total <= 1:
            return [text]
        key = (message.source, message.dest, reference, total)
        parts = self._open.setdefault(key, {})
        parts[number] = text
        if len(parts) == total:
            del self._open[key]
            return ["".join(parts[at] for at in sorted(parts))]
        if len(self._open) > self._most:
            _, oldest = self._open.popitem(last=False)
            return ["".join(oldest[at] for at in sorted(oldest))]
        return []


def _concatenation(header: bytes) -> tuple[int, int, int] | None:
    """(total, number, reference) of a header with the concatenation element, 8-bit or 16-bit."""
    at = 0
    while at + 2 <= len(header):
        kind, size = header[at], header[at + 1]
        data = header[at + 2 : at + 2 + size]
        if kind == 0x00 and len(data) == 3:
            return data[1], data[2], data[0]
        if kind == 0x08 and len(data) == 4:
            return data[2], data[3], data[0] << 8 | data[1]
        at += 2 + size
    return None
