"""The SMTP transport against relays on real sockets: refusals, doubts, lost and slow relays, the end."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session
from structlog.testing import capture_logs

from heliograph.transports.base import Failed, Outcome, Outgoing, Retry, Sent
from heliograph.transports.options import SmtpOptions
from heliograph.transports.smtp import transport as module
from heliograph.transports.smtp.transport import SmtpTransport
from transports.conformance import Conformance, Fate, Peer, run, until
from transports.ports import free_port
from transports.relay import Relay, a_mail, one, scripted, serving, talk, transport


class CuttingRelay(Relay):
    """Hangs up instead of an answer to a mail to cut@example.net."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if envelope.rcpt_tos == ["cut@example.net"]:
            cast(asyncio.WriteTransport, server.transport).abort()
        return await super().handle_DATA(server, session, envelope)


class RelayPeer(Peer):
    """The relay as the conformance suite wants it: what it does to a mail is told by the recipient."""

    def __init__(self) -> None:
        self._port = free_port()
        self._relay = CuttingRelay()
        self._relay.answers["refused@example.net"] = "550 5.1.1 Nobody here"
        self._relay.answers["off@off.example.net"] = "451 4.7.1 Greylisted"

    async def start(self) -> None:
        self._life = AsyncExitStack()
        await self._life.enter_async_context(serving(self._relay, port=self._port, enable_SMTPUTF8=True))

    async def stop(self) -> None:
        await self._life.aclose()

    def transport(self) -> SmtpTransport:
        return SmtpTransport("relay", SmtpOptions("127.0.0.1", self._port, helo="client.test", timeout=20.0))

    def message(self, fate: Fate, number: int) -> Outgoing:
        domain = "off.example.net" if fate == "put off" else "example.net"
        return a_mail(to=f"{fate.split()[-1]}@{domain}", key=f"MESSAGE-{number}")

    @property
    def taken(self) -> int:
        return len(self._relay.mails)


class TestConformance(Conformance):
    ids = False

    def peer(self) -> Peer:
        return RelayPeer()


def test_connections_are_used_at_the_same_time_and_again() -> None:
    async def scenario() -> None:
        relay = Relay()
        everyone = asyncio.Barrier(3)

        async def gate() -> None:
            await everyone.wait()

        async with serving(relay) as port, transport(port, connections=3) as out:
            relay.gate = gate
            outcomes = await out.send([a_mail(key=f"{number:036d}") for number in range(30)])
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len(relay.sessions) == 3
        assert len({mail["Message-ID"] for mail in relay.read}) == 30

    run(scenario())


@pytest.mark.parametrize("where", ["MAIL", "bob@example.net", "DATA"])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("550 5.1.1 Nobody here.", Failed(550, "550 5.1.1 Nobody here")),
        ("451 4.7.1 Greylisted", Retry(module.LATER, "451 4.7.1 Greylisted", 451)),
    ],
)
def test_the_first_digit_of_a_refusal_decides_and_the_connection_stays(
    where: str, answer: str, outcome: Outcome
) -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay) as port, transport(port, connections=1) as out:
            relay.answers[where] = answer
            assert await one(out, a_mail()) == outcome
            relay.answers.clear()
            assert isinstance(await one(out, a_mail(to="bob@example.org")), Sent)
        assert len(relay.sessions) == 1

    run(scenario())


def test_a_refusal_of_the_data_command_itself() -> None:
    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer, "DATA")
            writer.write(b"554-5.7.0 First line\r\n554 5.7.0 sec\0ond \xff line\r\n")
            await reader.readline()

        async with scripted(script) as port, transport(port) as out:
            assert await one(out, a_mail()) == Failed(554, "554 5.7.0 First line 5.7.0 second \ufffd line")

    run(scenario())


def test_no_relay_is_a_reason_to_try_again_and_it_is_found_when_it_comes() -> None:
    async def scenario() -> None:
        port, relay = free_port(), Relay()
        async with transport(port) as out:
            first = await one(out, a_mail())
            assert isinstance(first, Retry)
            assert not first.maybe_sent
            assert not out.ready
            assert "127.0.0.1" not in first.why, "customers see this text"
            async with serving(relay, port=port):
                await until(lambda: out.ready)
                assert isinstance(await one(out, a_mail()), Sent)
            await until(lambda: not out.ready)
        assert len(relay.mails) == 1

    run(scenario())


def test_a_host_that_can_be_no_name_is_a_relay_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: Any, **__: Any) -> None:
        "relay..example".encode("idna")

    monkeypatch.setattr(uvloop.Loop, "create_connection", connect)

    async def scenario() -> None:
        with capture_logs() as logs:
            async with transport(25, host="relay..example") as out:
                for _ in range(2):
                    assert isinstance(await one(out, a_mail()), Retry)
        (away,) = [entry for entry in logs if entry["event"] == "smtp.away"]
        assert "relay..example: " in away["problem"]

    run(scenario())


def test_while_the_relay_is_away_mails_do_not_wait() -> None:
    """It refuses once and is silent from then on, so that whoever asks it again hangs for a minute."""

    async def scenario() -> None:
        refused, asked_again = asyncio.Event(), asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not refused.is_set():
                refused.set()
                writer.write(b"554 Go away\r\n")
                return
            asked_again.set()
            await reader.read()

        async with scripted(script) as port, transport(port, timeout=60.0, connections=1) as out:
            await one(out, a_mail())
            for _ in range(2):
                outcomes = await out.send([a_mail() for _ in range(out.capacity)])
                assert {type(outcome) for outcome in outcomes} == {Retry}
                await asked_again.wait()

    run(scenario())


def test_an_answer_lost_after_the_mail_leaves_a_doubt() -> None:
    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer, "DATA")
            writer.write(b"354 Go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")

        async with scripted(script) as port, transport(port) as out:
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert outcome.maybe_sent

    run(scenario())


def test_silence_after_the_mail_leaves_a_doubt() -> None:
    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer, "DATA")
            writer.write(b"354 Go on\r\n")
            await reader.read()

        async with scripted(script) as port, transport(port, timeout=1.0, connections=1) as out:
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert outcome.maybe_sent
            assert not out.ready, "a late answer would be taken for the next mail's"

    run(scenario())


@pytest.mark.parametrize("answer", [b"what?\r\n", b"354 Go on and on\r\n"])
def test_an_answer_that_is_none_leaves_a_doubt_and_ends_the_connection(answer: bytes) -> None:
    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer, "DATA")
            writer.write(b"354 Go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(answer)
            ended.set_result(await reader.read())

        ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        async with scripted(script) as port, transport(port) as out:
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert outcome.maybe_sent
            assert await ended == b""

    run(scenario())


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_connection_that_breaks_before_the_mail_leaves_no_doubt(command: str) -> None:
    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer, command)

        async with scripted(script) as port, transport(port) as out:
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert not outcome.maybe_sent

    run(scenario())


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 Idle for too long\r\n"])
def test_a_connection_that_the_relay_tired_of_is_replaced_within_the_same_try(farewell: bytes) -> None:
    """The relay hangs up at the second MAIL of its first connection, as relays do that limit mails or idle time."""

    async def scenario() -> None:
        connections: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            first = len(connections) == 1
            await talk(reader, writer, "DATA")
            writer.write(b"354 Go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 Taken\r\n")
            if first:
                assert (await reader.readline()).startswith(b"MAIL")
                writer.write(farewell)
            else:
                await reader.readline()

        async with scripted(script) as port, transport(port, connections=1) as out:
            assert await one(out, a_mail()) == Sent(detail="250 Taken")
            assert await one(out, a_mail()) == Sent(detail="250 Taken")
            assert len(connections) == 2

    run(scenario())


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
def test_no_mail_waits_longer_than_its_patience(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer may take a minute here; all of them together may take a second."""
    monkeypatch.setattr(module, "PATIENCE", 1 / 60)

    async def scenario() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer, command)
            writer.write(b"354 Go on\r\n" if command == "DATA" else b"250-Just\r\n")
            await reader.read()

        async with scripted(script) as port, transport(port, timeout=60.0) as out:
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert outcome.maybe_sent == (command == "DATA")

    run(scenario())


def test_closing_lets_a_mail_under_way_end_and_says_goodbye() -> None:
    async def scenario() -> None:
        relay = Relay()
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def gate() -> None:
            inside.set()
            await go_on.wait()

        relay.gate = gate
        async with serving(relay) as port, transport(port, connections=1) as out:
            batch = asyncio.create_task(out.send([a_mail(), a_mail()]))
            await inside.wait()
            closing = asyncio.create_task(out.close())
            await asyncio.sleep(0)
            go_on.set()
            await closing
            first, second = await batch
            assert isinstance(first, Sent)
            assert isinstance(second, Retry)
            assert not second.maybe_sent
            assert not out.ready
            assert isinstance(await one(out, a_mail()), Retry)
        assert relay.commands.count("QUIT") == 1
        assert len(relay.mails) == 1

    run(scenario())


def test_closing_gives_up_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.05)

    async def scenario() -> None:
        relay = Relay()
        inside, never = asyncio.Event(), asyncio.Event()

        async def gate() -> None:
            inside.set()
            await never.wait()

        relay.gate = gate
        async with serving(relay) as port, transport(port, connections=1) as out:
            batch = asyncio.create_task(out.send([a_mail(), a_mail()]))
            await inside.wait()
            await out.close()
            first, second = await batch
            assert isinstance(first, Retry)
            assert first.maybe_sent
            assert isinstance(second, Retry)
            assert not second.maybe_sent

    run(scenario())


def test_a_call_that_is_cancelled_leaves_the_transport_whole() -> None:
    async def scenario() -> None:
        relay = Relay()
        inside, never = asyncio.Event(), asyncio.Event()

        async def gate() -> None:
            inside.set()
            await never.wait()

        relay.gate = gate
        async with serving(relay) as port, transport(port, connections=1) as out:
            batch = asyncio.create_task(out.send([a_mail(), a_mail()]))
            await inside.wait()
            batch.cancel()
            with pytest.raises(asyncio.CancelledError):
                await batch
            relay.gate = None
            assert isinstance(await one(out, a_mail()), Sent)
        assert len(relay.mails) == 1

    run(scenario())
