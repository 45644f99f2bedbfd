"""Receipts and messages in the forms that carriers give them, from a real socket to what the transport reports."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from heliograph.transports.base import ReceiptState, Sent
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.transport import SmppTransport
from support.smsc import ScriptedSmsc, taken
from transports.conformance import Recorder, run, sms, soon
from transports.wire import QUICK, SERVICE, TAKEN

Scenario = Callable[[ScriptedSmsc, SmppTransport, Recorder], Awaitable[None]]

ENDS = (pdu.encode_address(pdu.Address(1, 1, TAKEN[1:])), pdu.encode_address(pdu.Address(1, 1, SERVICE[1:])))
PAYLOAD, ID, STATE = pdu.TAG_MESSAGE_PAYLOAD, pdu.TAG_RECEIPTED_MESSAGE_ID, pdu.TAG_MESSAGE_STATE
Tlvs = Mapping[int, bytes]


def deliver_sm(octets: bytes, esm_class: int = 0, data_coding: int = 0, tlvs: Tlvs | None = None) -> bytes:
    """Body of a deliver_sm from the handset to us."""
    more = (tlvs or {}).items()
    return pdu.encode_short_message(*ENDS, octets, esm_class=esm_class, data_coding=data_coding, tlvs=more)


def data_sm(octets: bytes, esm_class: int = 0, data_coding: int = 0, tlvs: Tlvs | None = None) -> bytes:
    """Body of a data_sm, by the table of SMPP 3.4, 4.7.1."""
    body = b"\0" + b"".join(ENDS) + bytes((esm_class, 0, data_coding))
    given = ({PAYLOAD: octets} if octets else {}) | dict(tlvs or {})
    return body + b"".join(pdu.TLV.pack(tag, len(value)) + value for tag, value in given.items())


COMMANDS = {pdu.DELIVER_SM: deliver_sm, pdu.DATA_SM: data_sm}


def play(scenario: Scenario, remote_id: str = "00A7", **options: Any) -> None:
    async def whole() -> None:
        events = Recorder()
        async with ScriptedSmsc(taken(remote_id)) as smsc:
            transport = SmppTransport("carrier", SmppOptions("127.0.0.1", smsc.port, **options), timing=QUICK)
            await soon(transport.open(events))
            try:
                await scenario(smsc, transport, events)
            finally:
                await soon(transport.close())

    run(whole())


TEXT = b"id:00a7 sub:001 dlvrd:001 submit date:2611240101 done date:2611240102 stat:DELIVRD err:000 text:Hello"
FAILED = TEXT.replace(b"DELIVRD", b"UNDELIV")


@pytest.mark.parametrize("command", COMMANDS, ids=hex)
@pytest.mark.parametrize(
    ("octets", "esm_class", "tlvs", "state"),
    [
        (TEXT, 0x04, {}, "delivered"),
        (FAILED, 0x04, {}, "failed"),
        (b"", 0x04, {ID: b"a7\0", STATE: b"\2"}, "delivered"),
        (b"", 0x00, {ID: b"00A7\0", STATE: b"\5"}, "failed"),
        (b"", 0x04, {ID: b"A7", STATE: b"\3"}, "expired"),
        (TEXT, 0x04, {ID: b"", STATE: b""}, "delivered"),
        (b"", 0x04, {PAYLOAD: FAILED}, "failed"),
        (FAILED, 0x20, {}, "enroute"),
        (b"", 0x08, {ID: b"A7\0"}, "delivered"),
        (TEXT.replace(b" ", b","), 0x04, {}, "delivered"),
        (TEXT.replace(b"DELIVRD", b"DELIVERY FAILED"), 0x04, {}, "failed"),
    ],
)
def test_receipts_find_their_message(
    command: int, octets: bytes, esm_class: int, tlvs: Tlvs, state: ReceiptState
) -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        message = sms(TAKEN)
        assert await soon(transport.send([message])) == [Sent(("a7",))]
        answered = await smsc.deliver(COMMANDS[command](octets, esm_class, 0, tlvs), command, 9)
        assert (answered.command, answered.status, answered.body) == (command | pdu.RESPONSE, 0, b"\0")
        (receipt,) = events.receipts
        assert (receipt.key, receipt.remote_id, receipt.state) == (message.key, "a7", state)
        assert events.inbound == []

    play(scenario)


UTF16, LITTLE = "utf-16-be", "utf-16-le"


@pytest.mark.parametrize("command", COMMANDS, ids=hex)
@pytest.mark.parametrize(
    ("octets", "esm_class", "data_coding", "tlvs", "text"),
    [
        (b"STOP", 0, 0, {}, "STOP"),
        (b"", 0, 0, {PAYLOAD: b"STOP"}, "STOP"),
        (b"", 0, 0, {}, ""),
        ("\ufeffSTOP".encode(UTF16), 0, 8, {}, "STOP"),
        ("\ufeffSTOP".encode(LITTLE), 0, 8, {}, "STOP"),
        (b"", 0, 8, {PAYLOAD: "\ufeffSTOP".encode(UTF16)}, "STOP"),
        (b"", 0, 8, {PAYLOAD: "\ufeffSTOP".encode(LITTLE)}, "STOP"),
        ("Стоп".encode(UTF16), 0, 0x18, {}, "Стоп"),
        ("Стоп".encode(UTF16), 0, 0xE0, {}, "Стоп"),
        ("Стоп".encode(UTF16), 0x40, 8, {}, "Стоп"),
        (b"STOP \x1be", 0, 0xF1, {}, "STOP €"),
        (b"STOP \xe9", 0, 0xF5, {}, "STOP é"),
        (TEXT, 0, 0, {ID: b""}, TEXT.decode()),
        (TEXT, 0, 0, {}, TEXT.decode()),
        (b"STOP", 0, 0, {ID: b""}, "STOP"),
        (b"STOP", 0, 0, {ID: b"\0", STATE: b"\0"}, "STOP"),
        (b"my id: 5, stat: fine", 0, 0, {}, "my id: 5, stat: fine"),
        (b"Yes", 0x10, 0, {ID: b"a7\0"}, "Yes"),
        (b"\x04\x00\x02\x09\x02STOP", 0x40, 0, {}, "STOP"),
        (b"x" * 300, 0, 0, {PAYLOAD: b"y" * 60_000}, "y" * 60_000),
    ],
)
def test_messages_are_read(
    command: int, octets: bytes, esm_class: int, data_coding: int, tlvs: Tlvs, text: str
) -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        body = COMMANDS[command](octets[:255], esm_class, data_coding, tlvs)
        answered = await smsc.deliver(body, command)
        assert (answered.command, answered.status) == (command | pdu.RESPONSE, 0)
        (message,) = events.inbound
        assert (message.sender, message.recipient, message.body) == (TAKEN, SERVICE, text)
        assert events.receipts == []

    play(scenario)


def test_parts_may_come_by_either_command() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        header = b"\x05\x00\x03\x09\x02"
        await smsc.deliver(data_sm(header + b"\x02you", 0x40), pdu.DATA_SM)
        await smsc.deliver(deliver_sm(header + b"\x01Hello ", 0x40))
        assert [message.body for message in events.inbound] == ["Hello you"]

    play(scenario)


@pytest.mark.parametrize("command", COMMANDS, ids=hex)
def test_what_cannot_be_read_is_refused_by_its_own_response(command: int) -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        answered = await smsc.deliver(b"\0\1\1no end", command)
        assert (answered.command, answered.status) == (command | pdu.RESPONSE, pdu.ESME_RINVPARLEN)
        events.failures.append(RuntimeError("the database is away"))
        answered = await smsc.deliver(COMMANDS[command](TEXT, 4), command)
        assert (answered.command, answered.status) == (command | pdu.RESPONSE, pdu.ESME_RX_T_APPN)

    play(scenario)


def test_a_receipt_that_names_nothing_is_acknowledged_and_is_no_message() -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        assert (await smsc.deliver(deliver_sm(b"no fields", 4))).status == 0
        assert (events.calls, events.inbound) == ([], [])

    play(scenario)


@pytest.mark.parametrize(
    ("form", "told", "receipt"),
    [
        ("same", "00A7", b"id:A7 stat:DELIVRD"),
        ("same", "a7", b"id:000000A7 stat:DELIVRD"),
        ("same", "0000000167", b"id:167 stat:DELIVRD"),
        ("same", "6B29FC40-CA47-1067-B31D-00DD010662DA", b"id:6b29fc40-ca47-1067-b31d-00dd010662da stat:DELIVRD"),
        ("hex-to-decimal", "A7", b"id:0000000167 stat:DELIVRD"),
        ("hex-to-decimal", "a7", b"id:167 stat:DELIVRD"),
        ("decimal-to-hex", "167", b"id:00a7 stat:DELIVRD"),
        ("decimal-to-hex", "0000000167", b"id:A7 stat:DELIVRD"),
    ],
)
def test_ids_in_every_spelling(form: str, told: str, receipt: bytes) -> None:
    async def scenario(smsc: ScriptedSmsc, transport: SmppTransport, events: Recorder) -> None:
        message = sms(TAKEN)
        (outcome,) = await soon(transport.send([message]))
        await smsc.deliver(deliver_sm(receipt, 4))
        assert [one.key for one in events.receipts] == [message.key]
        assert isinstance(outcome, Sent)
        assert outcome.remote_ids == (events.receipts[0].remote_id,)

    play(scenario, told, receipt_ids=form)
