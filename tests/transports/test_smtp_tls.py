"""The SMTP transport and the protection of its connection: TLS, certificates, logins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.transports.base import Retry, Sent
from heliograph.transports.smtp import transport as module
from support.certificates import self_signed, server_side
from transports.conformance import run, until
from transports.relay import Relay, a_mail, one, serving, transport

LOGIN = {"username": "relay-user", "password": "relay-password"}
IN_THE_CLEAR = {"auth_require_tls": False}
"""The relay takes logins although aiosmtpd knows of no TLS: none is wanted, or it lies below (implicit TLS)."""

Protection = pytest.mark.parametrize("how", ["starttls", "implicit"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


def protected(relay: Relay, how: str, certificate: Path) -> AbstractAsyncContextManager[int]:
    """The relay behind TLS of either kind."""
    context = server_side(certificate)
    if how == "implicit":
        return serving(relay, tls=context, **IN_THE_CLEAR)
    return serving(relay, tls_context=context, require_starttls=True)


@Protection
def test_login_and_mail_go_over_tls(how: str, certificate: Path) -> None:
    async def scenario() -> None:
        relay = Relay()
        options = {"tls": how, "tls_ca": str(certificate), "connections": 2}
        async with protected(relay, how, certificate) as port, transport(port, **options, **LOGIN) as out:
            outcomes = await out.send([a_mail(key=f"{number:036d}") for number in range(20)])
            assert {type(outcome) for outcome in outcomes} == {Sent}
        assert relay.protected == [True] * 20
        assert relay.commands[0] == "AUTH"
        assert len(relay.mails) == 20

    run(scenario())


@Protection
def test_a_protected_connection_that_breaks_is_replaced(how: str, certificate: Path) -> None:
    async def scenario() -> None:
        relay = Relay()
        options = {"tls": how, "tls_ca": str(certificate), "connections": 1}
        async with protected(relay, how, certificate) as port, transport(port, **options) as out:
            assert isinstance(await one(out, a_mail()), Sent)
            relay.sessions[0].transport.abort()  # type: ignore[union-attr]
            await until(lambda: not out.ready)
            await until(lambda: out.ready)
            assert isinstance(await one(out, a_mail()), Sent)
        assert relay.protected == [True, True]

    run(scenario())


def test_a_wrong_password_fails_no_mail_for_good() -> None:
    async def scenario() -> None:
        relay = Relay()
        wrong = {**LOGIN, "password": "wrong"}
        how = {**IN_THE_CLEAR, "auth_exclude_mechanism": ["LOGIN"]}
        async with serving(relay, **how) as port, transport(port, **wrong) as out:
            outcome = await one(out, a_mail())
            assert isinstance(outcome, Retry)
            assert not outcome.maybe_sent
            assert not out.ready
        assert "MAIL" not in relay.commands

    run(scenario())


class Wiretap:
    """A cable to the relay. When it is `muted`, nothing comes back; `cut` tells that the client hung up."""

    def __init__(self) -> None:
        self.muted = False
        self.cut = asyncio.Event()

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[int]:
        writers = []

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            answers, onward = await asyncio.open_connection("127.0.0.1", port)
            back = asyncio.create_task(self._back(answers, writer))
            while data := await reader.read(2**16):
                onward.write(data)
            self.cut.set()
            onward.close()
            writer.close()
            await back

        server = await asyncio.start_server(connection, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in writers:
                writer.transport.abort()
            await server.wait_closed()

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await answers.read(2**16):
            if not self.muted:
                writer.write(data)


@Protection
def test_closing_does_not_wait_for_a_relay_that_fell_silent(
    how: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself TLS would wait half a minute for the other end's goodbye."""
    monkeypatch.setattr(module, "QUIT_TIMEOUT", 0.1)

    async def scenario() -> None:
        relay, tap = Relay(), Wiretap()
        options = {"tls": how, "tls_ca": str(certificate), "connections": 1}
        async with (
            protected(relay, how, certificate) as port,
            tap.to(port) as tapped,
            transport(tapped, **options) as out,
        ):
            assert isinstance(await one(out, a_mail()), Sent)
            tap.muted = True
            await out.close()
            await asyncio.wait_for(tap.cut.wait(), 10)

    run(scenario())


async def _is_refused(relay: Relay, port: int, told: str, **options: Any) -> None:
    """No login and no mail goes out; the log says once why, and the transport keeps trying."""
    with capture_logs() as logs:
        async with transport(port, **options, **LOGIN) as out:
            attempts = len(relay.sessions)
            for _ in range(2):
                outcome = await one(out, a_mail())
                assert isinstance(outcome, Retry)
                assert not outcome.maybe_sent
                assert outcome.why == "The mail relay gives no connection"
            assert not out.ready
            await until(lambda: len(relay.sessions) > attempts + 1)
    assert relay.commands == []
    away = [entry for entry in logs if entry["event"] == "smtp.away"]
    assert len(away) == 1, logs
    assert told in away[0]["problem"]


@Protection
def test_a_certificate_that_nobody_vouches_for_gets_no_mail(how: str, certificate: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        relay, other = Relay(), self_signed(tmp_path)
        async with protected(relay, how, certificate) as port:
            await _is_refused(relay, port, "CERTIFICATE_VERIFY_FAILED", tls=how, tls_ca=str(other))

    run(scenario())


@Protection
def test_a_certificate_of_another_host_gets_no_mail(how: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        relay, other = Relay(), self_signed(tmp_path, "127.0.0.2")
        async with protected(relay, how, other) as port:
            await _is_refused(relay, port, "not valid for '127.0.0.1'", tls=how, tls_ca=str(other))

    run(scenario())


def test_without_starttls_nothing_goes_out_in_the_clear(certificate: Path) -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay, **IN_THE_CLEAR) as port:
            await _is_refused(relay, port, "STARTTLS extension not supported", tls="starttls", tls_ca=str(certificate))

    run(scenario())


def test_a_relay_without_tls_is_not_spoken_to_by_implicit_tls(certificate: Path) -> None:
    async def scenario() -> None:
        relay = Relay()
        async with serving(relay, **IN_THE_CLEAR) as port:
            await _is_refused(relay, port, "SSL", tls="implicit", tls_ca=str(certificate))

    run(scenario())


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_holds_no_authority_is_named_in_the_log(content: str | None, tmp_path: Path) -> None:
    async def scenario() -> None:
        relay, file = Relay(), tmp_path / "ca.pem"
        if content is not None:
            file.write_text(content)
        with capture_logs() as logs:
            async with serving(relay) as port, transport(port, tls="starttls", tls_ca=str(file)) as out:
                assert isinstance(await one(out, a_mail()), Retry)
        assert relay.sessions == []
        (away,) = [entry for entry in logs if entry["event"] == "smtp.away"]
        assert f"tls_ca {file}: " in away["problem"]

    run(scenario())


def test_the_system_decides_whom_to_trust_without_a_file(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def scenario() -> None:
        relay = Relay()
        async with protected(relay, "starttls", certificate) as port, transport(port, tls="starttls") as out:
            assert isinstance(await one(out, a_mail()), Sent)
        assert relay.protected == [True]

    run(scenario())
