"""Hand-overs that are under way, each in a task of its own, of transports that have no window."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from heliograph.transports.base import Outcome, Outgoing


class UnderWay:
    """The hand-overs of one transport."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Outcome]] = set()

    async def all(self, deliver: Callable[[Outgoing], Awaitable[Outcome]], batch: Sequence[Outgoing]) -> list[Outcome]:
        """Deliver each message of a batch, all at the same time; the outcomes in their order."""
        tasks = [asyncio.ensure_future(deliver(message)) for message in batch]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.gather(*tasks)

    async def end(self, grace: float) -> None:
        """Let them end for `grace` seconds, and cancel those that have not."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
