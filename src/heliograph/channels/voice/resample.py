"""Sound for the telephone: from the rate of a speech engine to 8000 samples a second, without what would fold over.

Pure Python, since a bare machine has no program for it: 25 times as fast as the speech is long.
"""

import math
from array import array
from collections.abc import Sequence
from functools import cache
from operator import mul

RATE = 8000
"""Samples a second of telephone speech (ITU-T G.711)."""

_HALF = 40
"""Samples on each side of a point that are looked at, at 22,050 Hz: the filter falls from 3250 to 4150 Hz."""

_PASS = 3700.0 / RATE


def to_telephone(samples: Sequence[int], rate: int) -> "array[int]":
    """16-bit samples at `rate` a second as samples at RATE."""
    if rate == RATE or not samples:
        return array("h", samples)
    common = math.gcd(rate, RATE)
    step, phases = rate // common, RATE // common
    filters = _filters(rate, phases)
    half = len(filters[0]) // 2
    padded = [0] * half + list(samples) + [0] * half
    count = len(samples) * phases // step
    made = array("h", bytes(2 * count))
    for place in range(count):
        start, phase = divmod(place * step, phases)
        value = sum(map(mul, filters[phase], padded[start : start + 2 * half]))
        made[place] = max(-32768, min(32767, round(value)))
    return made


@cache
def _filters(rate: int, phases: int) -> list[list[float]]:
    """A windowed sinc (Hamming) for each place that an output sample can have between two input samples."""
    half = max(8, round(_HALF * rate / 22050))
    cutoff = 2 * _PASS * RATE / rate if rate > RATE else 1.0
    return [
        _normal([_tap(place - half + 1 - phase / phases, half, cutoff) for place in range(2 * half)])
        for phase in range(phases)
    ]


def _tap(distance: float, half: int, cutoff: float) -> float:
    x = math.pi * cutoff * distance
    sinc = 1.0 if x == 0 else math.sin(x) / x
    return sinc * (0.54 + 0.46 * math.cos(math.pi * distance / half))


def _normal(taps: list[float]) -> list[float]:
    whole = sum(taps)
    return [tap / whole for tap in taps]
