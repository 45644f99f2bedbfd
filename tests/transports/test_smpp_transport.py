"""The SMPP transport against the simulated SMSC: the suite for all transports, and what only SMPP has."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.settings import SmppOptions
from heliograph.transports.base import Failed, Outgoing, Retry, Sent
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp import pdu
from heliograph.transports.smpp.inbox import MOST_WAITING
from heliograph.transports.smpp.transport import SEGMENT_TRIES, SmppTransport, Timing
from transports.conformance import Conformance, Fate, Peer, Recorder, run, sms, soon, until
from transports.wire import Carrier, Pdu, Wire

QUICK = Timing(
    unbind_wait=0.05, throttle_pause=0.02, segment_pause=0.01, first_reconnect=0.02, close_wait=0.5, parts_timeout=0.1
)
TAKEN = "+61491570156"
LONG = ("a" * 153, "b" * 153, "c")


RECIPIENTS: dict[Fate, str] = {"taken": TAKEN, "refused": "+61491999004", "cut": "+61491999009"}


class SmscPeer(Peer):
    def __init__(self) -> None:
        self.smsc = SimulatedSmsc(receipt_delay=0, retry_delay=0.01)
        self.port = 0

    async def start(self) -> None:
        self.port = await self.smsc.start(port=self.port)

    async def stop(self) -> None:
        await self.smsc.stop()

    def transport(self) -> SmppTransport:
        options = SmppOptions(host="127.0.0.1", port=self.port, reconnect_max=0.1)
        return SmppTransport("carrier", options, timing=QUICK)

    def message(self, fate: Fate, number: int) -> Outgoing:
        return sms(RECIPIENTS[fate], number=number)

    @property
    def acknowledged(self) -> int:
        return self.smsc.counts["acknowledged"]


class TestConformance(Conformance):
    def peer(self) -> Peer:
        return SmscPeer()


@asynccontextmanager
async def carrier(**options: Any) -> AsyncIterator[tuple[SmppTransport, Wire, Recorder]]:
    """A transport that is bound to a carrier that the test plays."""
    async with Carrier() as far:
        events = Recorder()
        transport = SmppTransport("carrier", SmppOptions("127.0.0.1", far.port, **options), timing=QUICK)
        opening = asyncio.create_task(transport.open(events))
        wire = await far.connection()
        await soon(opening)
        try:
            yield transport, wire, events
        finally:
            await soon(transport.close())


def response(request: Pdu, status: int = 0, remote_id: str = "") -> Pdu:
    return Pdu(request.command | pdu.RESPONSE, status, request.sequence, pdu.c_string(remote_id) if remote_id else b"")


def play(scenario: Callable[[SmppTransport, Wire, Recorder], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        async with carrier(**options) as (transport, wire, events):
            await scenario(transport, wire, events)

    run(whole)


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
        assert first.after == pytest.approx(QUICK.throttle_pause, rel=0.5)
        assert (second, third) == (Sent(("text1",)), Sent(("text2",)))
        assert answered_at[1] - answered_at[0] >= QUICK.throttle_pause * 0.75

    play(scenario, window=1)


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
        assert pauses == pytest.approx([0.02, 0.04, 0.02], rel=0.25)

    play(scenario)


def test_a_carrier_that_refuses_validity_gets_none_from_then_on() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        request = await wire.read()
        assert b"000+\0" in request.body
        wire.write(response(request, pdu.ESME_RINVEXPIRY))
        (outcome,) = await soon(sending)
        assert isinstance(outcome, Retry)
        assert not outcome.maybe_sent
        sending = asyncio.create_task(transport.send([sms(TAKEN)]))
        request = await wire.read()
        assert b"000+\0" not in request.body
        wire.write(response(request, 0, "1"))
        assert await soon(sending) == [Sent(("1",))]

    play(scenario)


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


def deliver(octets: bytes, esm_class: int = 0, sequence: int = 1, source: pdu.Address | None = None) -> Pdu:
    ends = (source or pdu.Address(1, 1, "61491570156"), pdu.Address(1, 1, "61481074190"))
    body = pdu.encode_short_message(*map(pdu.encode_address, ends), octets, esm_class=esm_class)
    return Pdu(pdu.DELIVER_SM, 0, sequence, body)


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


def test_a_long_message_survives_a_failure_at_its_last_part() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        events.failures.append(RuntimeError("the database is away"))
        wire.write(deliver(b"\x05\x00\x03\x07\x02\x01Hello ", 0x40), deliver(b"\x05\x00\x03\x07\x02\x02you", 0x40, 2))
        assert [(await wire.read()).status for _ in range(2)] == [0, pdu.ESME_RX_T_APPN]
        wire.write(deliver(b"\x05\x00\x03\x07\x02\x02you", 0x40, 3))
        assert (await wire.read()).status == 0
        assert [message.body for message in events.inbound] == ["Hello you"] * 2
        # The reference may be used again: nothing of the first message is left.
        wire.write(deliver(b"\x05\x00\x03\x07\x02\x02new", 0x40, 4))
        assert (await wire.read()).status == 0
        assert len(events.inbound) == 2

    play(scenario)


def test_parts_that_never_become_whole_are_reported_after_a_while() -> None:
    async def scenario(transport: SmppTransport, wire: Wire, events: Recorder) -> None:
        wire.write(deliver(b"\x05\x00\x03\x07\x03\x03you", 0x40), deliver(b"\x05\x00\x03\x07\x03\x01Hello ", 0x40, 2))
        assert [(await wire.read()).status for _ in range(2)] == [0, 0]
        await until(lambda: events.inbound)
        assert [message.body for message in events.inbound] == ["Hello you"]

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
        assert (message.transport, message.channel, message.sender) == ("carrier", "sms", sender)
        assert (message.recipient, message.body) == ("+61481074190", "Hi")

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
        await asyncio.wait_for(transport.close(), 5)
        (outcome,) = await soon(sending)
        assert isinstance(outcome, Retry)
        assert outcome.maybe_sent

    play(scenario)


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

    run(whole)


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

    run(whole)


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

    run(whole)


def test_capacity_follows_window_and_rate() -> None:
    def capacity(**options: Any) -> int:
        return SmppTransport("carrier", SmppOptions("127.0.0.1", 1, **options)).capacity

    assert capacity(binds=2, window=50) == 200
    assert capacity(binds=2, window=50, rate=10) == 20
    assert capacity(rate=0.1) == 1


def test_a_transport_that_was_never_opened_can_be_closed() -> None:
    async def whole() -> None:
        transport = SmppTransport("carrier", SmppOptions("127.0.0.1", 1))
        assert not transport.ready
        await soon(transport.close())

    run(whole)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PEM file of a key and its self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "carrier")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + signed.public_bytes(serialization.Encoding.PEM)
    path = tmp_path_factory.mktemp("tls") / "carrier.pem"
    path.write_bytes(pem)
    return path


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_used_and_checked(certificate: Path, trusted: bool) -> None:
    async def whole() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        smsc = SimulatedSmsc(receipt_delay=0, tls=context)
        port = await smsc.start()
        options = SmppOptions("127.0.0.1", port, tls=True, tls_ca=str(certificate) if trusted else "")
        transport = SmppTransport("carrier", options, timing=QUICK)
        events = Recorder()
        await soon(transport.open(events))
        outcomes = await soon(transport.send([sms(TAKEN, number=number) for number in range(200)]))
        assert all(isinstance(outcome, Sent if trusted else Retry) for outcome in outcomes)
        if trusted:
            await until(lambda: len(events.receipts) == 200)
        await soon(transport.close())
        await smsc.stop()

    run(whole)
