"""A transport that is made when it gets its first message: what it is built from takes memory and time to import."""

import asyncio
from collections.abc import Callable, Sequence

from heliograph.transports.base import Events, Outcome, Outgoing, Retry, Transport

PATIENCE = 10.0
"""Seconds that a transport has to find its carrier before the first messages are given to it all the same."""
LOOK = 0.005
AGAIN = 5.0
"""Seconds until a message is tried again whose transport could not be opened or is closed."""


class LateTransport:
    """Stands for a built-in carrier, which is always there. `make` imports and makes the transport itself."""

    def __init__(self, name: str, make: Callable[[], Transport], capacity: int) -> None:
        self.name = name
        self._make = make
        self._capacity = capacity
        self._events: Events | None = None
        self._inner: Transport | None = None
        self._beginning = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether the carrier is there, or will be for the first message."""
        return self._events is not None and (self._inner is None or self._inner.connected)

    @property
    def ready(self) -> bool:
        """Whether a message would go out at once, or open the transport."""
        return self._events is not None and (self._inner is None or self._inner.ready)

    @property
    def capacity(self) -> int:
        """Messages that it is sensible to have inside `send` at once."""
        return self._capacity if self._inner is None else self._inner.capacity

    async def open(self, events: Events) -> None:
        """Remember where to report."""
        self._events = events

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Hand over; the first call opens the transport."""
        async with self._beginning:
            if self._events is not None and self._inner is None and batch:
                inner = await asyncio.to_thread(self._make)
                try:
                    await self._begin(inner, self._events)
                except OSError as problem:
                    return [Retry(AGAIN, f"The built-in carrier cannot start: {problem.strerror}") for _ in batch]
        if self._inner is None:
            return [Retry(AGAIN, "The connections to the carrier are closed") for _ in batch]
        return await self._inner.send(batch)

    async def _begin(self, inner: Transport, events: Events) -> None:
        await inner.open(events)
        self._inner = inner
        for _ in range(int(PATIENCE / LOOK)):
            if inner.ready:
                return
            await asyncio.sleep(LOOK)

    async def close(self) -> None:
        """Close the transport, if it was opened."""
        async with self._beginning:
            self._events = None
        if self._inner is not None:
            await self._inner.close()
