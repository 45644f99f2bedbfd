"""The built-in carrier of the voice channel: the SIP transport, and a phone of its own on loopback."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from heliograph.transports.base import Events, Outcome, Outgoing, Sent
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.outcomes import away
from heliograph.transports.sip.transport import SipTransport
from heliograph.transports.sip.worker import ENVIRONMENT

CALLS = 50
"""Calls at once."""

CALLER = "+61481074190"
"""The number that calls when a message names none."""


class SandboxVoice(SipTransport):
    """Places every call over SIP to a phone in a process of its own; no call leaves the machine.

    The phone and the worker are started with the first call: most processes never make one.
    """

    def __init__(self, name: str, folder: Path) -> None:
        options = SipOptions(host="127.0.0.1", calls=CALLS, caller_id=CALLER, pause=10.0, ping=0.0)
        super().__init__(name, options)
        self._folder = folder
        self._phone: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._events: Events | None = None

    @property
    def connected(self) -> bool:
        """It is always there, since it can be started."""
        return self._events is not None and (not self._open or super().connected)

    async def open(self, events: Events) -> None:
        """Be there. Nothing is started yet."""
        self._events = events

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Call the phone, which is started when it is not there."""
        if batch and self._events is not None:
            try:
                await self._start(self._events)
            except OSError as problem:
                return [away(f"the built-in phone cannot be started: {problem}")] * len(batch)
        return [_by_the_phone(outcome) for outcome in await super().send(batch)]

    async def _start(self, events: Events) -> None:
        """Start phone and worker, once. Raises OSError."""
        async with self._starting:
            if self._phone is not None and self._phone.returncode is None:
                return
            if self._open:
                await super().close()
            pipe = asyncio.subprocess.PIPE
            command = (sys.executable, "-I", "-m", "heliograph.transports.sandbox.phone.process", str(self._folder))
            self._phone = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=ENVIRONMENT)
            assert self._phone.stdout is not None
            port = (await self._phone.stdout.readline()).strip()
            if not port:
                raise OSError("it ended at once")
            self._use(msgspec.structs.replace(self._options, port=int(port)))
            await super().open(events)
            await self._wait_until_ready()

    async def close(self) -> None:
        """End the calls, then the phone."""
        self._events = None
        await super().close()
        if self._phone is not None and self._phone.stdin is not None:
            self._phone.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._phone.wait(), 3.0)
            if self._phone.returncode is None:
                self._phone.kill()
                await self._phone.wait()
            self._phone = None


def _by_the_phone(outcome: Outcome) -> Outcome:
    """Nobody who reads a timeline shall think that a person was called."""
    if isinstance(outcome, Sent):
        return msgspec.structs.replace(outcome, detail=f"built-in phone, {outcome.detail}")
    return outcome
