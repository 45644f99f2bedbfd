"""How often one account may call one endpoint, and how often one address may fail to log in: fixed windows."""

import time
from typing import Protocol

from limits import parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.storage import storage_from_string

from heliograph.errors import TooManyRequests

Headers = list[tuple[bytes, bytes]]
MOST_WINDOWS = 100_000


class Throttle(Protocol):
    """One limit over one store."""

    async def hit(self, *key: str) -> Headers:
        """Count a call; the x-ratelimit headers. Raises TooManyRequests with Retry-After."""
        ...

    async def check(self, *key: str) -> None:
        """Refuse when the limit is reached, without counting. Raises TooManyRequests."""
        ...


def throttle(limit: str, store: str, name: str) -> Throttle:
    """A throttle of `limit` ("6000/minute") in memory (memory://), or in Redis when several processes share it."""
    if store == "memory://":
        return OwnThrottle(limit)
    return SharedThrottle(limit, store, name)


class OwnThrottle:
    """Windows of this process. `limits` can do the same, at five times the cost on each request."""

    def __init__(self, limit: str) -> None:
        item = parse(limit)
        self._most = item.amount
        self._seconds = item.get_expiry()
        self._windows: dict[tuple[str, ...], list[float]] = {}
        self._told = (b"x-ratelimit-limit", str(item.amount).encode())

    async def hit(self, *key: str) -> Headers:
        """Count a call; the x-ratelimit headers. Raises TooManyRequests with Retry-After."""
        now = time.time()
        window = self._windows.get(key)
        if window is None or window[0] <= now:
            window = self._open(key, now)
        window[1] += 1
        left = self._most - int(window[1])
        headers = self._headers(left, window[0] - now)
        if left < 0:
            raise _too_many(headers)
        return headers

    async def check(self, *key: str) -> None:
        """Refuse when the limit is reached, without counting. Raises TooManyRequests."""
        now = time.time()
        window = self._windows.get(key)
        if window is not None and window[0] > now and window[1] >= self._most:
            raise _too_many(self._headers(0, window[0] - now))

    def _open(self, key: tuple[str, ...], now: float) -> list[float]:
        if len(self._windows) >= MOST_WINDOWS:
            self._windows = {known: window for known, window in self._windows.items() if window[0] > now}
        window = self._windows[key] = [now + self._seconds, 0]
        return window

    def _headers(self, left: int, seconds: float) -> Headers:
        return [self._told, (b"x-ratelimit-remaining", b"%d" % max(0, left)), (b"ratelimit-reset", _whole(seconds))]


class SharedThrottle:
    """Windows in Redis or Valkey, shared by all processes that are given the same store."""

    def __init__(self, limit: str, store: str, name: str) -> None:
        self._limit = parse(limit)
        made = storage_from_string(f"async+{store}", implementation="redispy")
        assert isinstance(made, Storage)
        self._limiter = FixedWindowRateLimiter(made)
        self._name = name

    async def hit(self, *key: str) -> Headers:
        """Count a call; the x-ratelimit headers. Raises TooManyRequests with Retry-After."""
        allowed = await self._limiter.hit(self._limit, self._name, *key)
        headers = await self._headers(*key)
        if not allowed:
            raise _too_many(headers)
        return headers

    async def check(self, *key: str) -> None:
        """Refuse when the limit is reached, without counting. Raises TooManyRequests."""
        if not await self._limiter.test(self._limit, self._name, *key):
            raise _too_many(await self._headers(*key))

    async def _headers(self, *key: str) -> Headers:
        reset, remaining = await self._limiter.get_window_stats(self._limit, self._name, *key)
        return [
            (b"x-ratelimit-limit", str(self._limit.amount).encode()),
            (b"x-ratelimit-remaining", str(max(0, remaining)).encode()),
            (b"ratelimit-reset", _whole(reset - time.time())),
        ]


def _whole(seconds: float) -> bytes:
    return b"%d" % max(1, round(seconds))


def _too_many(headers: Headers) -> TooManyRequests:
    told = {name.decode(): value.decode() for name, value in headers}
    return TooManyRequests(headers=told | {"retry-after": told["ratelimit-reset"]})
