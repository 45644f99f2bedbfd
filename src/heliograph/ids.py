"""Ids of records that customers see: UUIDs that sort by time."""

import io
import os

_noise = io.BytesIO()
_VARIANT = dict(zip("0123456789ABCDEF", "89AB" * 4, strict=True))


def _random(count: int) -> bytes:
    """Random octets, taken from the system in large pieces: each call to it gives the interpreter away."""
    global _noise
    taken = _noise.read(count)
    if len(taken) < count:
        _noise = io.BytesIO(os.urandom(65536 + count))
        taken = _noise.read(count)
    return taken


def new_ids(count: int, now: float) -> list[str]:
    """Upper-case UUIDs of version 7 (RFC 9562, 5.7) for `now`, in ascending order: they sort by time, and go to the end
    of an index one after the other.
    """
    time_of_it = f"{int(now * 1000):012X}"
    head = f"{time_of_it[:8]}-{time_of_it[8:]}-7"
    noise = _random(10 * count).hex().upper()
    return sorted(
        f"{head}{noise[i : i + 3]}-{_VARIANT[noise[i + 3]]}{noise[i + 4 : i + 7]}-{noise[i + 7 : i + 19]}"
        for i in range(0, len(noise), 20)
    )
