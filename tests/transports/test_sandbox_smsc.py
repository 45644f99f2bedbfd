"""The simulated SMSC, asked PDU by PDU."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from heliograph.transports.sandbox.smsc import SimulatedSmsc, serve_alone
from heliograph.transports.smpp import pdu
from transports.conformance import PATIENCE, run, soon
from transports.ports import free_port
from transports.wire import Pdu, Wire, submit


@asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[SimulatedSmsc, Wire]]:
    smsc = SimulatedSmsc(**({"receipt_delay": 0.001} | options))
    wire = await Wire.connect(await smsc.start())
    try:
        yield smsc, wire
    finally:
        await wire.close()
        await smsc.stop()


async def delivered(wire: Wire) -> pdu.ShortMessage:
    """The next deliver_sm, acknowledged."""
    request = await wire.read()
    assert request.command == pdu.DELIVER_SM
    wire.write(Pdu(request.command | pdu.RESPONSE, 0, request.sequence, b"\0"))
    return pdu.decode_short_message(request.command, request.body)


async def silent(wire: Wire) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wire.read(), 0.05)


@pytest.mark.parametrize(
    ("digits", "words", "receipts"),
    [
        ("000001", "stat:DELIVRD err:000", 1),
        ("999001", "stat:UNDELIV err:001", 1),
        ("999002", "stat:DELIVRD err:000", 1),
        ("999003", "", 0),
        ("999008", "stat:EXPIRED err:003", 1),
        ("999010", "stat:DELIVRD err:000", 2),
    ],
)
def test_receipts(digits: str, words: str, receipts: int) -> None:
    async def scenario() -> None:
        async with connected(long_delay=0.01) as (_, wire):
            await wire.bind()
            response = await wire.ask(pdu.SUBMIT_SM, submit(f"61400{digits}"), 2)
            assert (response.command, response.status) == (pdu.SUBMIT_SM | pdu.RESPONSE, 0)
            for _ in range(receipts):
                receipt = await delivered(wire)
                assert words in receipt.octets.decode()
                assert receipt.tlvs[0x001E] == response.body
            await silent(wire)

    run(scenario())


def test_delayed_receipt_waits() -> None:
    async def scenario() -> None:
        async with connected(long_delay=60) as (_, wire):
            await wire.bind()
            await wire.ask(pdu.SUBMIT_SM, submit("61400999002"), 2)
            await silent(wire)

    run(scenario())


def test_refused_and_throttled() -> None:
    async def scenario() -> None:
        async with connected() as (_, wire):
            await wire.bind()
            assert (await wire.ask(pdu.SUBMIT_SM, submit("61400999004"), 2)).status == 0x0B
            body = submit("61400999005", receipt=0)
            assert [(await wire.ask(pdu.SUBMIT_SM, body, 3 + n)).status for n in range(4)] == [0x58, 0x58, 0x58, 0]

    run(scenario())


def test_connection_drops_once() -> None:
    async def scenario() -> None:
        async with connected() as (smsc, wire):
            await wire.bind()
            wire.write(Pdu(pdu.SUBMIT_SM, 0, 2, submit("61400999009")))
            assert await wire.ended()
            assert smsc.counts["submits"] == 1  # taken, though nobody was told

    run(scenario())


@pytest.mark.parametrize(("digits", "reply"), [("999006", b"STOP"), ("999007", b"hello")])
def test_replies(digits: str, reply: bytes) -> None:
    async def scenario() -> None:
        async with connected() as (_, wire):
            await wire.bind()
            await wire.ask(pdu.SUBMIT_SM, submit(f"61400{digits}", receipt=0), 2)
            mo = await delivered(wire)
            assert (mo.octets, mo.source.text, mo.dest.text) == (reply, f"61400{digits}", "61481074190")

    run(scenario())


def test_bind_states_and_credentials() -> None:
    async def scenario() -> None:
        async with connected(authenticate=lambda bind: bind.password == "right") as (_, wire):
            assert (await wire.ask(pdu.SUBMIT_SM, submit("61400000001"))).status == pdu.ESME_RINVBNDSTS
            assert (await wire.bind(password="wrong")).status == pdu.ESME_RINVPASWD
            assert (await wire.bind(pdu.BIND_RECEIVER, password="right")).status == 0
            assert (await wire.ask(pdu.SUBMIT_SM, submit("61400000001"))).status == pdu.ESME_RINVBNDSTS
            assert (await wire.ask(pdu.ENQUIRE_LINK)).command == pdu.ENQUIRE_LINK | pdu.RESPONSE
            unknown = await wire.ask(0x03, sequence=77)
            assert unknown == Pdu(pdu.GENERIC_NACK, pdu.ESME_RINVCMDID, 77, b"")
            assert (await wire.ask(pdu.UNBIND)).command == pdu.UNBIND | pdu.RESPONSE
            assert await wire.ended()

    run(scenario())


def test_impossible_length_ends_the_connection() -> None:
    async def scenario() -> None:
        async with connected() as (_, wire):
            wire.writer.write(pdu.HEADER.pack(10_000_000, pdu.SUBMIT_SM, 0, 5))
            assert await wire.read() == Pdu(pdu.GENERIC_NACK, pdu.ESME_RINVCMDLEN, 5, b"")
            assert await wire.ended()

    run(scenario())


def test_mo_is_delivered_and_needs_a_receiver() -> None:
    async def scenario() -> None:
        async with connected() as (smsc, wire):
            with pytest.raises(ConnectionError):
                await smsc.deliver("+61400000001", "+61481074190", "hi")
            await wire.bind(pdu.BIND_RECEIVER)
            sending = asyncio.create_task(smsc.deliver("+61400000001", "+61481074190", "x" * 300))
            parts = [await delivered(wire) for _ in range(2)]
            await soon(sending)
            assert [part.esm_class for part in parts] == [0x40, 0x40]
            assert b"".join(part.octets[6:] for part in parts) == b"x" * 300

    run(scenario())


@pytest.mark.parametrize(
    ("asked", "digits", "receipts"),
    [(0, "000001", 0), (2, "000001", 0), (2, "999001", 1), (17, "000001", 1)],
    ids=["none", "of failures, delivered", "of failures, failed", "with other flags"],
)
def test_receipts_are_sent_as_they_are_asked_for(asked: int, digits: str, receipts: int) -> None:
    async def scenario() -> None:
        async with connected() as (_, wire):
            await wire.bind()
            await wire.ask(pdu.SUBMIT_SM, submit(f"61400{digits}", receipt=asked), 2)
            for _ in range(receipts):
                await delivered(wire)
            await silent(wire)

    run(scenario())


def test_refused_deliveries_come_again_and_are_given_up() -> None:
    async def scenario() -> None:
        async with connected(retry_delay=0.001) as (smsc, wire):
            await wire.bind()
            await wire.ask(pdu.SUBMIT_SM, submit("61400000001"), 2)
            bodies = set()
            for _ in range(5):
                request = await wire.read()
                bodies.add(request.body)
                wire.write(Pdu(request.command | pdu.RESPONSE, pdu.ESME_RX_T_APPN, request.sequence, b"\0"))
            await wire.ask(pdu.ENQUIRE_LINK, sequence=9)
            assert len(bodies) == 1
            assert (smsc.counts["undelivered"], smsc.counts["acknowledged"]) == (1, 0)

    run(scenario())


def test_deliveries_that_are_neither_taken_nor_refused_are_given_up_too() -> None:
    async def scenario() -> None:
        async with connected(retry_delay=0.001) as (smsc, wire):
            await wire.bind()
            await wire.ask(pdu.SUBMIT_SM, submit("61400000001"), 2)
            for _ in range(5):
                request = await wire.read()
                wire.write(Pdu(pdu.GENERIC_NACK, 0, request.sequence, b""))
            await wire.ask(pdu.ENQUIRE_LINK, sequence=9)
            assert (smsc.counts["undelivered"], smsc.counts["acknowledged"]) == (1, 0)

    run(scenario())


def test_what_was_not_acknowledged_comes_at_the_next_bind() -> None:
    async def scenario() -> None:
        async with connected() as (smsc, wire):
            await wire.bind()
            response = await wire.ask(pdu.SUBMIT_SM, submit("61400000001"), 2)
            assert (await wire.read()).command == pdu.DELIVER_SM
            smsc.disconnect()
            assert await wire.ended()
            port = wire.writer.get_extra_info("peername")[1]
            other, again = await Wire.connect(port), await Wire.connect(port)
            await other.bind(system_id="somebody else")
            await silent(other)
            await again.bind()
            assert (await delivered(again)).tlvs[0x001E] == response.body
            await again.ask(pdu.ENQUIRE_LINK, sequence=9)
            assert smsc.counts["acknowledged"] == 1
            await other.close()
            await again.close()

    run(scenario())


def test_a_connection_that_does_not_bind_is_closed() -> None:
    async def scenario() -> None:
        async with connected(bind_timeout=0.02) as (_, wire):
            assert await wire.ended()

    run(scenario())


def test_an_unreadable_submit_is_refused() -> None:
    async def scenario() -> None:
        async with connected() as (_, wire):
            await wire.bind()
            assert (await wire.ask(pdu.SUBMIT_SM, b"\0\1\1no end", 2)).status == pdu.ESME_RINVPARLEN
            assert (await wire.ask(pdu.SUBMIT_SM, submit("Bank"), 3)).status == pdu.ESME_RINVDSTADR

    run(scenario())


def test_parts_are_told_of_as_one_message() -> None:
    async def scenario() -> None:
        told: list[tuple[str, str, str]] = []
        async with connected(on_message=lambda *message: told.append(message)) as (_, wire):
            await wire.bind()
            await wire.ask(pdu.SUBMIT_SM, submit("61400000001", b"\x05\0\x03\7\2\2you", receipt=0, esm_class=0x40), 2)
            assert told == []
            await wire.ask(
                pdu.SUBMIT_SM, submit("61400000001", b"\x05\0\x03\7\2\1Hello ", receipt=0, esm_class=0x40), 3
            )
            assert told == [("+61481074190", "+61400000001", "Hello you")]

    run(scenario())


def test_a_receipt_never_overtakes_its_response() -> None:
    async def scenario() -> None:
        async with connected(receipt_delay=0) as (_, wire):
            await wire.bind()
            wire.write(*(Pdu(pdu.SUBMIT_SM, 0, number, submit("61400000001")) for number in range(2, 102)))
            named: set[bytes] = set()
            for _ in range(200):
                read = await wire.read()
                if read.command == pdu.DELIVER_SM:
                    assert pdu.decode_short_message(read.command, read.body).tlvs[0x001E] in named
                else:
                    named.add(read.body)
            assert len(named) == 100

    run(scenario())


def test_served_alone_it_checks_the_password() -> None:
    async def scenario() -> None:
        port = free_port()
        told: list[tuple[str, str, str]] = []
        serving = asyncio.create_task(serve_alone("127.0.0.1", port, "me", "right", lambda *one: told.append(one)))
        wire = await listening(port)
        assert (await wire.bind(system_id="me", password="wrong")).status == pdu.ESME_RINVPASWD
        assert (await wire.bind(system_id="me", password="right")).status == 0
        await wire.ask(pdu.SUBMIT_SM, submit("61400000001", receipt=0), 2)
        assert told == [("+61481074190", "+61400000001", "hello")]
        serving.cancel()
        assert await wire.ended()
        await wire.close()
        await asyncio.wait([serving])

    run(scenario())


async def listening(port: int) -> Wire:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await Wire.connect(port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.002)
