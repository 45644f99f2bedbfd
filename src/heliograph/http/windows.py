"""Fixed windows: how often something may happen in a second, a minute, an hour or a day."""

import time
from typing import Protocol

from heliograph.errors import TooManyRequests

Headers = list[tuple[bytes, bytes]]
MOST_WINDOWS = 100_000
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Throttle(Protocol):
    """One limit over one store."""

    async def hit(self, *key: str) -> Headers:
        """Count a call; the x-ratelimit headers. Raises TooManyRequests with Retry-After."""
        ...

    async def give_back(self, *key: str) -> None:
        """Take back one call that was counted."""
        ...


class OwnThrottle:
    """Windows of this process. `limits` (see shared.py) can do the same, at five times the cost on each request."""

    def __init__(self, limit: str) -> None:
        amount, _, unit = limit.partition("/")
        self._most = int(amount)
        self._seconds = SECONDS[unit]
        self._windows: dict[tuple[str, ...], list[float]] = {}
        self._full = MOST_WINDOWS
        self._limit_header = (b"x-ratelimit-limit", amount.encode())

    async def hit(self, *key: str) -> Headers:
        """Count a call; the x-ratelimit headers. Raises TooManyRequests with Retry-After."""
        now = time.time()
        window = self._window(key, now)
        window[1] += 1
        left = self._most - int(window[1])
        headers = self._headers(left, window[0] - now)
        if left < 0:
            raise too_many(headers)
        return headers

    def hit_at_once(self, *key: str) -> Headers | None:
        """The same without waiting; None, and nothing is counted, when there is no room for the call."""
        now = time.time()
        window = self._window(key, now)
        if window[1] >= self._most:
            return None
        window[1] += 1
        return self._headers(self._most - int(window[1]), window[0] - now)

    def has_room(self, *key: str) -> bool:
        """Whether there is room for another call."""
        return self._window(key, time.time())[1] < self._most

    async def give_back(self, *key: str) -> None:
        """Take back one call that was counted."""
        window = self._windows.get(key)
        if window is not None and window[1] > 0:
            window[1] -= 1

    def _window(self, key: tuple[str, ...], now: float) -> list[float]:
        window = self._windows.get(key)
        return self._open(key, now) if window is None or window[0] <= now else window

    def _open(self, key: tuple[str, ...], now: float) -> list[float]:
        if len(self._windows) >= self._full:
            self._windows = {known: window for known, window in self._windows.items() if window[0] > now}
            self._full = max(MOST_WINDOWS, 2 * len(self._windows))  # else a crowd would have them walked at each call
        window = self._windows[key] = [now + self._seconds, 0]
        return window

    def _headers(self, left: int, seconds: float) -> Headers:
        return [
            self._limit_header,
            (b"x-ratelimit-remaining", b"%d" % max(0, left)),
            (b"ratelimit-reset", whole_seconds(seconds)),
        ]


def whole_seconds(seconds: float) -> bytes:
    """Seconds as a header has them: a whole number, at least 1."""
    return b"%d" % max(1, round(seconds))


def too_many(headers: Headers) -> TooManyRequests:
    """The refusal that goes with these x-ratelimit headers."""
    texts = {name.decode(): value.decode() for name, value in headers}
    return TooManyRequests(headers=texts | {"retry-after": texts["ratelimit-reset"]})
