"""How fast a route goes: a token bucket, pauses after throttling, growing pauses between attempts. Knows only time."""

import math
import random
import sys
from collections.abc import Callable
from typing import Final

UNLIMITED: Final = sys.maxsize
BURST_SECONDS: Final = 0.1
"""A route that was idle may catch up by this much of its rate."""


class Pace:
    """Grants sends. `rate` is submits a second (0: any); `pause` the seconds after a first throttling.

    Throttlings in a row double the pause up to `growth` times. `burst` sends may follow each other at once.
    `clock` gives monotonic seconds.
    """

    def __init__(
        self, rate: float, pause: float, clock: Callable[[], float], *, burst: float | None = None, growth: float = 8.0
    ) -> None:
        self._rate = rate
        self._burst = burst or max(1.0, rate * BURST_SECONDS)
        self._longest = pause * growth
        self._tokens = self._burst
        self._filled_at = clock()
        self._pause = self._next_pause = pause
        self._paused_until = 0.0
        self._clock = clock
        self.slowed = False

    @property
    def paused_for(self) -> float:
        """Seconds until a pause ends; 0 when there is none."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def rested(self) -> bool:
        """Whether it grants what a new one would."""
        return not self.slowed and (not self._rate or self.allowed() >= math.floor(self._burst))

    def allowed(self) -> int:
        """How many may be sent now."""
        if self.slowed and self.paused_for:
            return 0
        if not self._rate:
            return UNLIMITED
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return math.floor(self._tokens)

    def spend(self, count: int) -> None:
        """So many were sent."""
        if self._rate:
            self._tokens -= count

    def wait(self) -> float:
        """Seconds until `allowed` is more than 0."""
        missing = (1.0 - self._tokens) / self._rate if self._rate else 0.0
        return max(self.paused_for, missing, 0.001)

    def throttled(self) -> None:
        """The carrier asked for less: pause. What was in flight then and is throttled too does not count again."""
        if self.paused_for:
            return
        self.slowed = True
        self._paused_until = self._clock() + self._next_pause
        self._next_pause = min(self._next_pause * 2, self._longest)

    def accepted(self) -> None:
        """The carrier takes messages: once the pause is over, the next one is short again."""
        if not self.paused_for:
            self.slowed = False
            self._next_pause = self._pause


class Backoff:
    """Pauses between attempts: they double from `first` to `longest` seconds, each cut by up to half at random."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = min(first, longest)
        self._longest = longest
        self._next = self._first

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the attempts, guards nothing

    def reset(self) -> None:
        """An attempt succeeded."""
        self._next = self._first
