"""The MM7 transport and the built-in MMSC: what every transport has to do."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web

from heliograph.transports.base import Outgoing
from heliograph.transports.mm7.transport import Mm7Transport
from heliograph.transports.options import Mm7Options
from heliograph.transports.sandbox import mms
from heliograph.transports.sandbox.mms import SandboxMms
from heliograph.transports.sandbox.mmsc import SimulatedMmsc
from transports.conformance import Conformance, Fate, Peer, WithReceipts
from transports.mmsc import an_mms
from transports.ports import free_port

NUMBERS: Mapping[Fate, str] = {
    "taken": "+61411111111",
    "refused": "+61411999004",
    "put off": "+61411999005",
    "cut": "+61411999009",
}


class FixedMmsc(SimulatedMmsc):
    """Listens on the same port at each start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, retry_delay=0.01)
        self.port = free_port()

    async def start(self, port: int = 0) -> int:
        return await super().start(self.port)

    async def _submitted(self, request: web.Request) -> web.StreamResponse:
        answer = await super()._submitted(request)
        if request.transport is None or request.transport.is_closing():
            self.counts["cut"] += 1
        return answer


class MmscPeer(Peer):
    """An MMSC at another place, which has nowhere to report to."""

    def __init__(self, folder: Path) -> None:
        self._mmsc = FixedMmsc(folder)

    async def start(self) -> None:
        await self._mmsc.start()

    async def stop(self) -> None:
        await self._mmsc.stop()

    def transport(self) -> Mm7Transport:
        return Mm7Transport("mmsc", Mm7Options(f"http://127.0.0.1:{self._mmsc.port}/", timeout=20.0), look_again=0.01)

    def message(self, fate: Fate, number: int) -> Outgoing:
        return an_mms(NUMBERS[fate], key=f"MESSAGE-{number}")

    @property
    def taken(self) -> int:
        return self._mmsc.counts["taken"]


class SandboxPeer(MmscPeer):
    """The MMSC inside of the transport."""

    inside = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sandbox = SandboxMms("sandbox-mms", folder, self._mmsc, look_again=0.01)

    def transport(self) -> Mm7Transport:
        return self._sandbox

    @property
    def acknowledged(self) -> int:
        return self._mmsc.counts["acknowledged"]


class InFolder:
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mms, "LAST_REPORTS", 0.5)
        self._folder = tmp_path / "mms"


class TestMm7(InFolder, Conformance):
    def peer(self) -> Peer:
        return MmscPeer(self._folder)


class TestSandbox(InFolder, WithReceipts):
    def peer(self) -> Peer:
        return SandboxPeer(self._folder)
