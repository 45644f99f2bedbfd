"""A transport that is made with its first message."""

import asyncio
from pathlib import Path

from heliograph.transports.base import Retry, Sent, Transport
from heliograph.transports.late import LateTransport
from heliograph.transports.sandbox.mms import SandboxMms
from transports.conformance import Recorder, run, until
from transports.mmsc import an_mms


def test_it_is_made_once_with_the_first_message_which_finds_it_ready(tmp_path: Path) -> None:
    made: list[Transport] = []

    def make() -> Transport:
        made.append(SandboxMms("sandbox-mms", tmp_path / "mms"))
        return made[-1]

    async def scenario() -> None:
        late, events = LateTransport("sandbox-mms", make, 32), Recorder()
        (outcome,) = await late.send([an_mms()])
        assert isinstance(outcome, Retry)
        assert not late.ready
        await late.open(events)
        assert late.ready
        assert await late.send([]) == []
        assert not made
        both = await asyncio.gather(late.send([an_mms(key="A")]), late.send([an_mms(key="B")]))
        assert all(isinstance(outcome, Sent) for (outcome,) in both)
        assert len(made) == 1
        await until(lambda: len(events.receipts) == 2)
        await late.close()
        assert not late.connected
        (outcome,) = await late.send([an_mms()])
        assert isinstance(outcome, Retry)

    run(scenario())


def test_what_was_never_used_is_never_made(tmp_path: Path) -> None:
    async def scenario() -> None:
        late = LateTransport("sandbox-mms", lambda: SandboxMms("sandbox-mms", tmp_path / "mms"), 32)
        await late.open(Recorder())
        await late.close()

    run(scenario())
    assert not (tmp_path / "mms").exists()


def test_a_carrier_that_cannot_start_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def scenario() -> None:
        late = LateTransport("sandbox-mms", lambda: SandboxMms("sandbox-mms", tmp_path / "file" / "mms"), 32)
        await late.open(Recorder())
        (outcome,) = await late.send([an_mms()])
        assert isinstance(outcome, Retry)
        assert not outcome.maybe_sent
        (tmp_path / "file").unlink()
        (outcome,) = await late.send([an_mms()])
        assert isinstance(outcome, Sent)
        await late.close()

    run(scenario())
