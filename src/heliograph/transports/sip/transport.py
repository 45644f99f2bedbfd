"""The SIP transport: voice messages as calls through a trunk, which a worker process makes."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from heliograph.transports.base import Events, Failed, Outcome, Outgoing, Spoken
from heliograph.transports.sip import outcomes
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.orders import Dial
from heliograph.transports.sip.outcomes import away
from heliograph.transports.sip.ping import is_there
from heliograph.transports.sip.worker import Lost, Worker

PATIENCE = 4.0
"""Seconds in which a trunk has to answer whether it is there."""

FIRST, LONGEST = 2.0, 60.0
"""Seconds until a trunk that failed is tried again: at first, and at most."""

GRACE = 5.0
"""Seconds that calls get to end when the transport closes."""

SPARE = 60.0
"""Seconds beyond ringing and the longest call after which a worker is given up."""

_NUMBER = frozenset("+0123456789")

log = structlog.get_logger(__name__)


class SipTransport:
    """Calls whoever a message is for. A call that ends is an outcome; what the trunk does wrong makes it not ready."""

    def __init__(self, name: str, options: SipOptions) -> None:
        self.name = name
        self._use(options)
        self._slots = asyncio.Semaphore(options.calls)
        self._there = False
        self._why = "not connected"
        self._failures = 0
        self._next_call = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._flying: set[asyncio.Task[Outcome]] = set()
        self._open = False

    def _use(self, options: SipOptions) -> None:
        """Take these options, and a worker for them."""
        self._options = options
        self._worker = Worker(self.name, options)

    @property
    def connected(self) -> bool:
        """Whether the trunk answers, and the worker can call."""
        return self._open and self._there and self._worker.pid != 0

    @property
    def ready(self) -> bool:
        """The same: a trunk takes a call at once or not at all."""
        return self.connected

    @property
    def capacity(self) -> int:
        """Calls at once."""
        return self._options.calls

    async def open(self, events: Events) -> None:
        """Start the worker, and look whether the trunk is there."""
        self._open = True
        self._worker.start()
        self._looking = asyncio.create_task(self._look())

    async def _wait_until_ready(self) -> None:
        """Return when a call can be made, or when it is known that none can, after some seconds at most."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not (self.ready or self._worker.problem) and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # two things have to come true

    async def close(self) -> None:
        """Let calls end for a few seconds, then hang up."""
        self._open = False
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None
        if self._flying:
            await asyncio.wait(self._flying, timeout=GRACE)
        await self._worker.close()
        if self._flying:
            await asyncio.wait(self._flying)
        self._there = False

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Call; one outcome for each message, when its call is over."""
        calls = [asyncio.create_task(self._one(outgoing)) for outgoing in batch]
        self._flying.update(calls)
        try:
            return await asyncio.gather(*calls)
        finally:
            self._flying.difference_update(calls)

    # One call

    async def _one(self, outgoing: Outgoing) -> Outcome:
        content = outgoing.content
        if not isinstance(content, Spoken):
            return Failed(None, "this carrier makes calls only")
        if not _callable(outgoing.recipient) or not (_callable(outgoing.sender) or not outgoing.sender):
            return Failed(None, "no number that can be called")
        async with self._slots:
            await self._pace()
            if not self.ready:
                return away(self._worker.problem or self._why)
            return await self._call(outgoing, content)

    async def _pace(self) -> None:
        """Wait for the turn of a call, where only so many may begin in a second."""
        if not self._options.rate:
            return
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_call)
        self._next_call = at + 1 / self._options.rate
        await asyncio.sleep(at - now)

    async def _call(self, outgoing: Outgoing, content: Spoken) -> Outcome:
        options, attempt = self._options, outgoing.attempt

        def make(number: int) -> Dial:
            return Dial(number, outgoing.recipient, outgoing.sender, content.sound, content.keys, content.machines)

        try:
            ended = await self._worker.call(make, options.ring + options.longest + SPARE)
        except Lost:
            why = "the server stopped" if not self._open else "the calling process died"
            return outcomes.lost(f"{why} during the call", attempt, options)
        if ended.starved:
            log.warning("sip.starved", transport=self.name, frames=ended.starved)
        if outcomes.is_away(ended):
            self._lose(outcomes.said(ended))
        else:
            self._failures = 0
        return outcomes.outcome(ended, attempt, options)

    # The trunk

    def _lose(self, why: str) -> None:
        """The trunk did not take a call: none goes there for a while."""
        if self._there:
            self._there, self._why = False, why
            self._failures += 1
            log.error("sip.trunk_away", transport=self.name, why=why)
            self._wake.set()

    async def _look(self) -> None:
        """See whether the trunk is there: now and then while it is, with growing pauses while it is not."""
        options = self._options
        while self._open:
            self._wake.clear()
            if not self._there and self._failures:
                await asyncio.sleep(min(FIRST * 2 ** (self._failures - 1), LONGEST))
            if await self._answers():
                self._found()
            elif self._there:
                self._lose("the trunk does not answer")
            else:
                self._why = "the trunk does not answer"
                await asyncio.sleep(FIRST)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), options.ping or None)

    def _found(self) -> None:
        if not self._there:
            self._there = True
            log.info("sip.trunk_there", transport=self.name)

    async def _answers(self) -> bool:
        """Whether the worker is there, and so is the trunk. Without pings, it is until a call fails."""
        if not await self._worker.ready(PATIENCE):
            return False
        options = self._options
        return not options.ping or await is_there(options.host, options.port, options.protocol, PATIENCE)


def _callable(number: str) -> bool:
    return 0 < len(number) <= 20 and set(number) <= _NUMBER
