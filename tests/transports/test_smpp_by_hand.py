"""What the SMPP transport writes, octet by octet, and when it acknowledges, to a carrier that is played by hand."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from heliograph.settings import SmppOptions
from heliograph.transports.base import Failed, MessageKey, Outgoing, Retry, Sent, SmsText
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.transport import SmppTransport, Timing
from transports.conformance import Recorder, until
from transports.wire import Carrier, Pdu, Wire, report

QUICK = Timing(unbind_wait=0.05, throttle_pause=0.02, segment_pause=0.02, first_reconnect=0.02, open_wait=1.0)
ORDINARY = "+61400000001"
_numbers = itertools.count(1)


def outgoing(recipient: str = ORDINARY, *parts: str, sender: str = "+61481074190", unicode: bool = False) -> Outgoing:
    key = MessageKey(7, "sms", f"m{next(_numbers)}")
    content = SmsText(parts or (f"hello {key.message_id}",), unicode)
    return Outgoing(key, sender, recipient, content, int(time.time()) + 3600)


@asynccontextmanager
async def with_carrier(**options: Any) -> AsyncIterator[tuple[SmppTransport, Wire, Recorder]]:
    async with Carrier() as carrier:
        transport = SmppTransport("carrier", SmppOptions("127.0.0.1", carrier.port, **options), timing=QUICK)
        events = Recorder()
        await transport.open(events)
        wire = await carrier.connection()
        try:
            yield transport, wire, events
        finally:
            events.gate.set()
            await transport.close()


@asynccontextmanager
async def with_smsc(smsc: SimulatedSmsc, **options: Any) -> AsyncIterator[tuple[SmppTransport, Recorder]]:
    port = await smsc.start()
    transport = SmppTransport("carrier", SmppOptions("127.0.0.1", port, **options), timing=QUICK)
    events = Recorder()
    await transport.open(events)
    try:
        yield transport, events
    finally:
        await transport.close()
        await smsc.stop()


def answered(request: Pdu, remote_id: str = "", status: int = 0) -> Pdu:
    body = pdu.c_string(remote_id) if remote_id else b""
    return Pdu(request.command | pdu.RESPONSE, status, request.sequence, body)


async def submitted(message: Outgoing, **options: Any) -> list[pdu.ShortMessage]:
    """The submit_sm that a message becomes."""
    async with with_carrier(**options) as (transport, wire, _):
        sending = asyncio.create_task(transport.send([message]))
        read = []
        while not sending.done():
            reading = asyncio.ensure_future(wire.read())
            await asyncio.wait([sending, reading], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                break
            request = reading.result()
            read.append(pdu.decode_short_message(request.command, request.body))
            wire.write(answered(request, f"r{len(read)}"))
        [outcome] = await sending
        assert outcome == Sent(tuple(f"r{number}" for number in range(1, len(read) + 1)))
        return read


@pytest.mark.parametrize(
    ("sender", "options", "expected"),
    [
        ("+61481074190", {}, pdu.Address(1, 1, "61481074190")),
        ("61481074190", {}, pdu.Address(1, 1, "61481074190")),
        ("12345", {}, pdu.Address(3, 0, "12345")),
        ("MyBrand", {}, pdu.Address(5, 0, "MyBrand")),
        ("12345", {"source_ton": 0}, pdu.Address(0, 0, "12345")),
    ],
)
def test_sender_has_its_type(sender: str, options: dict[str, int], expected: pdu.Address) -> None:
    [read] = asyncio.run(submitted(outgoing(sender=sender), **options))
    assert read.source == expected
    assert read.dest == pdu.Address(1, 1, ORDINARY[1:])
    assert read.registered_delivery == 1


@pytest.mark.parametrize(
    ("text", "unicode", "alphabet", "data_coding", "octets"),
    [
        ("@é€", False, "gsm", 0, b"\x00\x05\x1b\x65"),
        ("@é", False, "latin1", 0, b"@\xe9"),
        ("@é€", False, "utf8", 0, "@é€".encode()),
        ("\u0436\U0001f600", True, "gsm", 8, "\u0436\U0001f600".encode("utf-16-be")),
    ],
)
def test_text_in_the_carriers_alphabet(
    text: str, unicode: bool, alphabet: str, data_coding: int, octets: bytes
) -> None:
    [read] = asyncio.run(submitted(outgoing(ORDINARY, text, unicode=unicode), alphabet=alphabet))
    assert (read.data_coding, read.octets) == (data_coding, octets)


def test_long_message_with_headers() -> None:
    read = asyncio.run(submitted(outgoing(ORDINARY, "a" * 153, "b" * 153, "c")))
    reference = read[0].octets[3]
    assert [one.octets for one in read] == [
        bytes((5, 0, 3, reference, 3, number)) + text for number, text in enumerate((b"a" * 153, b"b" * 153, b"c"), 1)
    ]
    assert all(one.esm_class == 0x40 for one in read)


def test_long_message_as_payload() -> None:
    [read] = asyncio.run(submitted(outgoing(ORDINARY, "a" * 153, "b" * 153), long_messages="payload"))
    assert read.octets == b""
    assert read.tlvs[0x0424] == b"a" * 153 + b"b" * 153


@pytest.mark.parametrize("status", [0x58, 0x14, 0x08])
def test_temporary_status_is_retried(status: int) -> None:
    async def scenario() -> None:
        async with with_carrier() as (transport, wire, _):
            sending = asyncio.create_task(transport.send([outgoing()]))
            wire.write(answered(await wire.read(), status=status))
            [outcome] = await sending
            assert isinstance(outcome, Retry)
            assert (outcome.code, outcome.why) == (status, pdu.STATUS_NAMES[status])
            assert not outcome.maybe_sent

    asyncio.run(scenario())


def test_not_connected_after_two_seconds() -> None:
    async def scenario() -> None:
        async with Carrier() as carrier:
            transport = SmppTransport("carrier", SmppOptions("127.0.0.1", carrier.port, reconnect_max=60), timing=QUICK)
            await transport.open(Recorder())
            await (await carrier.connection()).close()
            await until(lambda: not transport.ready)
            assert await transport.send([outgoing()]) == [Retry(after=2, why="not connected")]
            await transport.close()

    asyncio.run(scenario())


def test_no_answer_in_time_is_in_doubt() -> None:
    async def scenario() -> None:
        async with with_carrier(response_timeout=0.1) as (transport, wire, _):
            sending = asyncio.create_task(transport.send([outgoing()]))
            await wire.read()
            [outcome] = await sending
            assert isinstance(outcome, Retry)
            assert outcome.maybe_sent

    asyncio.run(scenario())


def test_window_is_kept() -> None:
    async def scenario() -> None:
        async with with_carrier(window=3) as (transport, wire, _):
            sending = asyncio.create_task(transport.send([outgoing() for _ in range(5)]))  # noqa: RUF006 - awaited below
            first = [await wire.read() for _ in range(3)]
            assert not sending.done()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.read(), 0.05)
            wire.write(*(answered(one, f"a{one.sequence}") for one in first))
            wire.write(*[answered(one, f"a{one.sequence}") for one in [await wire.read(), await wire.read()]])
            assert all(isinstance(outcome, Sent) for outcome in await sending)

    asyncio.run(scenario())


def test_rate_is_kept() -> None:
    async def scenario() -> None:
        async with with_smsc(SimulatedSmsc(), rate=100) as (transport, _):
            start = time.monotonic()
            outcomes = await transport.send([outgoing() for _ in range(40)])
            assert time.monotonic() - start >= 0.25  # 40 less a burst of 10, at 100 a second
            assert all(isinstance(outcome, Sent) for outcome in outcomes)

    asyncio.run(scenario())


def test_silent_peer_is_left() -> None:
    async def scenario() -> None:
        async with with_carrier(enquire_link=0.05, response_timeout=0.1) as (transport, wire, _):
            assert (await wire.read()).command == pdu.ENQUIRE_LINK
            await until(lambda: not transport.ready)

    asyncio.run(scenario())


def test_throttled_messages_are_not_lost() -> None:
    async def scenario() -> None:
        smsc = SimulatedSmsc(receipt_delay=0.001)
        async with with_smsc(smsc) as (transport, events):
            message = outgoing("+61400999005")
            codes = []
            outcome = (await transport.send([message]))[0]
            while isinstance(outcome, Retry):
                codes.append(outcome.code)
                assert not transport.ready
                await until(lambda: transport.ready)
                outcome = (await transport.send([message]))[0]
            assert codes == [0x58, 0x58, 0x58]
            assert isinstance(outcome, Sent)
            await until(lambda: len(events.receipts) == 1)

    asyncio.run(scenario())


def test_receipts_of_one_read_are_stored_before_they_are_acknowledged() -> None:
    async def scenario() -> None:
        async with with_carrier() as (transport, wire, events):
            messages = [outgoing() for _ in range(3)]
            sending = asyncio.create_task(transport.send(messages))
            requests = [await wire.read() for _ in messages]
            wire.write(*(answered(request, f"id{number}") for number, request in enumerate(requests)))
            await sending
            events.gate.clear()
            wire.write(*(Pdu(pdu.DELIVER_SM, 0, 50 + number, report(f"id{number}")) for number in range(3)))
            await until(lambda: events.calls)
            wire.write(Pdu(pdu.ENQUIRE_LINK, 0, 60, b""))
            assert (await wire.read()).sequence == 60  # answered, while the receipts are not
            events.gate.set()
            acknowledged = [await wire.read() for _ in range(3)]
            assert [(one.command, one.status, one.sequence) for one in acknowledged] == [
                (pdu.DELIVER_SM | pdu.RESPONSE, 0, 50 + number) for number in range(3)
            ]
            assert [len(call) for call in events.calls] == [3]
            assert [one.key for one in events.receipts] == [message.key for message in messages]

    asyncio.run(scenario())


def test_what_cannot_be_stored_is_not_acknowledged() -> None:
    async def scenario() -> None:
        smsc = SimulatedSmsc(receipt_delay=0.001, retry_delay=0.01)
        async with with_smsc(smsc) as (transport, events):
            events.failures.append(OSError("the disk is full"))
            await transport.send([outgoing()])
            await until(lambda: len(events.calls) == 2)
            assert events.calls[0][0].remote_id == events.calls[1][0].remote_id
            assert smsc.counts["undelivered"] == 0

    asyncio.run(scenario())


def test_ids_in_other_bases() -> None:
    async def scenario() -> None:
        async with with_carrier(receipt_ids="hex-to-decimal") as (transport, wire, events):
            message = outgoing()
            sending = asyncio.create_task(transport.send([message]))
            wire.write(answered(await wire.read(), "0000FF"))
            [outcome] = await sending
            wire.write(Pdu(pdu.DELIVER_SM, 0, 9, report("", "ID: 0255  Stat : undeliv ERR:0a7 text:id:1")))
            await wire.read()
            [receipt] = events.receipts
            assert isinstance(outcome, Sent)
            assert outcome.remote_ids == (receipt.remote_id,)
            assert (receipt.key, receipt.state, receipt.error) == (message.key, "failed", "0a7")

    asyncio.run(scenario())


async def _inbound(bodies: list[bytes]) -> list[str]:
    async with with_carrier() as (_, wire, events):
        for sequence, body in enumerate(bodies, 1):
            wire.write(Pdu(pdu.DELIVER_SM, 0, sequence, body))
            assert (await wire.read()).status == 0
        assert all(one.sender == "+61400000001" and one.recipient == "+61481074190" for one in events.inbound)
        return [one.body for one in events.inbound]


def _mo(octets: bytes, esm_class: int = 0, tlvs: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    ends = (pdu.encode_address(pdu.Address(1, 1, number)) for number in ("61400000001", "61481074190"))
    return pdu.encode_short_message(*ends, octets, esm_class=esm_class, tlvs=tlvs)


@pytest.mark.parametrize(
    "bodies",
    [
        [_mo(b"one two")],
        [_mo(b"", tlvs=((0x0424, b"one two"),))],
        [_mo(b"\x05\x00\x03\x09\x02\x02two", 0x40), _mo(b"\x05\x00\x03\x09\x02\x01one ", 0x40)],
        [_mo(b"\x06\x08\x04\x09\x09\x02\x01one ", 0x43), _mo(b"\x06\x08\x04\x09\x09\x02\x02two", 0x43)],
        [
            _mo(text, tlvs=((0x020C, b"\x00\x07"), (0x020E, b"\x02"), (0x020F, number)))
            for number, text in ((b"\x01", b"one "), (b"\x02", b"two"))
        ],
    ],
    ids=["short", "payload", "udh-8-bit", "udh-16-bit", "sar"],
)
def test_inbound_is_whole(bodies: list[bytes]) -> None:
    assert asyncio.run(_inbound(bodies)) == ["one two"]


def test_parts_that_never_come_are_reported_at_the_end() -> None:
    async def scenario() -> None:
        async with with_carrier() as (_, wire, events):
            wire.write(Pdu(pdu.DELIVER_SM, 0, 1, _mo(b"\x05\x00\x03\x09\x02\x01one ", 0x40)))
            await wire.read()
            assert events.inbound == []
        assert [one.body for one in events.inbound] == ["one "]

    asyncio.run(scenario())


def test_unfit_sender_fails_at_once() -> None:
    async def scenario() -> None:
        async with with_carrier() as (transport, wire, _):
            message = outgoing(sender="a name that is far too long")
            [outcome] = await transport.send([message])
            assert isinstance(outcome, Failed)
            assert wire is not None

    asyncio.run(scenario())


def test_binds_are_opened_again() -> None:
    async def scenario() -> None:
        smsc = SimulatedSmsc(receipt_delay=0.001)
        async with with_smsc(smsc, binds=3, reconnect_max=0.1) as (transport, events):
            await until(lambda: smsc.counts["binds"] == 3)
            smsc.disconnect()
            await until(lambda: smsc.counts["binds"] == 6)
            outcomes = await transport.send([outgoing() for _ in range(50)])
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
            await until(lambda: len(events.receipts) == 50)
            assert all(receipt.key for receipt in events.receipts)

    asyncio.run(scenario())
