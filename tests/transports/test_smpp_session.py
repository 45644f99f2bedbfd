"""A connection: framing, requests in flight, time limits. Two sessions, or one and bytes by hand, on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from heliograph.transports.smpp import pdu, session
from heliograph.transports.smpp.session import Exchange, Request, Session
from transports.conformance import PATIENCE, run, soon, until
from transports.wire import Pdu, Wire

SERVES = frozenset({pdu.DELIVER_SM, pdu.SUBMIT_SM})


class Owner:
    """Keeps what the session reports."""

    def __init__(self) -> None:
        self.chunks: list[list[Request]] = []
        self.rooms = 0
        self.closed: asyncio.Event = asyncio.Event()

    def on_requests(self, session: Session, requests: Sequence[Request]) -> None:
        self.chunks.append(list(requests))

    def on_room(self, session: Session) -> None:
        self.rooms += 1

    def on_closed(self, session: Session) -> None:
        self.closed.set()


class Noted(Exchange):
    """Keeps how it ended."""

    def __init__(self, body: bytes = b"") -> None:
        super().__init__(body)
        self.ends: list[tuple[int, bytes] | str] = []

    def answered(self, status: int, body: bytes) -> None:
        self.ends.append((status, body))

    def lost(self, why: str) -> None:
        self.ends.append(why)


@asynccontextmanager
async def connected(
    owner: Owner, *, window: int = 10, enquire_link: float = 30, response_timeout: float = 30
) -> AsyncIterator[tuple[Session, Wire]]:
    made: list[Session] = []

    def make() -> Session:
        made.append(Session(owner, SERVES, window=window, enquire_link=enquire_link, response_timeout=response_timeout))
        return made[0]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    wire = await Wire.connect(server.sockets[0].getsockname()[1])
    await until(lambda: made and not made[0].closed)
    try:
        yield made[0], wire
    finally:
        await wire.close()
        made[0].abort("the test ends")
        await soon(made[0].wait_closed())
        server.close()
        await server.wait_closed()


def play(scenario: Callable[[Session, Wire, Owner], Awaitable[None]], **limits: Any) -> None:
    async def whole() -> None:
        owner = Owner()
        async with connected(owner, **limits) as (ours, wire):
            await scenario(ours, wire, owner)

    run(whole())


def request(sequence: int, body: bytes = b"", command: int = pdu.SUBMIT_SM) -> Pdu:
    return Pdu(command, 0, sequence, body)


def test_pdus_of_one_read_come_as_one_chunk() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        wire.write(*(request(number, b"x" * number) for number in range(1, 4)))
        await until(lambda: owner.chunks)
        assert owner.chunks == [[Request(pdu.SUBMIT_SM, number, b"x" * number) for number in range(1, 4)]]

    play(scenario)


def test_pdus_may_be_cut_anywhere() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        stream = pdu.encode(pdu.SUBMIT_SM, 0, 1, b"one") + pdu.encode(pdu.DELIVER_SM, 0, 2, b"two")
        for at in range(len(stream)):
            ours.data_received(stream[at : at + 1])
        requests = [one for chunk in owner.chunks for one in chunk]
        assert requests == [Request(pdu.SUBMIT_SM, 1, b"one"), Request(pdu.DELIVER_SM, 2, b"two")]

    play(scenario)


@pytest.mark.parametrize("length", [0, 15, session.LARGEST_PDU + 1, 0xFFFFFFFF])
def test_an_impossible_length_is_refused_and_ends_the_connection(length: int) -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        wire.writer.write(pdu.HEADER.pack(length, pdu.SUBMIT_SM, 0, 9))
        assert await wire.read() == Pdu(pdu.GENERIC_NACK, pdu.ESME_RINVCMDLEN, 9, b"")
        assert await wire.ended()
        await soon(owner.closed.wait())

    play(scenario)


def test_unknown_commands_get_generic_nack() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        assert await wire.ask(0x03, b"query", 4) == Pdu(pdu.GENERIC_NACK, pdu.ESME_RINVCMDID, 4, b"")
        assert owner.chunks == []

    play(scenario)


def test_notifications_get_no_answer() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        wire.write(request(1, command=pdu.ALERT_NOTIFICATION), request(2, command=pdu.OUTBIND))
        assert await wire.ask(pdu.ENQUIRE_LINK, sequence=3) == Pdu(pdu.ENQUIRE_LINK | pdu.RESPONSE, 0, 3, b"")

    play(scenario)


def test_unbind_is_answered_after_what_came_before_it() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        wire.write(request(1), request(2, command=pdu.UNBIND))
        assert await wire.read() == Pdu(pdu.UNBIND | pdu.RESPONSE, 0, 2, b"")
        assert await wire.ended()
        assert owner.chunks == [[Request(pdu.SUBMIT_SM, 1, b"")]]

    play(scenario)


def test_answers_find_their_requests_in_any_order() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        exchanges = [Noted(b"a"), Noted(b"b"), Noted(b"c")]
        ours.submit(pdu.SUBMIT_SM, exchanges)
        asked = [await wire.read() for _ in exchanges]
        assert [(one.command, one.body) for one in asked] == [(pdu.SUBMIT_SM, b"a"), (4, b"b"), (4, b"c")]
        for one in reversed(asked):
            wire.write(Pdu(one.command | pdu.RESPONSE, 0, one.sequence, one.body.upper()))
        wire.write(Pdu(pdu.SUBMIT_SM | pdu.RESPONSE, 0, 99, b"nobody asked"))
        await until(lambda: all(exchange.ends for exchange in exchanges))
        assert [exchange.ends for exchange in exchanges] == [[(0, b"A")], [(0, b"B")], [(0, b"C")]]
        assert owner.rooms >= 1

    play(scenario)


def test_room_is_what_the_window_leaves() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        ours.submit(pdu.SUBMIT_SM, [Noted(), Noted()])
        assert ours.room == 1
        first = await wire.read()
        wire.write(Pdu(first.command | pdu.RESPONSE, 0, first.sequence, b""))
        await until(lambda: owner.rooms)
        assert ours.room == 2

    play(scenario, window=3)


def test_sequence_numbers_begin_again_at_1() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        ours._sequence = session.LAST_SEQUENCE - 1
        ours.submit(pdu.SUBMIT_SM, [Noted(), Noted()])
        assert [(await wire.read()).sequence for _ in range(2)] == [0x7FFFFFFF, 1]

    play(scenario)


def test_what_is_not_answered_in_time_is_lost_and_leaves_the_window() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        exchange = Noted()
        ours.submit(pdu.SUBMIT_SM, [exchange])
        asked = await wire.read()
        await until(lambda: exchange.ends)
        assert exchange.ends == ["no answer within 0.05 s"]
        assert ours.room == 1
        wire.write(Pdu(asked.command | pdu.RESPONSE, 0, asked.sequence, b"late"))
        await wire.ask(pdu.ENQUIRE_LINK)
        assert len(exchange.ends) == 1

    play(scenario, window=1, response_timeout=0.05)


async def time_passes(seconds: float) -> None:
    """Wait until another session has lost a request for being so late."""
    control = Noted()
    async with connected(Owner(), response_timeout=seconds) as (other, _):
        other.submit(pdu.SUBMIT_SM, [control])
        await until(lambda: control.ends)


def test_time_does_not_run_while_we_do_not_read() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        exchange = Noted()
        ours.pause_reading()
        ours.submit(pdu.SUBMIT_SM, [exchange])
        await time_passes(1.1)
        assert exchange.ends == []
        ours.resume_reading()
        await time_passes(0.06)
        asked = await wire.read()
        wire.write(Pdu(asked.command | pdu.RESPONSE, 0, asked.sequence, b"here"))
        await until(lambda: exchange.ends)
        assert exchange.ends == [(0, b"here")]

    play(scenario, response_timeout=1.0)


def test_a_lost_connection_is_told_to_every_request() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        exchanges = [Noted(), Noted()]
        ours.submit(pdu.SUBMIT_SM, exchanges)
        await wire.close()
        await soon(owner.closed.wait())
        assert [len(exchange.ends) for exchange in exchanges] == [1, 1]
        late = Noted()
        ours.submit(pdu.SUBMIT_SM, [late])
        assert len(late.ends) == 1
        with pytest.raises(ConnectionError):
            await ours.call(pdu.ENQUIRE_LINK)
        ours.answer([Request(pdu.SUBMIT_SM, 1, b"")])
        ours.write([b"nobody reads this"])
        assert ours.room == 0

    play(scenario)


def test_silence_is_asked_about_and_ends_the_connection() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        enquiry = await wire.read()
        assert enquiry.command == pdu.ENQUIRE_LINK
        wire.write(Pdu(pdu.ENQUIRE_LINK | pdu.RESPONSE, 0, enquiry.sequence, b""))
        assert (await wire.read()).command == pdu.ENQUIRE_LINK
        await soon(owner.closed.wait())
        assert ours.why_closed == "no answer to enquire_link"

    play(scenario, enquire_link=0.03, response_timeout=0.5)


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        body = b"x" * 60_000
        while not ours.closing:
            ours.answer([Request(pdu.SUBMIT_SM, 1, b"")] * 10, body=body)
        await soon(owner.closed.wait())
        assert ours.why_closed == "the peer does not read"

    play(scenario)


def test_there_is_no_room_while_the_peer_does_not_read() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while ours.room:
            ours.answer([Request(pdu.SUBMIT_SM, 1, b"")], body=b"x" * 60_000)
        assert not ours.closing
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]

        async def read() -> None:
            while not ours.room:
                await wire.read()

        await soon(read())
        assert owner.rooms == 1

    play(scenario)


def test_unbind_waits_for_the_answer_but_not_for_ever() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        leaving = asyncio.create_task(ours.unbind(0.05))
        assert (await wire.read()).command == pdu.UNBIND
        await soon(leaving)
        assert ours.closed

    play(scenario)


def test_close_delivers_what_was_written() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        ours.write([pdu.encode(pdu.SUBMIT_SM, 0, number, b"x" * 50_000) for number in range(1, 20)])
        ours.close("done")
        assert [(await wire.read()).sequence for _ in range(1, 20)] == list(range(1, 20))
        assert await wire.ended()

    play(scenario)


@pytest.mark.parametrize("command", [pdu.GENERIC_NACK, pdu.SUBMIT_SM | pdu.RESPONSE, pdu.UNBIND | pdu.RESPONSE])
@pytest.mark.parametrize("status", [0, pdu.ESME_RINVCMDID])
def test_whatever_comes_upon_an_enquire_link_is_a_sign_of_life(command: int, status: int) -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        for _ in range(3):
            enquiry = await wire.read()
            assert enquiry.command == pdu.ENQUIRE_LINK
            wire.write(Pdu(command, status, enquiry.sequence, b""))
        assert not ours.closing

    play(scenario, enquire_link=0.03)


def test_a_wrong_answer_keeps_its_place_in_the_window() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        exchange = Noted()
        ours.submit(pdu.SUBMIT_SM, [exchange])
        asked = await wire.read()
        wire.write(Pdu(pdu.DELIVER_SM | pdu.RESPONSE, 0, asked.sequence, b"\0"))
        await wire.ask(pdu.ENQUIRE_LINK)
        assert (exchange.ends, ours.room) == ([], 0)
        wire.write(Pdu(pdu.SUBMIT_SM | pdu.RESPONSE, 0, asked.sequence, b"here"))
        await until(lambda: exchange.ends)
        assert exchange.ends == [(0, b"here")]
        assert ours.room == 1

    play(scenario, window=1)


def test_requests_with_the_same_number_are_each_answered() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        wire.write(request(7, b"one"), request(7, b"two"), request(7, command=pdu.ENQUIRE_LINK))
        assert (await wire.read()).command == pdu.ENQUIRE_LINK | pdu.RESPONSE
        requests = [one for chunk in owner.chunks for one in chunk]
        assert [one.body for one in requests] == [b"one", b"two"]
        ours.answer(requests)
        assert [(await wire.read()).sequence for _ in range(2)] == [7, 7]

    play(scenario)


def test_enquire_link_is_answered_while_we_say_goodbye() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        leaving = asyncio.create_task(ours.unbind(PATIENCE))
        goodbye = await wire.read()
        assert goodbye.command == pdu.UNBIND
        assert (await wire.ask(pdu.ENQUIRE_LINK, sequence=5)) == Pdu(pdu.ENQUIRE_LINK | pdu.RESPONSE, 0, 5, b"")
        assert not leaving.done()
        wire.write(Pdu(pdu.UNBIND | pdu.RESPONSE, 0, goodbye.sequence, b""))
        assert await wire.ended()
        await soon(leaving)

    play(scenario)


def test_two_goodbyes_that_cross_are_one() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        leaving = asyncio.create_task(ours.unbind(PATIENCE))
        assert (await wire.read()).command == pdu.UNBIND
        assert await wire.ask(pdu.UNBIND, sequence=5) == Pdu(pdu.UNBIND | pdu.RESPONSE, 0, 5, b"")
        assert await wire.ended()
        await soon(leaving)

    play(scenario)


def test_the_largest_pdu_may_come_octet_by_octet() -> None:
    async def scenario(ours: Session, wire: Wire, owner: Owner) -> None:
        stream = pdu.encode(pdu.DELIVER_SM, 0, 1, b"x" * (session.LARGEST_PDU - 16)) + pdu.encode(pdu.SUBMIT_SM, 0, 2)
        for at in range(len(stream)):
            ours.data_received(stream[at : at + 1])
        assert [len(one.body) for chunk in owner.chunks for one in chunk] == [session.LARGEST_PDU - 16, 0]

    play(scenario)
