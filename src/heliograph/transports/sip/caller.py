"""Calls over baresip, in the worker process: from the INVITE to how it ended."""

import asyncio
import contextlib
import ipaddress
import logging
import re
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

from baresip.audio import CallAudio
from baresip.call import Call
from baresip.config import Account, Config
from baresip.errors import AudioNotActive, AudioRestarted, BaresipError, split_status
from baresip.events import Event, StackEvent
from baresip.runtime import Runtime
from baresip.ua import UserAgent

from heliograph.transports.sip.machine import Detector, Ending
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.orders import Dial, Ended, How

SILENT = 4.0
"""Seconds in which a trunk has to answer anything at all."""

MUTE = 3.0
"""Seconds after the answer in which there has to be sound in common."""

STEP = 0.1
AHEAD = 8000
"""Seconds between two looks at a call, and bytes of sound that are written ahead: half a second."""

FRAME = 320
"""Bytes of 20 ms of sound: what is heard is judged by such pieces."""

LAST = 0.12
"""Seconds that the last frames take to the far end."""

MOST_DIGITS = 100
LOST = "rtp stream error"
"""How baresip says that no sound came for `rtp_timeout` seconds."""

_CALL_ID = re.compile(r"^(?:call-id|i)\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)

log = logging.getLogger(__name__)


class Line:
    """What is known of a call by its events, which may come before `dial` has returned."""

    def __init__(self) -> None:
        self.heard_of = asyncio.Event()
        self.established = asyncio.Event()
        self.closed = asyncio.Event()
        self.why = ""
        self.digits = ""
        self.last_key = 0.0

    def press(self, key: str, at: float) -> None:
        """The person pressed a key."""
        if len(self.digits) < MOST_DIGITS:
            self.digits += key
        self.last_key = at

    def close(self, why: str) -> None:
        """The call is over."""
        self.why = why
        self.closed.set()


class Closed(Exception):
    """The far end has ended the call, or never took it."""


class Caller:
    """Makes the calls of one trunk."""

    def __init__(self, options: SipOptions) -> None:
        self._options = options
        self._runtime = Runtime()
        self._agents: dict[str, UserAgent] = {}
        self._agents_lock = asyncio.Lock()
        self._lines: dict[int, Line] = {}
        self._by_call_id: dict[str, Line] = {}
        self._loop = asyncio.get_running_loop()

    async def start(self, died: Callable[[], None]) -> None:
        """Start the SIP stack. Raises BaresipError."""
        options = self._options
        config = Config(
            net_interface=options.interface or ("127.0.0.1" if _is_loopback(options.host) else None),
            max_concurrent_calls=None,
            rtp_timeout=options.rtp_timeout,
            sip_trace=True,
        )
        trace = logging.getLogger("baresip.native.sip")
        trace.setLevel(logging.DEBUG)
        trace.propagate = False
        trace.addHandler(_Trace(self._responded))
        self._runtime.on_dead = died  # type: ignore[assignment]
        await self._runtime.start(config)
        self._runtime.subscribe(self._on_event)

    async def close(self) -> None:
        """Hang up everything."""
        await self._runtime.close()

    # What the stack reports

    def _on_event(self, event: StackEvent) -> None:
        if event.event in (Event.CALL_OUTGOING, Event.CALL_INCOMING):
            self._lines[event.call] = Line()
        line = self._lines.get(event.call)
        if line is None:
            return  # of no call, or of one that is over for us
        if event.call_id:
            self._by_call_id[event.call_id] = line
        if event.event in (Event.CALL_RINGING, Event.CALL_PROGRESS, Event.CALL_ANSWERED):
            line.heard_of.set()
        elif event.event is Event.CALL_ESTABLISHED:
            line.heard_of.set()
            line.established.set()
        elif event.event is Event.CALL_DTMF_START and event.text:
            line.press(event.text, self._loop.time())
        elif event.event is Event.CALL_CLOSED:
            line.close(event.text or "")
            self._by_call_id.pop(event.call_id or "", None)
        elif event.event is Event.CALL_INCOMING:
            self._reject(event)

    def _reject(self, event: StackEvent) -> None:
        """Nobody is here to be called."""
        call = Call._from_incoming(self._runtime, event)
        task = asyncio.create_task(_quietly(call.reject()))
        task.add_done_callback(lambda _: self._lines.pop(event.call, None))

    def _responded(self, text: str) -> None:
        """A response came: "100 Trying" is no event, but says that the trunk is there. Called in the log's thread."""
        found = _CALL_ID.search(text)
        if found:
            self._loop.call_soon_threadsafe(self._heard_of, found[1])

    def _heard_of(self, call_id: str) -> None:
        line = self._by_call_id.get(call_id)
        if line is not None:
            line.heard_of.set()

    # A call

    async def call(self, order: Dial) -> Ended:
        """Make a call and say how it ended."""
        try:
            agent = await self._agent(order.sender or self._options.caller_id)
            call = await agent.dial(self._uri(order.recipient), self._headers(order))
        except (BaresipError, ValueError) as problem:
            return Ended(order.number, "refused", reason=str(problem))
        line = self._lines.setdefault(call.handle, Line())
        try:
            return await _Conversation(order, call, line, self._options).whole()
        finally:
            self._lines.pop(call.handle, None)
            await _quietly(call.hangup())

    async def _agent(self, caller: str) -> UserAgent:
        """The user agent that calls from a number; each number has one."""
        async with self._agents_lock:
            if caller not in self._agents:
                options = self._options
                account = Account(
                    user=self._spelt(caller) or "anonymous",
                    domain=f"{options.host}:{options.port}",
                    password=options.password,
                    auth_user=options.username or None,
                    reg_interval=0,
                    transport=options.protocol,
                    audio_codecs=tuple(options.codecs.split(",")),
                )
                self._agents[caller] = await UserAgent.create(self._runtime, account, transfer_policy="reject")
            return self._agents[caller]

    def _spelt(self, number: str) -> str:
        return number if self._options.plus else number.removeprefix("+")

    def _uri(self, number: str) -> str:
        options = self._options
        return f"sip:{self._spelt(number)}@{options.host}:{options.port};transport={options.protocol}"

    def _headers(self, order: Dial) -> dict[str, str]:
        caller = self._spelt(order.sender or self._options.caller_id)
        if not self._options.asserted or not caller:
            return {}
        return {"P-Asserted-Identity": f"<sip:{caller}@{self._options.host}>"}


class _Conversation:
    """One call, from the first ring."""

    def __init__(self, order: Dial, call: Call, line: Line, options: SipOptions) -> None:
        self._order, self._call, self._line, self._options = order, call, line, options
        self._sound = order.sound + bytes(-len(order.sound) % FRAME)  # a part of a frame would count as starved
        self._written = self._played = 0
        self._machine = False
        self._starved = 0
        self._loop = asyncio.get_running_loop()

    async def whole(self) -> Ended:
        try:
            refusal = await self._ring()
            if refusal is not None:
                return refusal
            async with asyncio.timeout(self._options.longest):
                return self._ended(await self._talk())
        except Closed:
            return self._closed()
        except TimeoutError:
            return self._ended("too long")

    def _ended(self, how: How, status: int = 0, reason: str = "") -> Ended:
        return Ended(
            self._order.number,
            how,
            status,
            reason,
            spoken=len(self._order.sound) / 16000,
            heard=min(self._played, len(self._order.sound)) / 16000,
            digits=self._line.digits,
            machine=self._machine,
            starved=self._starved,
        )

    def _closed(self) -> Ended:
        """The far end ended it: before the answer it refused, after it hung up, or vanished."""
        if self._line.established.is_set():
            return self._ended("lost" if self._line.why == LOST else "hung up")
        status, reason = split_status(self._line.why)
        if not status and self._line.heard_of.is_set():
            return self._ended("mute", reason=reason)  # its answer could not be used; the trunk is there
        return self._ended("refused", status or 0, reason)

    async def _ring(self) -> Ended | None:
        """Wait for the answer; how it ended without one. Raises Closed."""
        begun = self._loop.time()
        if not await self._within(self._line.heard_of.wait(), SILENT):
            return self._ended("silent")
        left = self._options.ring - (self._loop.time() - begun)
        if not await self._within(self._line.established.wait(), max(left, 0.0)):
            return self._ended("unanswered")
        return None

    async def _within(self, event: Awaitable[Any], seconds: float) -> bool:
        """Whether something happens in time. Raises Closed when the call is over before."""
        happens, over = asyncio.ensure_future(event), asyncio.ensure_future(self._line.closed.wait())
        try:
            await asyncio.wait({happens, over}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if happens.done() and not (over.done() and not self._line.established.is_set()):
                return True
            if over.done():
                raise Closed
            return False
        finally:
            happens.cancel()
            over.cancel()

    async def _pause(self, seconds: float = STEP) -> None:
        if await self._within(asyncio.sleep(seconds), seconds + 1) and self._line.closed.is_set():
            raise Closed

    async def _talk(self) -> How:
        if not await self._has_sound():
            return "mute"
        if self._order.machines:
            await self._judge()
        rounds = 1 + (self._options.key_repeats if self._order.keys else 0)
        for _ in range(rounds):
            await self._play()
            if not self._order.keys or await self._keys():
                break
        await self._pause(LAST)
        return "played"

    async def _has_sound(self) -> bool:
        """Wait until sound can go out; False: nothing was agreed on."""
        end = self._loop.time() + MUTE
        while self._loop.time() < end:
            try:
                if self._audio.info().tx_ready:
                    return True
            except AudioNotActive:
                pass
            await self._pause(STEP / 5)
        return False

    @property
    def _audio(self) -> CallAudio:
        return self._call.audio

    async def _judge(self) -> None:
        """Wait until it is known whether a machine took the call, and then until its greeting is over."""
        detector = Detector(self._options)
        verdict = None
        async for level in self._levels():
            verdict = detector.hear(level, FRAME / 16000)
            if verdict is not None:
                break
        self._machine = verdict == "machine"
        if self._machine:
            ending = Ending(self._options)
            async for level in self._levels():
                if ending.hear(level, FRAME / 16000):
                    break

    async def _levels(self) -> Any:
        """The mean level of each 20 ms that is heard. Without any sound, time passes in silence."""
        rest, silent_until = b"", self._loop.time()
        while True:
            with contextlib.suppress(AudioNotActive, AudioRestarted):
                rest += self._audio.read(1 << 15)
            now = self._loop.time()
            if len(rest) < FRAME and now - silent_until > 2 * STEP:
                rest = bytes(FRAME) * int((now - silent_until) * 50)
            for at in range(0, len(rest) - FRAME + 1, FRAME):
                samples = array("h", rest[at : at + FRAME])
                silent_until = now
                yield sum(map(abs, samples)) / len(samples)
            rest = rest[len(rest) // FRAME * FRAME :]
            await self._pause(STEP / 2)

    async def _play(self) -> None:
        """Say the text to its end, or to the key that ends the input."""
        self._written = self._played = 0
        begun = self._loop.time()
        while True:
            try:
                waiting = self._audio.info().tx_buffered
                # A call that ends empties its buffer: no more can have been heard than there was time for.
                self._played = min(self._written - waiting, int((self._loop.time() - begun) * 16000))
                if self._written < len(self._sound):
                    room = max(0, AHEAD - waiting)
                    self._written += self._audio.write(self._sound[self._written : self._written + room])
                elif not waiting:
                    self._starved += self._audio.stats().tx_starved_frames
                    return
                if self._order.keys and "#" in self._line.digits:
                    self._audio.flush_tx()
                    return
            except AudioRestarted:
                self._written = self._played  # what was on its way is lost, and said again
            except AudioNotActive:
                pass  # between two descriptions of the call; it comes back, or the longest time ends it
            await self._pause()

    async def _keys(self) -> bool:
        """Wait for keys; whether there were any."""
        line, options = self._line, self._options
        end = self._loop.time() + options.key_wait
        while not line.digits:
            if self._loop.time() >= end:
                return False
            await self._pause(STEP / 2)
        while "#" not in line.digits and self._loop.time() < line.last_key + options.key_silence:
            if len(line.digits) >= MOST_DIGITS:
                break
            await self._pause(STEP / 2)
        return True


class _Trace(logging.Handler):
    """Hears the responses among the SIP messages that the stack logs."""

    def __init__(self, responded: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._responded = responded

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("RX") and "\nSIP/2.0 " in text[:200]:
            self._responded(text)


async def _quietly(ending: Awaitable[None]) -> None:
    """End a call that may be over by now."""
    with contextlib.suppress(BaresipError):
        await ending


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
