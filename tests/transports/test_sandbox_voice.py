"""The built-in phone from end to end: what docs/sandbox.md says of it, and its end with the transport."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from heliograph.transports.base import Outgoing, Retry, Sent
from heliograph.transports.sandbox.phone import records, scenarios, sound
from heliograph.transports.sandbox.voice import SandboxVoice
from transports.conformance import Conformance, Fate, Peer, Recorder, run, soon
from transports.test_sip import NUMBERS, TONE, call

ROOT = Path(__file__).parents[2]


class SandboxPeer(Peer):
    """The phone inside of the transport. It cannot be away: what is missing is started."""

    inside = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sandbox = SandboxVoice("sandbox-voice", folder)

    async def start(self) -> None:
        """The transport starts it."""

    async def stop(self) -> None:
        """The transport ends it."""

    def transport(self) -> SandboxVoice:
        return self._sandbox

    def message(self, fate: Fate, number: int) -> Outgoing:
        return call(NUMBERS[fate], TONE, f"MESSAGE-{number}")

    @property
    def taken(self) -> int:
        return sum(one.status == 200 for one in records.listing(self._folder))


NOT_OURS = ("dead_peer", "comes_up_later", "lost", "comes_back")
"""Tests of a peer that is away: this one is a part of the transport."""


@pytest.mark.slow
class TestConformance(Conformance):
    ids = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        if any(name in request.node.name for name in NOT_OURS):
            pytest.skip("the phone is never away")
        self._path = tmp_path / "phone"

    def peer(self) -> Peer:
        return SandboxPeer(self._path)


def test_the_manual_has_every_scenario() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| …`(\d+)` \|", page, re.MULTILINE) == list(scenarios.SCENARIOS)


def test_a_phone_that_was_killed_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        sandbox = SandboxVoice("sandbox-voice", tmp_path / "phone")
        assert not sandbox.ready
        await sandbox.open(Recorder())
        assert sandbox.ready
        assert sandbox._phone is None, "nothing is started before the first call"
        (first,) = await soon(sandbox.send([call()]))
        assert isinstance(first, Sent)
        sandbox._phone.kill()
        await sandbox._phone.wait()
        (again,) = await soon(sandbox.send([call()]))
        assert isinstance(again, Sent)
        await asyncio.wait_for(sandbox.close(), 15)
        (late,) = await soon(sandbox.send([call()]))
        assert isinstance(late, Retry)

    run(scenario())


def test_g711_is_its_own_inverse() -> None:
    for law in (sound.PCMU, sound.PCMA):
        codes = bytes(range(256))
        samples = sound.decoded(codes, law)
        assert max(samples) > 30_000
        again = sound.decoded(sound.encoded(samples, law), law)
        assert again == samples


def test_only_the_newest_calls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "KEEP", 2)
    for number in range(4):
        record = records.CallRecord(records.new_id(number), number, "a", "b", "listens", 200)
        records.keep(tmp_path, record, b"\0\0")
    assert [one.at for one in records.listing(tmp_path)] == [2, 3]
    assert records.heard(tmp_path, records.listing(tmp_path)[0].id) is not None
    assert records.heard(tmp_path, "../../etc/passwd") is None
    assert len(list(tmp_path.iterdir())) == 4
    assert msgspec.json.decode(next(tmp_path.glob("*.json")).read_bytes())["called"] == "b"
