"""What every test may use: fresh databases of both kinds, and no way out of this machine."""

import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from heliograph.db import dialect, migrate, writer
from support import installed, postgres
from support.server import Api, Running
from support.sockets import loopback_only

# How long an example takes says something of the machine, and nothing of the code.
patient = settings(settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", patient, derandomize=True)
settings.register_profile("explore", patient, derandomize=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--explore", action="store_true", help="draw other examples than those that every run draws")
    parser.addoption("--long-way", action="store_true", help="let no request go the short way beside ASGI")


def pytest_configure(config: pytest.Config) -> None:
    Running.short_way = not config.getoption("--long-way")
    settings.load_profile("explore" if config.getoption("--explore") else "same")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """What draws the examples of a test: the same ones in every run, unless it explores."""
    return random.Random(None if request.config.getoption("--explore") else 1)


@pytest.fixture(scope="session", autouse=True)
def _log_to_stderr() -> None:
    """What servers log in their threads must not stand in what a command prints. Tracebacks are plain: to draw one with
    the values of all variables takes as long as many tests.
    """
    *processors, _ = structlog.get_config()["processors"]
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, console], logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """In this process nothing has to survive a power cut. In those that tests start it has, as in real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialect, "SYNCHRONOUS", "synchronous=OFF")
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_word_of_a_busy_machine() -> Iterator[None]:
    """Any transaction is long on one, and a test that reads the log has not asked for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "LONG", float("inf"))
        yield


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
        with postgres.server() as (url, _):
            yield url
    except postgres.Missing as reason:
        installed.lacking(str(reason))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database; a test that takes it runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'heliograph.db'}"
        return
    with postgres.database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running server on SQLite, shared by the tests: each makes accounts of its own."""
    running = Running(tmp_path_factory.mktemp("sqlite"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Running]:
    """The same on PostgreSQL."""
    with postgres.database(postgres_url) as url:
        running = Running(tmp_path_factory.mktemp("postgres"), url)
        yield running
        running.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running server; a test that takes it runs once on SQLite and once on PostgreSQL."""
    found: Running = request.getfixturevalue(f"{request.param}_server")
    yield found
    found.close_clients()


@pytest.fixture
def api(server: Running) -> Api:
    """A new account with credit, and a client for it."""
    return server.account()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the newest tables. The migrations run once; a test gets a copy of what they made."""
    path = tmp_path_factory.mktemp("template") / "heliograph.db"
    migrate.upgrade(f"sqlite:///{path}")
    assert not path.with_name("heliograph.db-wal").exists(), "the file alone would be half of the database"
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The same on PostgreSQL."""
    with postgres.database(postgres_url) as url:
        migrate.upgrade(url)
        yield url


@pytest.fixture(scope="session")
def postgres_stock(postgres_url: str, postgres_template: str) -> Iterator[postgres.Stock]:
    """Databases with the newest tables that are used again."""
    stock = postgres.Stock(postgres_url, postgres_template)
    yield stock
    stock.close()


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database with the newest tables and no rows, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "heliograph.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    with request.getfixturevalue("postgres_stock").lent() as url:
        yield url


emptied_url = migrated_url


@pytest.fixture(scope="module")
def postgres_of_the_file(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """URL of a PostgreSQL database with the newest tables, which the tests of a file share."""
    with postgres.database(postgres_url, postgres_template) as url:
        yield url
