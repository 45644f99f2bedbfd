"""Calls to telephones that nobody here wrote (telephones.py)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from heliograph.channels.voice import ssml
from heliograph.channels.voice.speech import Speaker, Text
from heliograph.settings import Settings
from heliograph.transports.base import Failed, MessageKey, Outcome, Outgoing, Retry, Sent, Spoken
from heliograph.transports.sip.options import SipOptions
from heliograph.transports.sip.transport import SipTransport
from interop import telephones
from interop.telephones import NUMBER, asking, baresip, pressing, refusing, sipp
from support import installed
from support.hooks import hooks
from support.server import Running
from transports.conformance import Recorder, run, until

pytestmark = pytest.mark.slow
TONE = b"\x00\x10\x00\xf0" * 1000


@asynccontextmanager
async def trunk(port: int, **options: Any) -> AsyncIterator[SipTransport]:
    """A trunk to a telephone, without pings: SIPp's script knows INVITE only."""
    await asyncio.wait_for(telephones.listening(port), 30)
    usual = {"ring": 4.0, "pause": 1.0, "calls": 30, "ping": 0.0, "caller_id": "+61212345678", "key_silence": 0.5}
    made = SipTransport("trunk", SipOptions("127.0.0.1", port, **{**usual, **options}))
    await made.open(Recorder())
    await until(lambda: made.ready)
    try:
        yield made
    finally:
        await made.close()


def message(to: str = NUMBER, sound: bytes = TONE, **more: Any) -> Outgoing:
    return Outgoing(MessageKey(1, "voice", "M"), "", to, Spoken(sound, **more), 0)


async def one(out: SipTransport, outgoing: Outgoing) -> Outcome:
    (outcome,) = await asyncio.wait_for(out.send([outgoing]), 60)
    return outcome


def spoken(data: Path, text: str) -> bytes:
    """A text, spoken by the engine."""
    speaker = Speaker(Settings(data=data))
    return asyncio.run(speaker.sound(Text(ssml.written(text), "en-us", "female")))


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_baresip_hears_the_text_to_its_end_and_presses_a_key(tmp_path: Path, protocol: str) -> None:
    sound = spoken(tmp_path, "This is a message from Heliograph. Please press five.")

    async def scenario() -> None:
        with baresip(installed.program("baresip"), tmp_path) as phone:
            async with trunk(phone.port, ping=1.0, protocol=protocol, asserted=True) as out:
                calling = asyncio.ensure_future(one(out, message(sound=sound, keys=True)))
                await until(lambda: phone.talking)
                await asyncio.to_thread(phone.press, "5")
                outcome = await calling
        assert isinstance(outcome, Sent)
        assert outcome.details == {"digits": "5", "machine_detected": 0}
        length = len(sound) / 16000
        assert f"heard {length:.1f} of {length:.1f} s, pressed 5" in outcome.detail
        _, heard = phone.heard()
        loud = [at for at, sample in enumerate(memoryview(heard).cast("h")) if abs(sample) > 500]
        said = [at for at, sample in enumerate(memoryview(sound).cast("h")) if abs(sample) > 500]
        assert abs((loud[-1] - loud[0]) - (said[-1] - said[0])) / 8000 < 0.3

    run(scenario())


@pytest.mark.parametrize("who", ["human", "machine", "silence"])
def test_who_answers_at_baresip(tmp_path: Path, who: str) -> None:
    texts = {
        "human": "Hello?",
        "machine": "Hello. You have reached the voice mail of Jane Doe. Please leave a message after the tone.",
        "silence": "",
    }
    says = spoken(tmp_path, texts[who]) if texts[who] else b""

    async def scenario() -> None:
        with baresip(installed.program("baresip"), tmp_path, says + bytes(16000 * 30)) as phone:
            async with trunk(phone.port, ping=1.0) as out:
                outcome = await one(out, message(machines=True))
        assert isinstance(outcome, Sent)
        assert outcome.details == {"digits": "", "machine_detected": int(who == "machine")}

    run(scenario())


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (refusing(486, "Busy Here", rings=True), Retry(1.0, "busy (486 Busy Here)", 486)),
        (refusing(603, "Decline"), Failed(603, "declined (603 Decline)")),
        (refusing(404, "Not Found"), Failed(404, "unallocated number (404 Not Found)")),
        (refusing(480, "Gone fishing"), Retry(1.0, "no answer (480 Gone fishing)", 480)),
        (refusing(503, "Service Unavailable"), Retry(1.0, "refused: 503 Service Unavailable", waiting=True)),
        (refusing(0, ""), Retry(1.0, "no answer")),
    ],
    ids=["486", "603", "404", "480", "503", "rings"],
)
def test_sipp_refuses(tmp_path: Path, script: str, outcome: Outcome) -> None:
    async def scenario() -> None:
        with sipp(installed.program("sipp"), tmp_path / "sipp", script) as phone:
            async with trunk(phone.port) as out:
                assert await one(out, message()) == outcome
                assert out.ready == (not isinstance(outcome, Retry) or not outcome.waiting)

    run(scenario())


def test_nobody_is_there() -> None:
    async def scenario() -> None:
        made = SipTransport("trunk", SipOptions("127.0.0.1", 9, ping=0.0))
        await made.open(Recorder())
        await until(lambda: made.ready)
        outcome = await one(made, message())
        assert isinstance(outcome, Retry)
        assert outcome.waiting
        assert not made.ready
        await made.close()

    run(scenario())


@pytest.mark.parametrize(("password", "outcome"), [("right", Failed), ("wrong", Retry)])
def test_sipp_wants_a_login(tmp_path: Path, password: str, outcome: type[Outcome]) -> None:
    async def scenario() -> None:
        with sipp(installed.program("sipp"), tmp_path / "sipp", asking("joe", "right")) as phone:
            async with trunk(phone.port, username="joe", password=password, asserted=True) as out:
                said = await one(out, message())
        assert isinstance(said, outcome), said
        if isinstance(said, Retry):
            assert said == Retry(1.0, "refused: 403 Forbidden", waiting=True)
        else:
            assert said == Failed(603, "declined (603 Decline)")

    run(scenario())


def test_twenty_calls_at_once_bring_back_a_key_each(tmp_path: Path) -> None:
    program = installed.program("sipp")
    if not telephones.may_send_raw():
        pytest.skip("SIPp plays packets by a raw socket, which needs root")

    async def scenario() -> None:
        with sipp(program, tmp_path / "sipp", pressing()) as phone:
            async with trunk(phone.port, rtp_timeout=30) as out:
                numbers = [f"+614915701{number:02d}" for number in range(20)]
                outcomes = await asyncio.wait_for(
                    out.send([message(number, TONE * 8, keys=True) for number in numbers]), 60
                )
        assert all(isinstance(outcome, Sent) for outcome in outcomes), outcomes
        digits = [outcome.details["digits"] for outcome in outcomes if isinstance(outcome, Sent) and outcome.details]
        assert digits == [number[-1] for number in numbers]

    run(scenario())


CARRIERS = """
[transports.dead]
kind = "sip"
host = "127.0.0.1"
port = 9
ping = 0.5

[transports.phone]
kind = "sip"
host = "127.0.0.1"
port = {port}
ping = 0.5
key_silence = 0.5

[[routes]]
transport = "dead"
channel = "voice"
priority = 1

[[routes]]
transport = "phone"
channel = "voice"
priority = 2
"""


def test_a_message_reaches_baresip_by_the_second_route_and_its_key_is_everywhere(tmp_path: Path) -> None:
    """From the request to receipt, history, push and poll."""
    (tmp_path / "phone").mkdir()
    with baresip(installed.program("baresip"), tmp_path / "phone") as phone, hooks() as (hook,):
        data = tmp_path / "data"
        data.mkdir()
        (data / "heliograph.toml").write_text(CARRIERS.format(port=phone.port))
        server = Running(data)
        try:
            api = server.account()
            rule = {"rule_name": "r", "match_type": 1, "action_address": hook.url}
            for action in ("POLL", "URL"):
                api.post("/automations/voice/receipts", {**rule, "action": action})
            given = {"to": NUMBER, "body": "Please press five to confirm your appointment.", "require_input": 1}
            (sent,) = api.post("/voice/send", {"messages": [given]})["messages"]
            key = sent["message_id"]
            api.until(lambda: phone.talking)
            phone.press("5")
            pushed = hook.next(60).form
            assert (pushed["message_id"], pushed["digits"], pushed["status_code"]) == (key, "5", "201")
            (polled,) = api.get("/voice/receipts")["data"]
            (row,) = api.get(f"/voice/history?q=message_id:{key}")["data"]
            assert (polled["digits"], row["digits"], row["status"]) == ("5", "5", "Completed")
            steps = [step["detail"] for step in api.get(f"/voice/{key}/timeline")]
            assert steps[-1].startswith("Taken by phone: answered, heard ")
        finally:
            server.stop()
