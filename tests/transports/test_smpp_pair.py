"""A carrier without transceivers: messages leave by transmitters, receipts and replies come by receivers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from heliograph.transports.base import Retry, Sent
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.transport import SmppTransport
from support.smsc import Heard, Script, ScriptedSmsc, answer, taken
from transports.conformance import Recorder, run, sms, soon, until
from transports.wire import QUICK, SERVICE, TAKEN

Scenario = Callable[[ScriptedSmsc, SmppTransport, Recorder], Awaitable[None]]

RECEIVER, TRANSMITTER = pdu.BIND_RECEIVER, pdu.BIND_TRANSMITTER
ENDS = (pdu.encode_address(pdu.Address(1, 1, TAKEN[1:])), pdu.encode_address(pdu.Address(1, 1, SERVICE[1:])))
RECEIPT = pdu.encode_short_message(*ENDS, b"id:7 stat:DELIVRD err:000", esm_class=pdu.RECEIPT)
STOP = pdu.encode_short_message(*ENDS, b"STOP")


def nobody(kind: int) -> bool:
    return False


def play(
    scenario: Scenario, script: Script | None = None, refuse: Callable[[int], bool] = nobody, **options: Any
) -> None:
    """Run a scenario with a transport that is open; whether its binds are there is the scenario's matter."""

    async def whole() -> None:
        events = Recorder()
        async with ScriptedSmsc(script or taken("7"), refuse=refuse) as smsc:
            given = {"bind_mode": "pair", "reconnect_max": 0.05} | options
            transport = SmppTransport("carrier", SmppOptions("127.0.0.1", smsc.port, **given), timing=QUICK)
            await soon(transport.open(events))
            try:
                await scenario(smsc, transport, events)
            finally:
                events.gate.set()
                await soon(transport.close())

    run(whole())


def test_each_does_its_part() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.bound(RECEIVER)
        assert sorted(smsc.binds) == [RECEIVER, TRANSMITTER]
        message = sms(TAKEN)
        assert await soon(transport.send([message])) == [Sent(("7",))]
        assert (await smsc.deliver(RECEIPT)).status == 0
        assert (await smsc.deliver(STOP)).status == 0
        assert [(one.key, one.state) for one in events.receipts] == [(message.key, "delivered")]
        assert [one.body for one in events.inbound] == ["STOP"]
        assert {bound.kind for bound, _ in smsc.heard_submits} == {TRANSMITTER}

    play(scenario)


def test_a_pair_for_each_bind() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.until(lambda: len(smsc.binds) == 6)
        assert sorted(smsc.binds) == [RECEIVER] * 3 + [TRANSMITTER] * 3
        assert len(await soon(transport.send([sms(TAKEN, number=number) for number in range(60)]))) == 60
        assert len({bound for bound, _ in smsc.heard_submits}) == 3
        assert transport.capacity == 2 * 3 * 10

    play(scenario, binds=3, window=10)


def test_without_a_transmitter_nothing_is_sent() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.bound(RECEIVER)
        assert not transport.connected
        assert not transport.ready
        (outcome,) = await soon(transport.send([sms(TAKEN)]))
        assert isinstance(outcome, Retry)
        assert not outcome.maybe_sent
        assert smsc.submits == []
        await smsc.deliver(STOP)
        assert [one.body for one in events.inbound] == ["STOP"], "what comes in needs no transmitter"

    play(scenario, refuse=lambda kind: kind == TRANSMITTER)


def test_without_a_receiver_messages_are_sent() -> None:
    """Receipts wait at the carrier until there is one."""
    refused = {RECEIVER}

    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        await until(lambda: transport.ready)
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("7",))]
        refused.clear()
        await smsc.deliver(RECEIPT)
        assert [one.state for one in events.receipts] == ["delivered"]

    play(scenario, refuse=lambda kind: kind in refused)


def test_a_lost_transmitter_is_opened_again_and_the_receiver_stays() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        receiver = await smsc.bound(RECEIVER)
        (await smsc.bound(TRANSMITTER)).cut()
        await smsc.until(lambda: smsc.binds.count(TRANSMITTER) == 2)
        await until(lambda: transport.ready)
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("7",))]
        assert smsc.binds.count(RECEIVER) == 1
        assert await smsc.bound(RECEIVER) is receiver

    play(scenario)


def test_a_lost_receiver_is_opened_again_and_sending_goes_on() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        await until(lambda: transport.ready)
        (await smsc.bound(RECEIVER)).cut()
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("7",))]
        await smsc.until(lambda: smsc.binds.count(RECEIVER) == 2)
        await smsc.deliver(RECEIPT)
        assert [one.state for one in events.receipts] == ["delivered"]
        assert smsc.binds.count(TRANSMITTER) == 1

    play(scenario)


def test_a_transmitter_that_is_lost_in_flight_leaves_a_doubt_though_the_receiver_is_there() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        transmitter, receiver = await smsc.bound(TRANSMITTER), await smsc.bound(RECEIVER)
        await until(lambda: transport.ready)
        sending = asyncio.create_task(transport.send([sms(TAKEN, number=number) for number in range(2)]))
        await smsc.until(lambda: smsc.submits)
        transmitter.cut()
        first, second = await soon(sending)
        assert isinstance(first, Retry)
        assert first.maybe_sent
        assert isinstance(second, Retry)
        assert not second.maybe_sent
        assert receiver in smsc.there

    play(scenario, script=lambda heard: [], window=1)


def test_a_receipt_that_overtakes_the_response_is_reported_without_its_message() -> None:
    """Two connections have no order. Whoever stores it waits for the message that gets the id."""
    held: list[Heard] = []

    def hold(heard: Heard) -> list[bytes]:
        held.append(heard)
        return []

    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        transmitter = await smsc.bound(TRANSMITTER)
        await until(lambda: transport.ready)
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        await smsc.until(lambda: held)
        await smsc.deliver(RECEIPT)
        assert [(one.key, one.remote_id) for one in events.receipts] == [(None, "7")]
        transmitter.writer.write(answer(held[0], 0, "7"))
        assert await soon(sending) == [Sent(("7",))]

    play(scenario, script=hold)


def test_both_say_goodbye_after_what_was_read_is_stored() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.bound(RECEIVER)
        await until(lambda: transport.ready)
        events.gate.clear()
        delivering = asyncio.create_task(smsc.deliver(STOP))
        await until(lambda: events.inbound)
        closing = asyncio.create_task(transport.close())
        events.gate.set()
        assert (await soon(delivering)).status == 0
        await soon(closing)
        assert not transport.connected
        assert sorted(smsc.goodbyes) == [RECEIVER, TRANSMITTER]
        await smsc.until(lambda: not smsc.there)

    play(scenario)


def test_too_many_deliveries_make_the_receiver_wait_and_not_the_transmitter() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        receiver = await smsc.bound(RECEIVER)
        await until(lambda: transport.ready)
        events.gate.clear()
        receiver.writer.write(b"".join(pdu.encode(pdu.DELIVER_SM, 0, number, RECEIPT) for number in range(1, 12_001)))
        await until(lambda: transport._inbox._paused)
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("7",))]
        events.gate.set()
        await until(lambda: len(events.receipts) == 12_000)

    play(scenario)


@pytest.mark.parametrize("kind", [RECEIVER, TRANSMITTER])
def test_a_goodbye_of_the_carrier_opens_that_one_again(kind: int) -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.bound(RECEIVER)
        (await smsc.bound(kind)).writer.write(pdu.encode(pdu.UNBIND, 0, 5))
        await smsc.until(lambda: smsc.binds.count(kind) == 2)
        await until(lambda: transport.ready)
        assert await soon(transport.send([sms(TAKEN)])) == [Sent(("7",))]
        assert len(smsc.binds) == 3

    play(scenario)
