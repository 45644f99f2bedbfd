"""The SIP transport against a phone on loopback: every way in which a call can end, and what a bad phone does."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from heliograph.transports.base import Failed, MessageKey, Outcome, Outgoing, Retry, Sent, Spoken
from heliograph.transports.sandbox.phone import scenarios
from heliograph.transports.sandbox.phone.phone import Address, Dialog, Phone
from heliograph.transports.sandbox.phone.scenarios import Scenario
from heliograph.transports.sip import message
from heliograph.transports.sip.message import Message
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.transport import SipTransport
from support.logs import own_logs
from transports.conformance import Conformance, Fate, Peer, Recorder, run, until
from transports.ports import free_port

TONE = b"\x00\x10\x00\xf0" * 1000
"""A quarter of a second of sound."""

NUMBERS = {"taken": "+61491570006", "refused": "+61491999004", "put off": "+61491999001", "cut": "+61491888001"}


def call(number: str = "+61491570006", sound: bytes = TONE, key: str = "M", **more: Any) -> Outgoing:
    flags = {name: more.pop(name) for name in ("keys", "machines") if name in more}
    return Outgoing(MessageKey(1, "voice", key), "", number, Spoken(sound, **flags), 0, **more)


class OddPhone(Phone):
    """A phone that does to a call what a test says, by its number. `requests` has the methods that it got."""

    def __init__(self) -> None:
        super().__init__(None)
        self.odd: dict[str, Callable[[Dialog], None]] = {}
        self.answers_with: dict[str, str] = {}
        self.requests: list[Message] = []
        self.picked_up = 0

    def datagram_received(self, data: bytes, addr: Address) -> None:
        request = message.decode(data)
        if request is not None:
            self.requests += [] if request.status else [request]
        super().datagram_received(data, addr)

    async def _take(self, dialog: Dialog) -> None:
        if dialog.called in self.answers_with:
            more = [("contact", f"<sip:{dialog.called}@127.0.0.1>"), ("content-type", "application/sdp")]
            body = self.answers_with[dialog.called].replace("\n", "\r\n").encode()
            self._finally(dialog, message.response(dialog.invite, 200, dialog.tag, more, body))
            return
        await super()._take(dialog)
        self.picked_up += dialog.line is not None
        odd = self.odd.get(dialog.called)
        if odd is not None and dialog.line is not None:
            odd(dialog)

    def ask(self, dialog: Dialog, method: str, number: int, *headers: tuple[str, str], body: bytes = b"") -> None:
        """Send a request within a call."""
        invite = dialog.invite
        target = invite.get("contact").strip("<>")
        mine = f"127.0.0.1:{self._transport.get_extra_info('sockname')[1]}"
        usual = [
            ("via", f"SIP/2.0/UDP {mine};branch=z9hG4bK{number}{dialog.tag}"),
            ("max-forwards", "70"),
            ("from", f"{invite.get('to')};tag={dialog.tag}"),
            ("to", invite.get("from")),
            ("call-id", invite.get("call-id")),
            ("cseq", f"{number} {method}"),
            ("contact", f"<sip:phone@{mine}>"),
        ]
        self._send(Message(f"{method} {target} SIP/2.0", [*usual, *headers], body), dialog.peer)


def vanish(dialog: Dialog) -> None:
    """The battery is empty: no sound any more, and no word."""
    assert dialog.line is not None
    dialog.line.tick = lambda: None  # type: ignore[method-assign]
    dialog.line.play(b"")


OPTIONS = SipOptions("127.0.0.1", ring=4.0, pause=1.0, rtp_timeout=1, ping=0.5, calls=20, key_wait=1.0, key_silence=0.4)


class PhonePeer(Peer):
    """The phone as the conformance suite wants it: what it does to a call is told by the number."""

    def __init__(self) -> None:
        self._port = free_port()
        self._taken = 0
        self.phone: OddPhone | None = None

    async def start(self) -> None:
        self.phone = OddPhone()
        self.phone.odd[NUMBERS["cut"]] = vanish
        await self.phone.start(self._port)

    async def stop(self) -> None:
        if self.phone is not None:
            self._taken = self.taken
            await self.phone.stop()
            self.phone = None

    def transport(self) -> SipTransport:
        return SipTransport("trunk", msgspec.structs.replace(OPTIONS, port=self._port))

    def message(self, fate: Fate, number: int) -> Outgoing:
        return call(NUMBERS[fate], TONE * 8 if fate == "cut" else TONE, f"MESSAGE-{number}")

    @property
    def taken(self) -> int:
        """Calls that were picked up."""
        now = 0 if self.phone is None else self.phone.picked_up
        return self._taken + now


@pytest.mark.slow
class TestConformance(Conformance):
    ids = False

    def peer(self) -> Peer:
        return PhonePeer()


@asynccontextmanager
async def phone_and_trunk(**options: Any) -> AsyncIterator[tuple[OddPhone, SipTransport]]:
    phone = OddPhone()
    port = await phone.start()
    trunk = SipTransport("trunk", msgspec.structs.replace(OPTIONS, port=port, **options))
    await trunk.open(Recorder())
    await until(lambda: trunk.ready)
    try:
        yield phone, trunk
    finally:
        await trunk.close()
        await phone.stop()


async def called(trunk: SipTransport, *calls: Outgoing) -> list[Outcome]:
    """Make calls at the same time."""
    return list(await asyncio.wait_for(trunk.send(calls), 60))


def test_how_a_call_can_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once, over one trunk."""
    refusals = {str(status): Scenario(f"{status}", refusal=status) for status in (480, 600, 607, 410, 420, 487)}
    odd = {f"888{status}": scenario for status, scenario in refusals.items()}
    monkeypatch.setattr(scenarios, "SCENARIOS", {**scenarios.SCENARIOS, **odd})

    async def scenario() -> None:
        async with phone_and_trunk(tries=2, ring=2.0) as (phone, trunk):
            numbers = ["+61491999001", "+61491999003", "+61491999004", "+61491999005", "+61491999009", "+61491999010"]
            numbers += [f"+61491{suffix}" for suffix in odd]
            outcomes = await called(
                trunk,
                *(call(number, TONE * 8 if number.endswith("999009") else TONE) for number in numbers),
                call("+61491999001", attempt=2),
                call("+61491999006", TONE * 3, keys=True),
                call("+61491999007", TONE, keys=True),
                call("+61491570006", TONE, keys=True),
            )
            said = dict(zip((number[-6:] for number in numbers), outcomes, strict=False))
            assert said["999001"] == Retry(1.0, "busy (486 Busy Here)", 486)
            assert said["999003"] == Retry(1.0, "no answer", None)
            assert said["999004"] == Failed(404, "unallocated number (404 Not Found)")
            assert said["999005"] == Failed(603, "declined (603 Decline)")
            hung_up = said["999009"]
            assert isinstance(hung_up, Sent)
            assert hung_up.detail.endswith("of 2.0 s, then hung up")
            assert 0.5 <= float(hung_up.detail.split()[2]) <= 1.5
            assert said["999010"] == Sent(
                detail="answered, heard 0.2 of 0.2 s", arrived=True, details={"digits": "", "machine_detected": 0}
            )
            assert said["888480"] == Retry(1.0, "no answer (480 Unknown)", 480)
            assert said["888600"] == Retry(1.0, "busy (600 Unknown)", 600)
            assert said["888607"] == Failed(607, "declined (607 Unknown)")
            assert said["888410"] == Failed(410, "unallocated number (410 Unknown)")
            assert said["888420"] == Retry(1.0, "refused: 420 Unknown", 420)
            assert said["888487"] == Retry(1.0, "no answer (487 Request Terminated)", 487)
            last, one, three, none = outcomes[-4:]
            assert last == Failed(486, "busy (486 Busy Here)")
            assert [answer.details["digits"] for answer in (one, three, none)] == ["1", "159#", ""]  # type: ignore
            assert [request.method for request in phone.requests].count("CANCEL") == 1
            assert trunk.ready

    run(scenario())


def test_a_machine_is_told_from_a_human_and_hears_all_after_its_greeting() -> None:
    async def scenario() -> None:
        async with phone_and_trunk(machine_initial_silence=0.6, rtp_timeout=5) as (_, trunk):
            machine, human = await called(
                trunk, call("+61491999008", machines=True), call("+61491570006", machines=True)
            )
            assert isinstance(machine, Sent)
            assert isinstance(human, Sent)
            assert machine.details == {"digits": "", "machine_detected": 1}
            assert machine.detail.startswith("answered by a machine, heard 0.2 of 0.2 s")
            assert human.details == {"digits": "", "machine_detected": 0}

    run(scenario())


def garbage(phone: OddPhone) -> Callable[[Dialog], None]:
    def throw(dialog: Dialog) -> None:
        assert dialog.line is not None
        for size in (0, 1, 11, 12, 13, 500, 1400):
            dialog.line.throw(os.urandom(size))
            dialog.line.throw(b"\x80" + os.urandom(size))

    return throw


def flood(dialog: Dialog) -> None:
    assert dialog.line is not None
    dialog.line.press("5")
    for number in range(300):
        dialog.line.throw(
            b"\x80\xe5" + number.to_bytes(2, "big") + (number * 1600).to_bytes(4, "big") + b"ABCD\x05\x0a\x03\x20"
        )


def refers(phone: OddPhone) -> Callable[[Dialog], None]:
    return lambda dialog: phone.ask(dialog, "REFER", 1, ("refer-to", "<sip:+19005550123@127.0.0.1>"))


def holds(phone: OddPhone, way: str) -> Callable[[Dialog], None]:
    """A second offer within the call (re-INVITE)."""

    def offer(dialog: Dialog) -> None:
        assert dialog.answer is not None
        body = dialog.answer.body.replace(b"a=sendrecv", way.encode()).replace(b"o=- 1 1", b"o=- 1 2")
        phone.ask(dialog, "INVITE", 1, ("content-type", "application/sdp"), body=body)

    return offer


def info(phone: OddPhone) -> Callable[[Dialog], None]:
    body = b"Signal=7\r\nDuration=100\r\n"
    return lambda dialog: phone.ask(dialog, "INFO", 1, ("content-type", "application/dtmf-relay"), body=body)


def test_whoever_misbehaves_gets_no_more_than_a_call() -> None:
    async def scenario() -> None:
        async with phone_and_trunk(longest=3.0, rtp_timeout=5) as (phone, trunk):
            odd = {
                "garbage": garbage(phone),
                "flood": flood,
                "refers": refers(phone),
                "holds": holds(phone, "a=sendonly"),
                "again": holds(phone, "a=sendrecv"),
                "info": info(phone),
            }
            numbers = {name: f"+6149157{place:04d}" for place, name in enumerate(odd, 100)}
            phone.odd = {numbers[name]: behaviour for name, behaviour in odd.items()}
            outcomes = await called(trunk, *(call(number, TONE * 4, keys=True) for number in numbers.values()))
            said = dict(zip(numbers, outcomes, strict=True))
            assert all(isinstance(outcome, Sent) for outcome in outcomes), said
            assert said["info"].details == {"digits": "7", "machine_detected": 0}  # type: ignore[union-attr]
            assert len(said["flood"].details["digits"]) <= 100  # type: ignore[union-attr, index]
            dialled = {message.user_of(request.uri) for request in phone.requests if request.method == "INVITE"}
            assert dialled == set(numbers.values())

    run(scenario())


def test_who_calls_is_told_as_the_trunk_wants_it_and_calls_begin_one_after_the_other() -> None:
    async def scenario() -> None:
        more = {"caller_id": "+61212345678", "asserted": True, "plus": False, "rate": 10.0, "codecs": "pcma"}
        async with phone_and_trunk(**more) as (phone, trunk):
            senders = ["", "+61491570111", "", ""]
            calls = [call(f"+6149157010{number}") for number in range(4)]
            calls = [msgspec.structs.replace(one, sender=who) for one, who in zip(calls, senders, strict=True)]
            begun = asyncio.get_running_loop().time()
            outcomes = await called(trunk, *calls)
            assert asyncio.get_running_loop().time() - begun > 0.3
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
            invites = [request for request in phone.requests if request.method == "INVITE"]
            told = {
                message.user_of(one.uri): (message.user_of(one.get("from")), one.get("p-asserted-identity"))
                for one in invites
            }
            ours, theirs = "61212345678", "61491570111"
            assert told == {
                f"6149157010{number}": (who, f"<sip:{who}@127.0.0.1>")
                for number, who in enumerate([ours, theirs, ours, ours])
            }
            assert all(b"RTP/AVP 8 " in one.body for one in invites), "only what the option names is offered"

    run(scenario())


HEAD = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
ANSWERS = {
    "video only": HEAD + "m=audio 0 RTP/AVP 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 VP8/90000\n",
    "another codec": HEAD + "m=audio 9 RTP/AVP 18\na=rtpmap:18 G729/8000\n",
    "nothing": "",
    "rubbish": "\x01\x02 what=?\nm=m=m=\n" * 50,
}


def test_an_answer_without_sound_in_common_ends_the_call() -> None:
    async def scenario() -> None:
        async with phone_and_trunk(longest=5.0, rtp_timeout=2) as (phone, trunk):
            numbers = {name: f"+6149158{place:04d}" for place, name in enumerate(ANSWERS, 100)}
            phone.answers_with = {numbers[name]: body for name, body in ANSWERS.items()}
            outcomes = await called(trunk, *(call(number, TONE * 4) for number in numbers.values()))
            said = [outcome.why for outcome in outcomes if isinstance(outcome, Retry) and not outcome.waiting]
            assert said == ["answered without sound"] * len(ANSWERS), outcomes
            (good,) = await called(trunk, call())
            assert isinstance(good, Sent), "the worker has survived it"

    run(scenario())


@pytest.mark.slow
def test_a_trunk_that_says_nothing_is_away_after_four_seconds() -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
            hole.bind(("127.0.0.1", 0))
            options = msgspec.structs.replace(OPTIONS, port=hole.getsockname()[1], ping=0.0, ring=30.0)
            trunk = SipTransport("trunk", options)
            await trunk.open(Recorder())
            await until(lambda: trunk.ready)
            begun = asyncio.get_running_loop().time()
            (said,) = await called(trunk, call())
            assert said == Retry(1.0, "the trunk does not answer", waiting=True)
            assert 3.5 < asyncio.get_running_loop().time() - begun < 10
            assert not trunk.ready
            await trunk.close()

    run(scenario())


def test_a_trunk_that_is_away_is_no_try_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.transports.sip.transport.FIRST", 0.1)

    async def scenario() -> None:
        async with phone_and_trunk() as (_, trunk):
            with own_logs() as logs:
                (first,) = await called(trunk, call("+61491999011"))
            assert first == Retry(1.0, "refused: 503 Service Unavailable", waiting=True)
            assert not trunk.ready
            assert [entry["event"] for entry in logs] == ["sip.trunk_away"]
            await until(lambda: trunk.ready)
            (second,) = await called(trunk, call("+61491999011"))
            assert isinstance(second, Sent)

    run(scenario())


def test_a_worker_that_is_killed_is_started_again_and_its_calls_are_in_doubt() -> None:
    async def scenario() -> None:
        async with phone_and_trunk() as (phone, trunk):
            calls = asyncio.ensure_future(trunk.send([call(sound=TONE * 40, key=str(one)) for one in range(5)]))
            await until(lambda: phone.picked_up == 5)
            os.kill(trunk._worker.pid, signal.SIGKILL)
            killed = asyncio.get_running_loop().time()
            outcomes = await asyncio.wait_for(calls, 10)
            assert outcomes == [Retry(1.0, "the calling process died during the call", maybe_sent=True)] * 5
            await until(lambda: trunk.ready)
            (again,) = await called(trunk, call())
            assert isinstance(again, Sent)
            assert asyncio.get_running_loop().time() - killed < 30

    run(scenario())


def test_a_worker_that_always_dies_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.transports.sip.worker.COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    monkeypatch.setattr("heliograph.transports.sip.worker.FIRST", 30.0)

    async def scenario() -> None:
        with own_logs() as logs:
            trunk = SipTransport("trunk", OPTIONS)
            await trunk.open(Recorder())
            await until(lambda: [entry for entry in logs if entry["event"] == "sip.worker_died"])
            (said,) = await trunk.send([call()])
            assert isinstance(said, Retry)
            assert said.waiting
            await asyncio.wait_for(trunk.close(), 3)

    run(scenario())


def test_where_the_library_is_missing_the_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """As on a platform for which there is no wheel."""
    (tmp_path / "nocalls.py").write_text(
        "import sys, runpy\nsys.modules['baresip'] = None\n"
        "runpy.run_module('heliograph.transports.sip.process', run_name='__main__')\n"
    )
    monkeypatch.setattr("heliograph.transports.sip.worker.COMMAND", (sys.executable, str(tmp_path / "nocalls.py")))

    async def scenario() -> None:
        trunk = SipTransport("trunk", msgspec.structs.replace(OPTIONS, ping=0.0))
        await trunk.open(Recorder())
        await until(lambda: trunk._worker.problem)
        (said,) = await trunk.send([call()])
        assert isinstance(said, Retry)
        assert said.waiting
        assert "needs the package baresip-python" in said.why
        await trunk.close()

    run(scenario())
