"""Ids of records that customers see: UUIDs that sort by time."""

import io
import os
import struct

_noise = io.BytesIO()
_LAYOUT = struct.Struct(">HHHI")


def _random(count: int) -> bytes:
    """Random octets, taken from the system in large pieces: each call to it gives the interpreter away."""
    global _noise
    taken = _noise.read(count)
    if len(taken) < count:
        _noise = io.BytesIO(os.urandom(65536 + count))
        taken = _noise.read(count)
    return taken


def new_ids(count: int, now: float) -> list[str]:
    """Upper-case UUIDs of version 7 (RFC 9562, 5.7) for `now`: they sort by time and go to the end of an index."""
    time_of_it = f"{int(now * 1000):012X}"
    head = f"{time_of_it[:8]}-{time_of_it[8:]}-"
    return [
        f"{head}{0x7000 | a & 0x0FFF:04X}-{0x8000 | b & 0x3FFF:04X}-{c:04X}{d:08X}"
        for a, b, c, d in _LAYOUT.iter_unpack(_random(_LAYOUT.size * count))
    ]
