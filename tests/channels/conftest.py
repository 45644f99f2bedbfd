"""A server that has the channel of the tests beside those of the product, and a carrier that does what a test says."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from heliograph.media import MEDIA
from support import postgres, probe, server
from support.carrier import Carrier
from support.server import Running


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def with_probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The channel is registered while this server starts: those that tests share may be made later, without it."""
    data: Path = tmp_path_factory.mktemp("probe")
    with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        url = ""
        if request.param == "postgres":
            url = held.enter_context(postgres.database(request.getfixturevalue("postgres_url")))
        with pytest.MonkeyPatch.context() as starting:
            probe.register(starting.setattr)
            patch.setattr(server, "DOCUMENT", server.Document())
            running = Running(data, url)
        held.callback(running.stop)
        yield running


@pytest.fixture
def carrier(with_probe: Running) -> Iterator[Carrier]:
    made = Carrier(with_probe)
    made.carry(*MEDIA)
    yield made
    with_probe.close_clients()
