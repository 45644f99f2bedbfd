"""What goes over a line on loopback: G.711 (μ-law and A-law), RTP packets, keys (RFC 4733), a mailbox's greeting."""

import math
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator

RATE = 8000
FRAME = 160
"""Samples a second, and samples of a packet: 20 milliseconds."""

KEYS = "0123456789*#ABCD"
"""Events of telephone-event by their numbers (RFC 4733, 3.2)."""

PCMU, PCMA = 0, 8
"""Payload types (RFC 3551, 6)."""


def _linear_mu(code: int) -> int:
    """ITU-T G.711, table 2."""
    code = ~code & 0xFF
    value = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return 0x84 - value if code & 0x80 else value - 0x84


def _linear_a(code: int) -> int:
    """ITU-T G.711, table 1."""
    code ^= 0x55
    shift, value = (code & 0x70) >> 4, (code & 0x0F) << 4
    value = value + 8 if shift == 0 else (value + 0x108) << (shift - 1)
    return value if code & 0x80 else -value


_LINEAR = {PCMU: [_linear_mu(code) for code in range(256)], PCMA: [_linear_a(code) for code in range(256)]}
_CODES = {law: sorted((value, code) for code, value in enumerate(values)) for law, values in _LINEAR.items()}
SILENCE = {PCMU: b"\xff" * FRAME, PCMA: b"\xd5" * FRAME}


def decoded(coded: bytes, law: int) -> "array[int]":
    """16-bit samples of a coded sound."""
    table = _LINEAR[law]
    return array("h", [table[code] for code in coded])


def encoded(samples: "array[int]", law: int) -> bytes:
    """The nearest codes of 16-bit samples."""
    nearest = {sample: _nearest(_CODES[law], sample) for sample in set(samples)}
    return bytes(nearest[sample] for sample in samples)


def _nearest(codes: list[tuple[int, int]], sample: int) -> int:
    place = bisect_left(codes, (sample, 0))
    return min(codes[max(0, place - 1) : place + 1], key=lambda pair: abs(pair[0] - sample))[1]


def packet(payload_type: int, number: int, stamp: int, source: int, payload: bytes, *, marker: bool = False) -> bytes:
    """An RTP packet (RFC 3550, 5.1)."""
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, number & 0xFFFF, stamp & 0xFFFFFFFF, source) + payload


def payload_of(data: bytes) -> tuple[int, bytes] | None:
    """(payload type, payload) of an RTP packet; None for what is none."""
    start = 12 + 4 * (data[0] & 0x0F) if data else 0
    if len(data) <= start or data[0] >> 6 != 2 or data[0] & 0x30:
        return None
    return data[1] & 0x7F, data[start:]


def pressed(key: str) -> Iterator[bytes]:
    """The events of a key that is held for 100 ms, a packet each 20 ms; the last of them three times."""
    code = KEYS.index(key)
    for step in range(1, 6):
        yield struct.pack("!BBH", code, 10, step * FRAME)
    for _ in range(3):
        yield struct.pack("!BBH", code, 0x80 | 10, 6 * FRAME)


def greeting(seconds: float = 3.5) -> "array[int]":
    """What a mailbox sounds like to whoever only listens to loudness: syllables, a pause, and a beep."""
    talk = (
        round(7000 * math.sin(0.15 * place) * max(0.0, math.sin(2 * math.pi * 2 * place / RATE) + 0.7))
        for place in range(int(seconds * RATE))
    )
    pause = [0] * (RATE // 2)
    beep = (round(7000 * math.sin(2 * math.pi * 1000 * place / RATE)) for place in range(RATE * 2 // 5))
    return array("h", [*talk, *pause, *beep])
