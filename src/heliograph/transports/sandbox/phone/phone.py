"""The built-in phone: a SIP user agent on loopback (RFC 3261, over UDP) that takes calls as their numbers say.

It speaks G.711 and telephone-event, hears and records, and calls nobody.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import structlog

from heliograph.transports.sandbox.phone import records, sound
from heliograph.transports.sandbox.phone.records import CallRecord
from heliograph.transports.sandbox.phone.scenarios import Scenario, scenario_of
from heliograph.transports.sip import message
from heliograph.transports.sip.message import Message

Address = tuple[str, int]
TICK = 0.02
AGAIN = 0.5
"""Seconds after which a final response is sent again that was not acknowledged (RFC 3261, T1); it doubles."""

MOST_TRIES = 6
KEY_DELAY = 25
"""Frames from the answer to the first key: half a second."""

KEY_PAUSE = 5
LONGEST_HEARD = 900 * sound.RATE
"""Samples of a call that are recorded."""

_OFFERED = re.compile(r"^m=audio (\d{1,5}) [A-Z/]+ ([\d ]{1,100})", re.MULTILINE)
_EVENT = re.compile(r"^a=rtpmap:(\d{1,3}) telephone-event/8000", re.MULTILINE | re.IGNORECASE)

log = structlog.get_logger(__name__)


class Line(asyncio.DatagramProtocol):
    """The media of one call: what is heard is kept, a packet goes out each 20 ms."""

    def __init__(self, law: int, events: int | None, peer: Address) -> None:
        self.law, self.events, self.peer = law, events, peer
        self.heard = bytearray()
        self.frames = 0
        self._plan: list[tuple[int, bytes, bool]] = []
        self._source = secrets.randbits(32)
        self._number = secrets.randbits(15)
        self._event_stamp = 0
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        found = sound.payload_of(data)
        if found is not None and found[0] == self.law and len(self.heard) < LONGEST_HEARD:
            self.heard += found[1]

    def play(self, coded: bytes) -> None:
        """Send a sound, a frame at a time."""
        whole = coded + sound.SILENCE[self.law][: -len(coded) % sound.FRAME]
        self._plan += [(self.law, whole[at : at + sound.FRAME], False) for at in range(0, len(whole), sound.FRAME)]

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        silence = (self.law, sound.SILENCE[self.law], False)
        self._plan += [silence] * KEY_DELAY
        for key in keys:
            if self.events is not None:
                first = True
                for event in sound.pressed(key):
                    self._plan.append((self.events, event, first))
                    first = False
            self._plan += [silence] * KEY_PAUSE

    def throw(self, data: bytes) -> None:
        """Send a packet just as it is."""
        self._transport.sendto(data, self.peer)

    def tick(self) -> None:
        """Send what comes next, or silence."""
        kind, payload, first = self._plan.pop(0) if self._plan else (self.law, sound.SILENCE[self.law], False)
        stamp = self.frames * sound.FRAME
        if kind == self.events:
            self._event_stamp = stamp if first else self._event_stamp
            stamp = self._event_stamp
        self._number += 1
        self.throw(sound.packet(kind, self._number, stamp, self._source, payload, marker=first))
        self.frames += 1

    @property
    def port(self) -> int:
        """Where it hears."""
        return int(self._transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Hear and send no more."""
        self._transport.close()


class Dialog:
    """A call from its INVITE to its end."""

    def __init__(self, invite: Message, peer: Address, scenario: Scenario) -> None:
        self.invite, self.peer, self.scenario = invite, peer, scenario
        self.tag = secrets.token_hex(8)
        self.at = time.time()
        self.line: Line | None = None
        self.answer: Message | None = None
        self.acknowledged = self.over = False
        self.timers: list[asyncio.TimerHandle] = []

    @property
    def called(self) -> str:
        """The number that was called."""
        return message.user_of(self.invite.uri)

    @property
    def status(self) -> int:
        """The final status that it was answered with; 487 when the caller gave up."""
        return self.answer.status if self.answer else 0


class Phone(asyncio.DatagramProtocol):
    """All calls of the phone. `changed` hears how many there are, whenever it changes."""

    def __init__(self, folder: Path | None, changed: Callable[[int], None] = lambda _: None) -> None:
        self._folder = folder
        self._changed = changed
        self._dialogs: dict[str, Dialog] = {}
        self._refused_once: dict[str, float] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._starting: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport
        self._loop = asyncio.get_running_loop()

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; the port (a free one for 0). Raises OSError."""
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", port))
        self._ticking = asyncio.create_task(self._tick())
        return int(self._transport.get_extra_info("sockname")[1])

    async def stop(self) -> None:
        """Forget all calls, without a word to their callers."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, *self._starting, return_exceptions=True)
        for dialog in list(self._dialogs.values()):
            self._end(dialog)
        self._transport.close()

    @property
    def calls(self) -> int:
        """Calls that are there."""
        return len(self._dialogs)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        request = message.decode(data)
        if request is None or request.status or not request.get("call-id"):
            return
        known = self._dialogs.get(request.get("call-id"))
        handler = {
            "INVITE": self._invite,
            "ACK": self._ack,
            "BYE": self._bye,
            "CANCEL": self._cancel,
        }.get(request.method)
        if handler is not None:
            handler(request, addr, known)
        else:
            self._send(message.response(request, 200 if request.method in ("OPTIONS", "INFO") else 405, "phone"), addr)

    def _send(self, answer: Message, peer: Address) -> None:
        self._transport.sendto(answer.encode(), peer)

    # Requests

    def _invite(self, request: Message, addr: Address, known: Dialog | None) -> None:
        if known is not None:
            if known.answer is not None:
                self._send(self._again(known, request), addr)
            return
        scenario = scenario_of(message.user_of(request.uri))
        dialog = self._dialogs[request.get("call-id")] = Dialog(request, addr, scenario)
        self._changed(len(self._dialogs))
        self._send(message.response(request, 100, dialog.tag), addr)
        if scenario.refusal and not (scenario.once and self._was_refused(dialog.called)):
            self._finally(dialog, message.response(request, scenario.refusal, dialog.tag))
            return
        self._send(message.response(request, 180, dialog.tag), addr)
        if scenario.ring is not None:
            self._later(dialog, scenario.ring, lambda: self._start(dialog))

    def _again(self, known: Dialog, request: Message) -> Message:
        """The answer once more; to a new offer in the same call (re-INVITE), the same description."""
        assert known.answer is not None
        if request.get("cseq") == known.invite.get("cseq"):
            return known.answer
        known.invite = request
        more = [(name, value) for name, value in known.answer.headers if name in ("contact", "content-type")]
        return message.response(request, known.answer.status, known.tag, more, known.answer.body)

    def _was_refused(self, number: str) -> bool:
        """Whether this number was refused within the last five minutes; if not, it is now."""
        last = self._refused_once.pop(number, 0.0)
        now = self._loop.time()
        if last and now - last < 300:
            return True
        self._refused_once[number] = now
        return False

    def _ack(self, request: Message, addr: Address, known: Dialog | None) -> None:
        if known is None:
            return
        known.acknowledged = True
        if known.line is None:
            self._end(known)

    def _bye(self, request: Message, addr: Address, known: Dialog | None) -> None:
        if known is None:
            self._send(message.response(request, 481, "phone"), addr)
            return
        self._send(message.response(request, 200, known.tag), addr)
        self._end(known)

    def _cancel(self, request: Message, addr: Address, known: Dialog | None) -> None:
        if known is None or known.line is not None:
            self._send(message.response(request, 481, "phone"), addr)
            return
        self._send(message.response(request, 200, known.tag), addr)
        self._finally(known, message.response(known.invite, 487, known.tag))

    # Answers

    def _start(self, dialog: Dialog) -> None:
        task = asyncio.create_task(self._take(dialog))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _take(self, dialog: Dialog) -> None:
        """Pick up."""
        offer = dialog.invite.body.decode("utf-8", "replace")
        found = _OFFERED.search(offer)
        laws = [int(one) for one in found[2].split() if int(one) in sound.SILENCE] if found else []
        if found is None or not laws:
            self._finally(dialog, message.response(dialog.invite, 488, dialog.tag))
            return
        event = _EVENT.search(offer)
        line = Line(laws[0], int(event[1]) if event else None, (dialog.peer[0], int(found[1])))
        await self._loop.create_datagram_endpoint(lambda: line, ("127.0.0.1", 0))
        if dialog.over:
            line.close()
            return
        dialog.line = line
        contact = f"<sip:{dialog.called}@127.0.0.1:{self._transport.get_extra_info('sockname')[1]}>"
        more = [("contact", contact), ("content-type", "application/sdp")]
        self._finally(dialog, message.response(dialog.invite, 200, dialog.tag, more, _description(line).encode()))
        self._behave(dialog, line)

    def _behave(self, dialog: Dialog, line: Line) -> None:
        scenario = dialog.scenario
        if scenario.mailbox:
            line.play(sound.encoded(sound.greeting(), line.law))
        if scenario.keys:
            line.press(scenario.keys)
        if scenario.hangs_up is not None:
            self._later(dialog, scenario.hangs_up, lambda: self._hang_up(dialog))

    def _hang_up(self, dialog: Dialog) -> None:
        """Send BYE in the dialog that the caller has opened (RFC 3261, 12.2)."""
        invite = dialog.invite
        target = invite.get("contact").partition("<")[2].partition(">")[0] or invite.get("contact")
        port = self._transport.get_extra_info("sockname")[1]
        headers = [
            ("via", f"SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{secrets.token_hex(8)}"),
            ("max-forwards", "70"),
            ("from", f"{invite.get('to')};tag={dialog.tag}"),
            ("to", invite.get("from")),
            ("call-id", invite.get("call-id")),
            ("cseq", "1 BYE"),
        ]
        self._send(Message(f"BYE {target} SIP/2.0", headers), dialog.peer)
        self._end(dialog)

    def _finally(self, dialog: Dialog, answer: Message) -> None:
        """Give the final answer, again and again until it is acknowledged."""
        dialog.answer = answer
        self._repeat(dialog, answer, AGAIN, 0)

    def _repeat(self, dialog: Dialog, answer: Message, pause: float, tries: int) -> None:
        if dialog.acknowledged or dialog.over:
            return
        if tries == MOST_TRIES:
            self._end(dialog)
            return
        self._send(answer, dialog.peer)
        self._later(dialog, pause, lambda: self._repeat(dialog, answer, 2 * pause, tries + 1))

    def _later(self, dialog: Dialog, delay: float, work: Callable[[], None]) -> None:
        dialog.timers.append(self._loop.call_later(delay, work))

    def _end(self, dialog: Dialog) -> None:
        """The call is over: it is written down and forgotten."""
        if dialog.over:
            return
        dialog.over = True
        for timer in dialog.timers:
            timer.cancel()
        self._dialogs.pop(dialog.invite.get("call-id"), None)
        self._changed(len(self._dialogs))
        heard = b""
        if dialog.line is not None:
            dialog.line.close()
            heard = sound.decoded(bytes(dialog.line.heard), dialog.line.law).tobytes()
        record = CallRecord(
            id=records.new_id(dialog.at),
            at=int(dialog.at),
            caller=message.user_of(dialog.invite.get("from")),
            called=dialog.called,
            scenario=dialog.scenario.name,
            status=dialog.status,
            heard=round(len(heard) / 2 / sound.RATE, 2),
            pressed=dialog.scenario.keys if dialog.line is not None else "",
        )
        if self._folder is not None:
            try:
                records.keep(self._folder, record, heard)
            except OSError as problem:
                log.error("phone.not_kept", problem=str(problem))

    async def _tick(self) -> None:
        """Every line sends a packet each 20 ms, counted from the beginning so that delays do not add up."""
        at = self._loop.time()
        while True:
            at += TICK
            await asyncio.sleep(max(0.0, at - self._loop.time()))
            for dialog in list(self._dialogs.values()):
                if dialog.line is not None and dialog.acknowledged:
                    dialog.line.tick()


def _description(line: Line) -> str:
    """The session description of the answer (RFC 4566)."""
    port = line.port
    kinds = [str(line.law), *([str(line.events)] if line.events is not None else [])]
    name = {sound.PCMU: "PCMU", sound.PCMA: "PCMA"}[line.law]
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {' '.join(kinds)}", f"a=rtpmap:{line.law} {name}/8000"]
    if line.events is not None:
        lines += [f"a=rtpmap:{line.events} telephone-event/8000", f"a=fmtp:{line.events} 0-15"]
    return "\r\n".join([*lines, "a=ptime:20", "a=sendrecv", ""])
