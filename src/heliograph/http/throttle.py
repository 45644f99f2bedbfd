"""How often one account may call one endpoint, and how often one address may fail to log in."""

import time

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from heliograph.errors import TooManyRequests


class Throttle:
    """One limit over one store. The store is in memory, or in Redis when several processes share it."""

    def __init__(self, limit: str, store: str, prefix: str) -> None:
        self._limit: RateLimitItem = parse(limit)
        self._limiter = FixedWindowRateLimiter(storage_from_string(store))
        self._prefix = prefix

    def hit(self, *key: str) -> list[tuple[str, str]]:
        """Count a call; the x-ratelimit headers. Raises TooManyRequests with Retry-After."""
        allowed = self._limiter.hit(self._limit, self._prefix, *key)
        headers = self._headers(*key)
        if not allowed:
            raise TooManyRequests(headers=dict(headers) | {"retry-after": headers[2][1]})
        return headers

    def check(self, *key: str) -> None:
        """Refuse when the limit is reached, without counting. Raises TooManyRequests."""
        if not self._limiter.test(self._limit, self._prefix, *key):
            headers = self._headers(*key)
            raise TooManyRequests(headers=dict(headers) | {"retry-after": headers[2][1]})

    def _headers(self, *key: str) -> list[tuple[str, str]]:
        reset, remaining = self._limiter.get_window_stats(self._limit, self._prefix, *key)
        return [
            ("x-ratelimit-limit", str(self._limit.amount)),
            ("x-ratelimit-remaining", str(max(0, remaining))),
            ("ratelimit-reset", str(max(1, round(reset - time.time())))),
        ]
