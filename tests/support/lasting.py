"""Carriers that live on in a thread while programs come and go."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from support.program import Peers

C = TypeVar("C")


class Lasting(ABC, Generic[C]):
    """A carrier on a loop of its own. `port` may be one that nobody listens at yet; then `start` begins."""

    carrier: C

    def __init__(self, among: Peers, name: str = "carrier", port: int = 0, *, away: bool = False) -> None:
        self.name, self.port, self._among = name, port, among
        self.carrier = among.do(self._made())
        if not away:
            self.start()

    @abstractmethod
    async def _made(self) -> C:
        """The carrier, which does not listen yet."""

    @abstractmethod
    async def _listen(self) -> int:
        """Listen at `port`, or at any for 0; where it is."""

    @abstractmethod
    async def _end(self) -> None:
        """Listen no more."""

    @abstractmethod
    def toml(self, *options: str, route: str = "") -> str:
        """The configuration of a program that sends by this carrier."""

    def report_to(self, port: int) -> None:
        """The program listens at this port. A carrier that reports by the program's own connections needs none."""

    def start(self) -> None:
        self.port = self._among.do(self._listen())

    def change(self, work: Callable[[C], None]) -> None:
        """Change how it behaves, between two messages."""

        async def run() -> None:
            work(self.carrier)

        self._among.do(run())

    def until(self, what: Callable[[C], bool], seconds: float = 60.0) -> None:
        """Wait until something is true of it."""

        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not what(self.carrier):  # noqa: ASYNC110 - no one event tells of all that a test may ask
                    await asyncio.sleep(0.005)

        self._among.do(wait(), seconds + 10)

    def stop(self) -> None:
        self._among.do(self._end())
