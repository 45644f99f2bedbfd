"""The windows of windows.py over Redis or Valkey, for processes that share them."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from limits import parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.storage import storage_from_string
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from heliograph.http.windows import Headers, OwnThrottle, too_many, whole_seconds

T = TypeVar("T")
TIMEOUT = 1.0
"""Seconds that the store may take to answer."""
REST = 5.0
"""Seconds that a store which did not answer is left alone: no request has to wait for it then."""
log = structlog.get_logger(__name__)


class SharedStore:
    """Redis or Valkey. While it is away, nobody waits for it."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {
            "implementation": "redispy",
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 1),  # a connection that the store has closed since is replaced, and no more
        }
        self._storage: Any = storage_from_string(f"async+{url}", **options)
        assert isinstance(self._storage, Storage)
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._away = False
        self._rests_until = 0.0

    async def ask(self, question: Callable[[FixedWindowRateLimiter], Awaitable[T]]) -> T | None:
        """What the store says, or None while it is away."""
        if self._away and time.monotonic() < self._rests_until:
            return None
        try:
            answer = await question(self._limiter)
        except (RedisError, OSError) as problem:
            if not self._away:
                log.warning("limits.store_away", why="Each process counts for itself.", problem=str(problem))
            self._away, self._rests_until = True, time.monotonic() + REST
            return None
        if self._away:
            log.info("limits.store_back")
        self._away = False
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._storage.bridge.storage.aclose()


class SharedThrottle:
    """Windows that all processes with the same store share; windows of this process while the store is away."""

    def __init__(self, limit: str, store: SharedStore, name: str) -> None:
        self._limit = parse(limit)
        self._store = store
        self._name = name
        self._own = OwnThrottle(limit)

    async def hit(self, *key: str) -> Headers:
        """Count a call; the x-ratelimit headers. Raises TooManyRequests with Retry-After."""
        headers = await self._ask(FixedWindowRateLimiter.hit, key)
        return await self._own.hit(*key) if headers is None else headers

    async def give_back(self, *key: str) -> None:
        """Take back one call that was counted."""
        if await self._store.ask(lambda limiter: limiter.hit(self._limit, self._name, *key, cost=-1)) is None:
            await self._own.give_back(*key)

    async def _ask(self, act: Callable[..., Awaitable[bool]], key: tuple[str, ...]) -> Headers | None:
        """The headers after `act`, or None while the store is away. Raises TooManyRequests."""

        async def question(limiter: FixedWindowRateLimiter) -> tuple[bool, float, int]:
            allowed = await act(limiter, self._limit, self._name, *key)
            return allowed, *await limiter.get_window_stats(self._limit, self._name, *key)

        answer = await self._store.ask(question)
        if answer is None:
            return None
        allowed, reset, remaining = answer
        headers = [
            (b"x-ratelimit-limit", str(self._limit.amount).encode()),
            (b"x-ratelimit-remaining", str(max(0, remaining)).encode()),
            (b"ratelimit-reset", whole_seconds(reset - time.time())),
        ]
        if not allowed:
            raise too_many(headers)
        return headers
