"""A server that has the channel of the tests beside those of the product, and a carrier that does what a test says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from heliograph.media import MEDIA
from support import postgres, probe, server
from support.carrier import Carrier
from support.server import Running


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def with_probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data: Path = tmp_path_factory.mktemp("probe")
    with pytest.MonkeyPatch.context() as patch:
        probe.register(patch.setattr)
        patch.setattr(server, "DOCUMENT", server.Document())
        if request.param == "sqlite":
            running = Running(data)
            yield running
            running.stop()
            return
        with postgres.database(request.getfixturevalue("postgres_url")) as url:
            running = Running(data, url)
            yield running
            running.stop()


@pytest.fixture
def carrier(with_probe: Running) -> Iterator[Carrier]:
    made = Carrier(with_probe)
    made.carry(*MEDIA)
    yield made
    with_probe.close_clients()
