"""SMPP over TLS: an SMSC that proves who it is, ones that do not, and peers that speak something else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.transports.base import Retry, Sent
from heliograph.transports.options import SmppOptions
from heliograph.transports.sandbox.smsc import SimulatedSmsc
from heliograph.transports.smpp.transport import SmppTransport
from support.certificates import self_signed, server_side
from transports.conformance import Recorder, run, sms, soon, until
from transports.wire import QUICK, TAKEN


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def smsc_behind(certificate: Path | None) -> AsyncIterator[tuple[SimulatedSmsc, int]]:
    """An SMSC and its port; behind TLS with this certificate, or not."""
    smsc = SimulatedSmsc(receipt_delay=0, tls=server_side(certificate) if certificate else None)
    try:
        yield smsc, await smsc.start()
    finally:
        await smsc.stop()


@asynccontextmanager
async def transport_to(port: int, events: Recorder, **options: Any) -> AsyncIterator[SmppTransport]:
    transport = SmppTransport("carrier", SmppOptions("127.0.0.1", port, reconnect_max=0.08, **options), timing=QUICK)
    await soon(transport.open(events))
    try:
        yield transport
    finally:
        await soon(transport.close())


def test_messages_and_receipts_go_over_tls_and_it_is_bound_again_when_it_is_cut(certificate: Path) -> None:
    async def scenario() -> None:
        events = Recorder()
        async with (
            smsc_behind(certificate) as (smsc, port),
            transport_to(port, events, tls=True, tls_ca=str(certificate), binds=2) as transport,
        ):
            for _ in range(2):
                await until(lambda: smsc.counts["binds"] == 2 and transport.ready)
                outcomes = await soon(transport.send([sms(TAKEN, number=number) for number in range(200)]))
                assert {type(outcome) for outcome in outcomes} == {Sent}
                await until(lambda: smsc.counts["acknowledged"] == 200)
                smsc.counts.clear()
                smsc.disconnect()
        assert len(events.receipts) == 400
        assert all(receipt.key for receipt in events.receipts)

    run(scenario())


async def _never_binds(port: int, told: str, **options: Any) -> None:
    """The log says why at each attempt, the pauses grow, nothing is sent, and closing is quick."""
    with capture_logs() as logs:

        def attempts() -> list[str]:
            return [entry["why"] for entry in logs if entry["event"] == "smpp.unreachable"]

        clock = asyncio.get_running_loop().time
        began = clock()
        async with transport_to(port, Recorder(), **options) as transport:
            await until(lambda: len(attempts()) >= 5)
            assert clock() - began >= (0.02 + 0.04 + 0.08 + 0.08) / 2, "the pauses do not grow"
            assert not transport.ready
            (outcome,) = await soon(transport.send([sms(TAKEN)]))
            assert isinstance(outcome, Retry)
            assert not outcome.maybe_sent
    assert all(told in why for why in attempts()), attempts()
    # Other servers of this process may log something meanwhile.
    mine = [
        entry for entry in logs if entry["event"].startswith("smpp.") and entry.get("transport") in (None, "carrier")
    ]
    assert {entry["event"] for entry in mine} <= {"smpp.unreachable", "smpp.bad_length"}


@pytest.mark.parametrize("trusted", ["another authority", "the system"])
def test_an_smsc_that_nobody_vouches_for_is_not_bound_to(certificate: Path, trusted: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        ca = str(self_signed(tmp_path)) if trusted == "another authority" else ""
        async with smsc_behind(certificate) as (smsc, port):
            await _never_binds(port, "CERTIFICATE_VERIFY_FAILED", tls=True, tls_ca=ca)
            assert smsc.counts["binds"] == 0

    run(scenario())


def test_an_smsc_of_another_host_is_not_bound_to(tmp_path: Path) -> None:
    async def scenario() -> None:
        other = self_signed(tmp_path, "127.0.0.2")
        async with smsc_behind(other) as (_, port):
            await _never_binds(port, "not valid for '127.0.0.1'", tls=True, tls_ca=str(other))

    run(scenario())


def test_a_plain_smsc_is_not_spoken_to_by_tls(certificate: Path) -> None:
    async def scenario() -> None:
        async with smsc_behind(None) as (smsc, port):
            await _never_binds(port, "SSL", tls=True, tls_ca=str(certificate))
            assert smsc.counts["binds"] == 0

    run(scenario())


def test_without_tls_nothing_is_sent_to_an_smsc_that_wants_it(certificate: Path) -> None:
    async def scenario() -> None:
        async with smsc_behind(certificate) as (smsc, port):
            await _never_binds(port, "the peer closed the connection")
            assert smsc.counts["binds"] == 0

    run(scenario())


def test_a_peer_that_says_nothing_is_given_up(certificate: Path) -> None:
    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await _never_binds(port, "TimeoutError", tls=True, tls_ca=str(certificate), response_timeout=0.1)
        server.close()
        await server.wait_closed()

    run(scenario())


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_holds_no_authority_is_named_in_the_log(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    async def scenario() -> None:
        async with smsc_behind(None) as (_, port):
            await _never_binds(port, f"tls_ca {file}: ", tls=True, tls_ca=str(file))

    run(scenario())
