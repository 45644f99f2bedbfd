"""The SMPP transport against an SMSC that nobody here wrote: smpp.twisted3, in a process of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.transports.base import Failed, Retry, Sent
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp import alphabet
from heliograph.transports.smpp.transport import SmppTransport
from transports.conformance import PATIENCE, Recorder, run, sms, soon, until
from transports.wire import QUICK, SERVICE, TAKEN

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("twisted_smsc.py")
RECEIPT = "id:{id} sub:001 dlvrd:001 submit date:2611240101 done date:2611240102 stat:{stat} err:{error} text:Hello"
LONG = "Zażółć gęślą jaźń 😀 " * 30


class Smsc:
    """The other program, as the tests lead it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.port = port
        self._process = process
        self._numbers = iter(range(1, 1000))

    async def told(self, event: str) -> dict[str, Any]:
        """The next event of this kind; those before it are left out."""
        async with asyncio.timeout(PATIENCE):
            while True:
                line = await self._process.stdout.readline()  # type: ignore[union-attr]
                assert line, "the SMSC has ended"
                heard: dict[str, Any] = json.loads(line)
                if heard["event"] == event:
                    return heard

    async def do(self, order: str, **what: Any) -> None:
        line = json.dumps({"do": order, **what}) + "\n"
        self._process.stdin.write(line.encode())  # type: ignore[union-attr]
        await self.told("done")

    async def deliver(self, octets: bytes, **what: Any) -> None:
        """Send a deliver_sm; returns when it is acknowledged."""
        number = next(self._numbers)
        await self.do("deliver", number=number, text=octets.hex(), **what)
        assert await self.told("acknowledged") == {"event": "acknowledged", "number": number, "status": "ESME_ROK"}


Scenario = Callable[[Smsc, SmppTransport, Recorder], Awaitable[None]]


@asynccontextmanager
async def started() -> AsyncIterator[Smsc]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, limit=2**20
    )
    try:
        smsc = Smsc(process, 0)
        smsc.port = (await smsc.told("listening"))["port"]
        yield smsc
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        await soon(process.wait())


def play(scenario: Scenario, **options: Any) -> None:
    """Run a scenario with the SMSC and a transport that is bound to it."""

    async def whole() -> None:
        async with started() as smsc:
            options.setdefault("password", "secret")
            transport = SmppTransport(
                "carrier", SmppOptions("127.0.0.1", smsc.port, "heliograph", reconnect_max=0.1, **options), timing=QUICK
            )
            events = Recorder()
            await soon(transport.open(events))
            try:
                await scenario(smsc, transport, events)
            finally:
                await soon(transport.close())

    run(whole())


def test_a_short_message_is_understood() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        (outcome,) = await soon(transport.send([sms(TAKEN, "Hello [you]")]))
        heard = await smsc.told("submit")
        assert outcome == Sent((heard.pop("id").lstrip("0"),))
        assert heard.pop("validity").startswith("20")
        assert heard == {
            "event": "submit",
            "source": SERVICE[1:],
            "source_ton": "INTERNATIONAL",
            "dest": TAKEN[1:],
            "dest_ton": "INTERNATIONAL",
            "coding": "SMSC_DEFAULT_ALPHABET",
            "receipt": "SMSC_DELIVERY_RECEIPT_REQUESTED",
            "text": "Hello \x1b<you\x1b>",
            "payload": None,
            "part": None,
        }

    play(scenario)


def test_a_long_message_is_parts_under_one_reference() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        (outcome,) = await soon(transport.send([sms(TAKEN, parts=("a" * 153, "b" * 153, "c"))]))
        heard = [await smsc.told("submit") for _ in range(3)]
        assert isinstance(outcome, Sent)
        assert len(set(outcome.remote_ids)) == 3
        assert [one["text"] for one in heard] == ["a" * 153, "b" * 153, "c"]
        reference = heard[0]["part"][0]
        assert [one["part"] for one in heard] == [[reference, 3, 1], [reference, 3, 2], [reference, 3, 3]]

    play(scenario)


def test_a_long_unicode_message_is_parts_in_ucs2() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        pieces = alphabet.cut(alphabet.encode_ucs2(LONG), 134, alphabet.UCS2)
        parts = [piece.decode("utf-16-be") for piece in pieces]
        (outcome,) = await soon(transport.send([sms(TAKEN, parts=parts, unicode=True)]))
        heard = [await smsc.told("submit") for _ in parts]
        assert isinstance(outcome, Sent)
        assert {one["coding"] for one in heard} == {"UCS2"}
        assert "".join(one["text"] for one in heard) == LONG
        assert [one["part"][1:] for one in heard] == [[len(parts), number] for number in range(1, len(parts) + 1)]

    play(scenario)


def test_a_long_message_is_one_payload_if_the_carrier_wants_it() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        (outcome,) = await soon(transport.send([sms(TAKEN, parts=("a" * 153, "b" * 153))]))
        heard = await smsc.told("submit")
        assert isinstance(outcome, Sent)
        assert len(outcome.remote_ids) == 1
        assert (heard["text"], heard["part"]) == ("", None)
        assert bytes.fromhex(heard["payload"]) == b"a" * 153 + b"b" * 153

    play(scenario, long_messages="payload")


@pytest.mark.parametrize("bind_mode", ["transceiver", "pair"])
def test_receipts_find_their_messages(bind_mode: str) -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        batch = [sms(TAKEN, number=number) for number in range(3)]
        await smsc.told("bind")
        if bind_mode == "pair":
            await smsc.told("bind")
        await until(lambda: transport.ready)
        assert all(isinstance(outcome, Sent) for outcome in await soon(transport.send(batch)))
        ids = [(await smsc.told("submit"))["id"] for _ in batch]
        words = RECEIPT.format(id=ids[0], stat="DELIVRD", error="000")
        await smsc.deliver(words.encode(), receipt=True)
        words = RECEIPT.format(id=ids[1].lower(), stat="UNDELIV", error="0AB")
        await smsc.deliver(words.encode(), receipt=True)
        await smsc.deliver(b"", receipt=True, receipted_message_id=ids[2], message_state="EXPIRED")
        assert [(receipt.key, receipt.state, receipt.error) for receipt in events.receipts] == [
            (batch[0].key, "delivered", None),
            (batch[1].key, "failed", "0AB"),
            (batch[2].key, "expired", None),
        ]

    play(scenario, bind_mode=bind_mode)


def test_a_receipt_that_is_not_stored_is_not_acknowledged() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        events.failures.append(OSError("the disk is full"))
        words = RECEIPT.format(id="0001", stat="DELIVRD", error="000").encode()
        await smsc.do("deliver", number=0, text=words.hex(), receipt=True)
        assert "ESME_RX_T_APPN" in (await smsc.told("refused"))["why"]
        await smsc.deliver(words, receipt=True)

    play(scenario)


def test_messages_come_in_in_every_form() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.deliver(b"Hello \x1be")
        await smsc.deliver("Cześć 😀".encode("utf-16-be"), coding="UCS2")
        await smsc.deliver("Ça va".encode("latin-1"), coding="LATIN_1")
        pieces = alphabet.cut(alphabet.encode_ucs2(LONG), 132, alphabet.UCS2)
        parts = [(piece, [0x1234, len(pieces), number]) for number, piece in enumerate(pieces, 1)]
        for piece, part in [parts[-1], *reversed(parts)]:  # the last one first, and twice
            await smsc.deliver(piece, part=part, coding="UCS2")
        for number, text in ((2, b"two"), (1, b"one ")):
            sar = {"sar_msg_ref_num": 77, "sar_total_segments": 2, "sar_segment_seqnum": number}
            await smsc.deliver(text, **sar)
        assert [message.body for message in events.inbound] == ["Hello €", "Cześć 😀", "Ça va", LONG, "one two"]
        assert {(message.sender, message.recipient) for message in events.inbound} == {(TAKEN, SERVICE)}

    play(scenario)


def test_throttling_slows_down_and_loses_nothing() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.do("answer", status="ESME_RTHROTTLED", times=5)
        left = [sms(TAKEN, f"text {number}", number=number) for number in range(20)]
        put_off = 0
        while left:
            await until(lambda: transport.ready)
            outcomes = await soon(transport.send(left))
            left = [message for message, outcome in zip(left, outcomes, strict=True) if isinstance(outcome, Retry)]
            assert all(
                outcome.code == 0x58 and not outcome.maybe_sent for outcome in outcomes if isinstance(outcome, Retry)
            )
            put_off += len(left)
        assert put_off == 5
        heard = [(await smsc.told("submit"))["text"] for _ in range(20)]
        assert sorted(heard) == sorted(f"text {number}" for number in range(20))

    play(scenario, window=4)


def test_a_refusal_has_its_status() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.do("answer", status="ESME_RINVDSTADR", times=1)
        assert await soon(transport.send([sms(TAKEN)])) == [Failed(0x0B, "ESME_RINVDSTADR")]

    play(scenario)


def test_many_messages_over_several_binds() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        outcomes = await soon(transport.send([sms(TAKEN, f"text {number}", number=number) for number in range(300)]))
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        heard = {(await smsc.told("submit"))["text"] for _ in range(300)}
        assert heard == {f"text {number}" for number in range(300)}

    play(scenario, binds=3, window=10)


def test_goodbyes_are_answered_and_it_is_bound_again() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        await smsc.told("bind")
        await smsc.do("unbind")
        await smsc.told("bind")
        await until(lambda: transport.ready)
        (outcome,) = await soon(transport.send([sms(TAKEN)]))
        assert isinstance(outcome, Sent)

    play(scenario)


def test_a_wrong_password_is_told_in_the_log() -> None:
    async def scenario(smsc: Smsc, transport: SmppTransport, events: Recorder) -> None:
        assert (await smsc.told("bind"))["password"] == "wrong"
        await smsc.told("bind")
        assert not transport.ready
        (outcome,) = await soon(transport.send([sms(TAKEN)]))
        assert isinstance(outcome, Retry)

    with capture_logs() as logs:
        play(scenario, password="wrong")
    refusals = [entry for entry in logs if entry["event"] == "smpp.bind_refused"]
    assert refusals
    assert {entry["status"] for entry in refusals} == {"ESME_RINVPASWD"}
