"""What a carrier delivers to the SMPP transport: receipts and messages, stored first and acknowledged after."""

import asyncio

import msgspec
import pytest

from heliograph.transports.base import Part, Sent
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.inbox import MOST_INCOMPLETE, MOST_WAITING
from heliograph.transports.smpp.transport import SmppTransport
from transports.conformance import Recorder, sms, soon, until
from transports.wire import QUICK, SERVICE, TAKEN, Pdu, Wire, deliver, play, response


def test_a_receipt_right_behind_its_response_knows_its_message() -> None:
    """Both in one write: the id is remembered before the receipt is read."""

    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        message = sms(TAKEN)
        sending = asyncio.create_task(transport.send([message]))
        request = await wire.read()
        wire.write(response(request, 0, "A7"), deliver(b"id:00a7 stat:DELIVRD err:000", pdu.RECEIPT))
        assert await soon(sending) == [Sent(("a7",))]
        assert (await wire.read()).status == 0
        (receipt,) = events.receipts
        assert (receipt.key, receipt.remote_id, receipt.raw) == (message.key, "a7", "id:00a7 stat:DELIVRD err:000")

    play(scenario)


def test_a_receipt_of_an_unknown_message_has_no_key() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        wire.write(deliver(b"id:5 stat:EXPIRED err:9", pdu.RECEIPT))
        await wire.read()
        (receipt,) = events.receipts
        assert (receipt.key, receipt.remote_id, receipt.state, receipt.error) == (None, "5", "expired", "9")

    play(scenario)


def test_ids_in_other_bases() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        message = sms(TAKEN)
        sending = asyncio.create_task(transport.send([message]))
        wire.write(response(await wire.read(), 0, "0000FF"))
        (outcome,) = await soon(sending)
        wire.write(deliver(b"ID: 0255  Stat : undeliv ERR:0a7 text:id:1", pdu.RECEIPT))
        await wire.read()
        (receipt,) = events.receipts
        assert outcome == Sent((receipt.remote_id,))
        assert (receipt.key, receipt.state, receipt.error) == (message.key, "failed", "0a7")

    play(scenario, receipt_ids="hex-to-decimal")


def test_receipts_of_one_read_are_stored_at_once_before_any_is_acknowledged() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        events.gate.clear()
        wire.write(*(deliver(b"id:%d stat:DELIVRD" % number, pdu.RECEIPT, 50 + number) for number in range(3)))
        await until(lambda: events.calls)
        assert (await wire.ask(pdu.ENQUIRE_LINK, sequence=60)).sequence == 60, "a receipt was answered before it"
        events.gate.set()
        acknowledged = [await wire.read() for _ in range(3)]
        assert [(one.command, one.status, one.sequence) for one in acknowledged] == [
            (pdu.DELIVER_SM | pdu.RESPONSE, 0, 50 + number) for number in range(3)
        ]
        assert [len(call) for call in events.calls] == [3]

    play(scenario)


def test_what_cannot_be_read_is_answered_and_the_rest_goes_on() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        broken = Pdu(pdu.DELIVER_SM, 0, 1, b"\0\1\1no end")
        wire.write(broken, deliver(b"no receipt", pdu.RECEIPT, 2), deliver(b"Hello", 0, 3))
        answers = {(await wire.read())[1:3] for _ in range(3)}
        assert answers == {(pdu.ESME_RINVPARLEN, 1), (0, 2), (0, 3)}
        assert [message.body for message in events.inbound] == ["Hello"]
        assert events.receipts == []

    play(scenario)


def test_a_message_that_could_not_be_stored_is_refused_for_now() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        events.failures.append(RuntimeError("the database is away"))
        wire.write(deliver(b"Hello"))
        assert (await wire.read()).status == pdu.ESME_RX_T_APPN
        wire.write(deliver(b"Hello", 0, 2))
        assert (await wire.read()).status == 0

    play(scenario)


UDH_8, UDH_16 = b"\x05\x00\x03\x09\x02", b"\x06\x08\x04\x09\x09\x02"


def sar(text: bytes, number: int, sequence: int) -> Pdu:
    return deliver(text, 0, sequence, tlvs=((0x020C, b"\x00\x07"), (0x020E, b"\x02"), (0x020F, bytes((number,)))))


@pytest.mark.parametrize(
    "arriving",
    [
        [deliver(b"one two")],
        [deliver(b"", tlvs=((0x0424, b"one two"),))],
        [deliver("one two".encode("utf-16-be"), data_coding=8)],
        [deliver(UDH_8 + b"\x01one ", 0x40), deliver(UDH_8 + b"\x02two", 0x40, 2)],
        [deliver(UDH_8 + b"\x02two", 0x40), deliver(UDH_8 + b"\x01one ", 0x40, 2)],
        [
            deliver(UDH_8 + b"\x02two", 0x40),
            deliver(UDH_8 + b"\x02two", 0x40, 2),
            deliver(UDH_8 + b"\x01one ", 0x40, 3),
        ],
        [deliver(UDH_16 + b"\x01one ", 0x43), deliver(UDH_16 + b"\x02two", 0x43, 2)],
        [sar(b"one ", 1, 1), sar(b"two", 2, 2)],
        [sar(b"two", 2, 1), sar(b"one ", 1, 2)],
    ],
    ids=["short", "payload", "ucs2", "udh-8-bit", "out-of-order", "repeated", "udh-16-bit", "sar", "sar-out-of-order"],
)
def test_inbound_is_whole(arriving: list[Pdu]) -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        wire.write(*arriving)
        assert {(await wire.read()).status for _ in arriving} == {0}
        (message,) = events.inbound
        assert (message.transport, message.channel, message.body) == ("carrier", "sms", "one two")
        assert (message.sender, message.recipient) == (TAKEN, SERVICE)

    play(scenario)


def test_a_part_that_could_not_be_stored_is_refused_for_now() -> None:
    """The first as the last: neither is acknowledged before it is durable, and the others go on."""

    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        events.failures.append(RuntimeError("the database is away"))
        wire.write(deliver(UDH_8 + b"\x01Hello ", 0x40), deliver(UDH_8 + b"\x02you", 0x40, 2))
        assert [(await wire.read()).status for _ in range(2)] == [pdu.ESME_RX_T_APPN, 0]
        events.failures.append(RuntimeError("the database is away"))
        wire.write(deliver(UDH_8 + b"\x01Hello ", 0x40, 3))
        assert (await wire.read()).status == pdu.ESME_RX_T_APPN
        assert events.inbound == []
        wire.write(deliver(UDH_8 + b"\x01Hello ", 0x40, 4))
        assert (await wire.read()).status == 0
        assert [message.body for message in events.inbound] == ["Hello you"]

    play(scenario)


def test_no_part_is_acknowledged_before_it_is_durable() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        events.gate.clear()
        wire.write(deliver(UDH_8 + b"\x01Hello ", 0x40))
        assert (await wire.ask(pdu.ENQUIRE_LINK, sequence=60)).sequence == 60, "the part was answered before it"
        events.gate.set()
        answered = await wire.read()
        assert (answered.command, answered.status) == (pdu.DELIVER_SM | pdu.RESPONSE, 0)

    play(scenario)


def test_messages_and_parts_are_stored_in_their_order() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        wire.write(
            deliver(UDH_8 + b"\x01one ", 0x40),
            deliver(b"two"),
            deliver(UDH_8 + b"\x02three", 0x40),
            deliver(b"four"),
        )
        assert {(await wire.read()).status for _ in range(4)} == {0}
        assert [message.body for message in events.inbound] == ["two", "one three", "four"]

    play(scenario)


def test_a_carrier_that_begins_message_after_message_is_bounded() -> None:
    """The oldest are reported as far as they came; every part is acknowledged."""

    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        count = 3 * MOST_INCOMPLETE
        for number in range(count):
            header = b"\x06\x08\x04" + number.to_bytes(2, "big") + b"\x02\x01"
            wire.write(deliver(header + b"%d" % number, 0x40, number + 1))
        assert {(await wire.read()).status for _ in range(count)} == {0}
        await until(lambda: len(events.parts) <= MOST_INCOMPLETE)
        bodies = [message.body for message in events.inbound]
        assert bodies == [str(number) for number in range(count - len(events.parts))]

    play(scenario)


def test_parts_that_never_become_whole_are_reported_after_a_while() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        wire.write(deliver(b"\x05\x00\x03\x07\x03\x03you", 0x40), deliver(b"\x05\x00\x03\x07\x03\x01Hello ", 0x40, 2))
        assert [(await wire.read()).status for _ in range(2)] == [0, 0]
        await until(lambda: events.inbound)
        assert [message.body for message in events.inbound] == ["Hello you"]

    play(scenario, timing=msgspec.structs.replace(QUICK, parts_timeout=0.1))


def test_parts_outlive_the_transport() -> None:
    """They are durable: the next process, or another worker, gets the rest."""

    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        wire.write(deliver(UDH_8 + b"\x01one ", 0x40))
        await wire.read()
        await soon(transport.close())
        assert events.inbound == []
        assert [[one.octets for one in came.values()] for came in events.parts.values()] == [[b"one "]]

    play(scenario)


def test_after_a_stop_the_carrier_has_its_time_to_bring_the_rest() -> None:
    """A part from before the start is not overdue at once, however old it is."""

    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        old = Part("carrier", TAKEN, SERVICE, 9, 2, 1, 0, b"one ", 1_000_000_000)
        events.parts[old.key] = {1: old}
        await transport._inbox.give_up_parts()
        assert events.inbound == []
        wire.write(deliver(UDH_8 + b"\x02two", 0x40))
        await wire.read()
        assert [message.body for message in events.inbound] == ["one two"]

    play(scenario)


@pytest.mark.parametrize(
    ("source", "sender"),
    [
        (pdu.Address(1, 1, "61491570156"), "+61491570156"),
        (pdu.Address(0, 0, "61491570156"), "61491570156"),
        (pdu.Address(3, 0, "12345"), "12345"),
        (pdu.Address(5, 0, "Bank"), "Bank"),
        (pdu.Address(1, 1, "Bank"), "Bank"),
    ],
)
def test_senders_of_inbound_messages(source: pdu.Address, sender: str) -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        wire.write(deliver(b"Hi", source=source))
        await wire.read()
        (message,) = events.inbound
        assert (message.sender, message.body) == (sender, "Hi")

    play(scenario)


def test_many_deliveries_make_the_carrier_wait_and_none_is_lost() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        count = 12_000
        events.gate.clear()
        wire.write(*(deliver(b"id:%d stat:DELIVRD" % number, pdu.RECEIPT, number) for number in range(1, count + 1)))
        await until(lambda: len(transport._inbox._waiting) > MOST_WAITING)
        assert not transport._sessions[0]._reading
        assert len(transport._inbox._waiting) < count
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        request = await wire.read()
        wire.write(response(request, 0, "1"))
        events.gate.set()
        assert await soon(sending) == [Sent(("1",))]
        acknowledged = [(await wire.read()).sequence for _ in range(count)]
        assert acknowledged == list(range(1, count + 1))
        assert [receipt.remote_id for receipt in events.receipts] == list(map(str, range(1, count + 1)))
        assert max(map(len, events.calls)) <= 1000

    play(scenario)
