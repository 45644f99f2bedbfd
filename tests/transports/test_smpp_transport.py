"""The SMPP transport against the simulated SMSC, and against a carrier that is played: how it sends, how it ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec
import pytest
import uvloop
from structlog.testing import capture_logs

from heliograph.transports.base import Failed, Outgoing, Retry, Sent
from heliograph.transports.options import SmppOptions
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.transport import SEGMENT_TRIES, SmppTransport
from transports.conformance import Fate, Peer, Recorder, WithReceipts, run, sms, soon, until
from transports.ports import free_port
from transports.wire import QUICK, TAKEN, Carrier, Pdu, Wire, play, response

LONG = ("a" * 153, "b" * 153, "c")
RECIPIENTS: dict[Fate, str] = {
    "taken": TAKEN,
    "refused": "+61491999004",
    "put off": "+61491999005",
    "cut": "+61491999009",
}


class SmscPeer(Peer):
    def __init__(self, bind_mode: Literal["transceiver", "pair"] = "transceiver") -> None:
        self._bind_mode = bind_mode
        self.smsc = SimulatedSmsc(receipt_delay=0, retry_delay=0.01)
        self._port = free_port()

    async def start(self) -> None:
        await self.smsc.start(port=self._port)

    async def stop(self) -> None:
        await self.smsc.stop()

    def transport(self) -> SmppTransport:
        options = SmppOptions("127.0.0.1", self._port, bind_mode=self._bind_mode, reconnect_max=0.1)
        return SmppTransport("carrier", options, timing=QUICK)

    def message(self, fate: Fate, number: int) -> Outgoing:
        return sms(RECIPIENTS[fate], number=number)

    @property
    def taken(self) -> int:
        return self.smsc.counts["submits"]

    @property
    def acknowledged(self) -> int:
        return self.smsc.counts["acknowledged"]


class TestConformance(WithReceipts):
    def peer(self) -> Peer:
        return SmscPeer()


class TestConformanceOfPairs(WithReceipts):
    def peer(self) -> Peer:
        return SmscPeer("pair")


async def answer(wire: Wire, decide: Callable[[bytes], tuple[int, str]]) -> None:
    """Answer every submit_sm by its octets, until cancelled."""
    while True:
        request = await wire.read()
        octets = pdu.decode_short_message(request.command, request.body).octets
        wire.write(response(request, *decide(octets)))


async def sent_while(answering: Awaitable[None], transport: SmppTransport, batch: Sequence[Outgoing]) -> list[Any]:
    task = asyncio.ensure_future(answering)
    try:
        return list(await soon(transport.send(batch)))
    finally:
        task.cancel()
        await asyncio.wait([task])


class Segments:
    """Refuses the second segment so many times with a status; takes all the others."""

    def __init__(self, times: int, status: int) -> None:
        self.times = times
        self.status = status
        self.seen: list[bytes] = []

    def __call__(self, octets: bytes) -> tuple[int, str]:
        self.seen.append(octets)
        if octets[5] == 2 and self.times:
            self.times -= 1
            return self.status, ""
        return 0, f"id{octets[5]}"


@pytest.mark.parametrize("status", [pdu.ESME_RTHROTTLED, pdu.ESME_RMSGQFUL, pdu.ESME_RSYSERR])
def test_a_segment_that_is_refused_for_now_is_sent_again(status: int) -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        decide = Segments(SEGMENT_TRIES - 1, status)
        (outcome,) = await sent_while(answer(wire, decide), transport, [sms(TAKEN, parts=LONG)])
        assert outcome == Sent(("id1", "id2", "id3"))
        assert len(decide.seen) == 3 + SEGMENT_TRIES - 1
        assert len({octets[3] for octets in decide.seen}) == 1

    play(scenario)


def test_a_segment_that_stays_refused_leaves_the_message_in_doubt() -> None:
    """And the next try has the same reference, so that a handset replaces the segments that it has."""

    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        decide = Segments(SEGMENT_TRIES, pdu.ESME_RSYSERR)
        message = sms(TAKEN, parts=LONG)
        (outcome,) = await sent_while(answer(wire, decide), transport, [message])
        assert isinstance(outcome, Retry)
        assert outcome.maybe_sent
        assert outcome.why == "ESME_RSYSERR; 2 of 3 segments were taken"
        other, again = await sent_while(answer(wire, decide), transport, [sms(TAKEN, parts=LONG, number=2), message])
        assert other == again == Sent(("id1", "id2", "id3"))
        references = [octets[3] for octets in decide.seen]
        assert references[-3:] == references[:3] != references[-6:-3]

    play(scenario)


def test_a_message_refused_in_part_has_failed_and_says_what_was_taken() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        decide = Segments(1, 0x45)
        (outcome,) = await sent_while(answer(wire, decide), transport, [sms(TAKEN, parts=LONG)])
        assert outcome == Failed(0x45, "ESME_RSUBMITFAIL; 2 of 3 segments were taken")

    play(scenario)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((Failed, status) for status in (0x01, 0x0A, 0x0B, 0x45, 0x401)),
        *((Retry, status) for status in (0x04, 0x08, 0x14, 0x58, 0x64, 0xFF)),
    ],
)
def test_statuses(kind: type, status: int) -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        (outcome,) = await sent_while(answer(wire, lambda _: (status, "")), transport, [sms(TAKEN)])
        assert isinstance(outcome, kind)
        assert (outcome.code, outcome.why) == (status, pdu.status_name(status))

    play(scenario)


def test_generic_nack_is_an_answer() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        request = await wire.read()
        wire.write(Pdu(pdu.GENERIC_NACK, pdu.ESME_RINVCMDID, request.sequence, b""))
        assert await soon(sending) == [Failed(pdu.ESME_RINVCMDID, "ESME_RINVCMDID")]

    play(scenario)


def test_throttling_holds_back_what_waits_and_loses_nothing() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        statuses = [pdu.ESME_RTHROTTLED]
        answered_at: list[float] = []

        def decide(octets: bytes) -> tuple[int, str]:
            answered_at.append(asyncio.get_running_loop().time())
            return (statuses.pop() if statuses else 0), octets.decode()

        batch = [sms(TAKEN, f"text{number}", number=number) for number in range(3)]
        first, second, third = await sent_while(answer(wire, decide), transport, batch)
        assert isinstance(first, Retry)
        assert 0 < first.after < 0.11
        assert (second, third) == (Sent(("text1",)), Sent(("text2",)))
        assert answered_at[1] - answered_at[0] > 0.09

    play(scenario, timing=msgspec.structs.replace(QUICK, throttle_pause=0.1), window=1)


def test_only_throttlings_in_a_row_make_the_pause_longer() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        pauses = []
        for status in (pdu.ESME_RTHROTTLED, pdu.ESME_RTHROTTLED, pdu.ESME_ROK, pdu.ESME_RTHROTTLED):
            await until(lambda: transport.ready)
            sending = asyncio.create_task(transport.send([sms(TAKEN)]))
            wire.write(response(await wire.read(), status))
            (outcome,) = await soon(sending)
            if isinstance(outcome, Retry):
                pauses.append(outcome.after)
        first, second, third = pauses
        assert first < 0.41 < second < 0.81
        assert third < 0.41

    play(scenario, timing=msgspec.structs.replace(QUICK, throttle_pause=0.4))


def test_a_carrier_that_refuses_validity_gets_none_from_then_on() -> None:
    """Also what was in flight when it refused the first one comes again, and does not fail."""

    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        batch = [sms(TAKEN, number=number) for number in range(3)]
        sending = asyncio.create_task(transport.send(batch))
        requests = [await wire.read() for _ in batch]
        assert all(b"000+\0" in request.body for request in requests)
        wire.write(*(response(request, pdu.ESME_RINVEXPIRY) for request in requests))
        outcomes = await soon(sending)
        assert all(isinstance(outcome, Retry) and not outcome.maybe_sent for outcome in outcomes)
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        request = await wire.read()
        assert b"000+\0" not in request.body
        wire.write(response(request, pdu.ESME_RINVEXPIRY))
        assert await soon(sending) == [Failed(pdu.ESME_RINVEXPIRY, "ESME_RINVEXPIRY")], "that was not the reason"

    play(scenario)


def test_the_rate_is_kept() -> None:
    async def scenario() -> None:
        smsc = SimulatedSmsc()
        options = SmppOptions("127.0.0.1", await smsc.start(), rate=100)
        transport = SmppTransport("carrier", options, timing=QUICK)
        await soon(transport.open(Recorder()))
        start = time.monotonic()
        outcomes = await soon(transport.send([sms(TAKEN, number=number) for number in range(40)]))
        assert time.monotonic() - start >= 0.29, "40, less a burst of 10, at 100 a second"
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        await soon(transport.close())
        await smsc.stop()

    run(scenario())


def test_what_was_not_written_when_the_connection_breaks_is_not_in_doubt() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN, number=number) for number in range(3)]))
        await wire.read()
        await wire.close()
        first, *others = await soon(sending)
        assert isinstance(first, Retry)
        assert first.maybe_sent
        assert [(other.why, other.maybe_sent) for other in others] == [("not connected", False)] * 2

    play(scenario, window=1)


def test_the_window_holds_over_calls_at_the_same_time() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        calls = [
            asyncio.create_task(transport.send([sms(TAKEN, number=10 * call + one) for one in range(3)]))
            for call in range(3)
        ]
        for step in range(3):
            read = [await wire.read() for _ in range(3)]
            wire.write(Pdu(pdu.ENQUIRE_LINK, 0, 1000 + step, b""))
            assert (await wire.read()).command == pdu.ENQUIRE_LINK | pdu.RESPONSE, "more than the window was written"
            wire.write(*(response(request, 0, str(request.sequence)) for request in read))
        outcomes = [outcome for outcomes in await soon(asyncio.gather(*calls)) for outcome in outcomes]
        assert len(outcomes) == 9
        assert all(isinstance(outcome, Sent) for outcome in outcomes)

    play(scenario, window=3)


def test_a_cancelled_call_sends_nothing_more() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        cancelled = asyncio.create_task(transport.send([sms(TAKEN, f"old{number}") for number in range(3)]))
        first = await wire.read()
        cancelled.cancel()
        await asyncio.wait([cancelled])
        sending = asyncio.create_task(transport.send([sms(TAKEN, "new")]))
        wire.write(response(first, 0, "1"))
        second = await wire.read()
        assert pdu.decode_short_message(second.command, second.body).octets == b"new"
        wire.write(response(second, 0, "2"))
        assert await soon(sending) == [Sent(("2",))]

    play(scenario, window=1)


def test_a_response_without_id_is_final() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        (outcome,) = await sent_while(answer(wire, lambda _: (0, "")), transport, [sms(TAKEN)])
        assert outcome == Sent(())

    play(scenario)


def test_no_answer_in_time_leaves_a_doubt() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        await wire.read()
        (outcome,) = await soon(sending)
        assert isinstance(outcome, Retry)
        assert (outcome.maybe_sent, outcome.why) == (True, "no answer within 1 s")

    play(scenario, response_timeout=1.0)


def test_a_carrier_that_falls_silent_is_left_and_bound_to_again() -> None:
    async def scenario() -> None:
        async with Carrier() as far:
            options = SmppOptions("127.0.0.1", far.port, enquire_link=0.05, response_timeout=1.0)
            transport = SmppTransport("carrier", options, timing=QUICK)
            opening = asyncio.create_task(transport.open(Recorder()))
            wire = await far.connection()
            await soon(opening)
            assert (await wire.read()).command == pdu.ENQUIRE_LINK
            await far.connection()
            await soon(transport.close())

    run(scenario())


def test_close_waits_for_answers_under_way() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        request = await wire.read()
        closing = asyncio.create_task(transport.close())
        wire.write(response(request, 0, "1"))
        assert await soon(sending) == [Sent(("1",))]
        goodbye = await wire.read()
        assert goodbye.command == pdu.UNBIND
        wire.write(response(goodbye))
        await soon(closing)

    play(scenario)


def test_close_writes_nothing_more() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN, number=number) for number in range(2)]))
        request = await wire.read()
        closing = asyncio.create_task(transport.close())
        await until(lambda: not transport.ready)
        wire.write(response(request, 0, "1"))
        first, second = await soon(sending)
        assert first == Sent(("1",))
        assert isinstance(second, Retry)
        assert not second.maybe_sent
        assert (await wire.read()).command == pdu.UNBIND
        await soon(closing)

    play(scenario, window=1)


def test_close_gives_up_on_a_carrier_that_says_nothing() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        await wire.read()
        await soon(transport.close())
        (outcome,) = await soon(sending)
        assert isinstance(outcome, Retry)
        assert outcome.maybe_sent

    play(scenario, timing=msgspec.structs.replace(QUICK, close_wait=0.05))


def test_close_does_not_wait_for_a_segment_that_was_put_off() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN, parts=LONG)]))
        first, second, third = [await wire.read() for _ in LONG]
        wire.write(response(first, 0, "1"), response(second, pdu.ESME_RSYSERR), response(third, 0, "3"))
        await until(lambda: transport._delayed)
        await soon(transport.close())
        (outcome,) = await soon(sending)
        assert isinstance(outcome, Retry)
        assert (outcome.maybe_sent, outcome.why) == (True, "not connected; 2 of 3 segments were taken")

    play(scenario, timing=msgspec.structs.replace(QUICK, segment_pause=3600))


def test_an_unbind_by_the_carrier_is_answered_and_the_bind_opened_again() -> None:
    async def whole() -> None:
        async with Carrier() as far:
            transport = SmppTransport("carrier", SmppOptions("127.0.0.1", far.port), timing=QUICK)
            opening = asyncio.create_task(transport.open(Recorder()))
            wire = await far.connection()
            await soon(opening)
            wire.write(Pdu(pdu.UNBIND, 0, 5, b""))
            assert await wire.read() == Pdu(pdu.UNBIND | pdu.RESPONSE, 0, 5, b"")
            assert await wire.ended()
            await far.connection()
            await until(lambda: transport.ready)
            await soon(transport.close())

    run(whole())


def test_binds_share_the_load() -> None:
    async def whole() -> None:
        async with Carrier() as far:
            transport = SmppTransport("carrier", SmppOptions("127.0.0.1", far.port, binds=3), timing=QUICK)
            opening = asyncio.create_task(transport.open(Recorder()))
            wires = [await far.connection() for _ in range(3)]
            await soon(opening)
            loads = [0, 0, 0]

            async def serve(at: int) -> None:
                while True:
                    request = await wires[at].read()
                    loads[at] += 1
                    wires[at].write(response(request, 0, f"{at}-{request.sequence}"))

            tasks = [asyncio.create_task(serve(at)) for at in range(3)]
            outcomes = await soon(transport.send([sms(TAKEN, number=number) for number in range(90)]))
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
            assert loads == [30, 30, 30]
            for number in range(3):
                await soon(transport.send([sms(TAKEN, number=number)]))
            assert loads == [31, 31, 31]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await soon(transport.close())

    run(whole())


def test_binds_are_opened_again() -> None:
    async def whole() -> None:
        smsc, events = SimulatedSmsc(receipt_delay=0.001), Recorder()
        options = SmppOptions("127.0.0.1", await smsc.start(), binds=3, reconnect_max=0.1)
        transport = SmppTransport("carrier", options, timing=QUICK)
        await soon(transport.open(events))
        await until(lambda: smsc.counts["binds"] == 3)
        smsc.disconnect()
        await until(lambda: smsc.counts["binds"] == 6)
        await until(lambda: transport.ready)
        outcomes = await soon(transport.send([sms(TAKEN, number=number) for number in range(50)]))
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        await until(lambda: len(events.receipts) == 50)
        assert all(receipt.key for receipt in events.receipts)
        await soon(transport.close())
        await smsc.stop()

    run(whole())


def test_a_wrong_password_keeps_trying_and_sends_nothing() -> None:
    async def whole() -> None:
        asked: list[pdu.Bind] = []

        def nobody(bind: pdu.Bind) -> bool:
            asked.append(bind)
            return False

        smsc = SimulatedSmsc(authenticate=nobody)
        port = await smsc.start()
        options = SmppOptions("127.0.0.1", port, "me", "a long password", "VMA", reconnect_max=0.05)
        transport = SmppTransport("carrier", options, timing=QUICK)
        await soon(transport.open(Recorder()))
        await until(lambda: len(asked) >= 3)
        assert set(asked) == {pdu.Bind("me", "a long password", "VMA")}
        assert not transport.ready
        (outcome,) = await soon(transport.send([sms(TAKEN)]))
        assert isinstance(outcome, Retry)
        await soon(transport.close())
        await smsc.stop()

    run(whole())


def test_a_host_that_can_be_no_name_is_told_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: Any, **__: Any) -> None:
        "carrier..example".encode("idna")

    monkeypatch.setattr(uvloop.Loop, "create_connection", connect)

    async def whole() -> None:
        transport = SmppTransport("carrier", SmppOptions("carrier..example"), timing=QUICK)
        with capture_logs() as logs:

            def told() -> list[Any]:
                """What this transport logged: other servers of this process may log something meanwhile."""
                return [entry for entry in logs if entry.get("transport") == "carrier"]

            await soon(transport.open(Recorder()))
            await until(lambda: len(told()) >= 2)
            await soon(transport.close())
        assert {entry["event"] for entry in told()} == {"smpp.unreachable"}
        assert "label empty" in told()[0]["why"]

    run(whole())


def test_capacity_follows_window_and_rate() -> None:
    def capacity(**options: Any) -> int:
        return SmppTransport("carrier", SmppOptions("127.0.0.1", 1, **options)).capacity

    assert capacity(binds=2, window=50) == 200
    assert capacity(binds=2, window=50, rate=10) == 20
    assert capacity(rate=0.1) == 1
