"""What every test may use: fresh databases of both kinds, and no way out of this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import postgres
from support.sockets import loopback_only


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    with loopback_only():
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server where databases may be created: HELIOGRAPH_TEST_POSTGRES, or a private one.

    Skips where there is none, but fails in continuous integration. Each worker of xdist starts its own.
    """
    given = os.environ.get("HELIOGRAPH_TEST_POSTGRES")
    if given:
        yield given
        return
    try:
        with postgres.server() as url:
            yield url
    except postgres.Missing as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database; a test that takes it runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'heliograph.db'}"
        return
    with postgres.database(request.getfixturevalue("postgres_url")) as url:
        yield url
