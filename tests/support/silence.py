"""An MMSC that is there while programs come and go, and that says nothing as long as it is told to."""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from heliograph.transports.base import Mms
from heliograph.transports.mm7.envelope import Envelope
from heliograph.transports.sandbox.mmsc import Scenario, SimulatedMmsc
from support.lasting import Lasting
from support.overtaking import Overtaker
from support.program import Peers

Manner = Literal["answer", "take", "hold"]
"""Whether it answers; or takes and reports a message without an answer; or does not even take it."""


class SilentMmsc(SimulatedMmsc):
    """`submitted` counts messages by their text, `ids` has the TransactionIDs that each came with.

    `order` has their texts as they came. `manner` is asked for each message; `held` counts those without an answer.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, report_delay=0.0, retry_delay=0.05)
        self.submitted: Counter[str] = Counter()
        self.order: list[str] = []
        self.ids: defaultdict[str, set[str]] = defaultdict(set)
        self.held = 0
        self.usual()

    def usual(self) -> None:
        """Answer each message."""
        self.manner: Callable[[], Manner] = lambda: "answer"

    def say_nothing(self) -> None:
        """Take every other message, and answer none."""
        turns: itertools.cycle[Manner] = itertools.cycle(("take", "hold"))
        self.manner = lambda: next(turns)

    async def _taken(self, asked: Envelope, message: Mms, scenario: Scenario) -> str:
        self.submitted[message.text] += 1
        self.order.append(message.text)
        self.ids[message.text].add(asked.transaction_id)
        manner = self.manner()
        found = "" if manner == "hold" else await super()._taken(asked, message, scenario)
        if manner != "answer":
            self.held += 1
            await asyncio.Event().wait()  # the connection ends, and this with it
        return found


class LastingMmsc(Lasting[SilentMmsc]):
    """A SilentMmsc on a loop of its own, whose files are in a folder."""

    def __init__(self, among: Peers, name: str = "carrier", port: int = 0, *, away: bool = False, folder: Path) -> None:
        self._folder = folder
        super().__init__(among, name, port, away=away)

    async def _made(self) -> SilentMmsc:
        return SilentMmsc(self._folder)

    async def _listen(self) -> int:
        return await self.carrier.start(self.port)

    async def _end(self) -> None:
        await self.carrier.stop()

    def report_to(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}/carriers/{self.name}"
        self.change(lambda mmsc: setattr(mmsc, "report_to", (url, "carrier", "secret")))

    def toml(self, *options: str, route: str = "") -> str:
        lines = [f"[transports.{self.name}]", 'kind = "mm7"', f'url = "http://127.0.0.1:{self.port}/"']
        lines += ['inbound_username = "carrier"', 'inbound_password = "secret"', *options]
        return "\n".join([*lines, "[[routes]]", f'transport = "{self.name}"', 'channel = "mms"', route, ""])


def carrier_of(
    channel: str, among: Peers, folder: Path, name: str = "carrier", port: int = 0, *, away: bool = False
) -> Lasting[Any]:
    """An SMSC or an MMSC, whose files are in a folder."""
    if channel == "mms":
        return LastingMmsc(among, name, port, away=away, folder=folder)
    return Overtaker(among, name, port, away=away)
