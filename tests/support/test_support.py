"""The tests' own tools: what they promise is what every other test rests on."""

import asyncio
import socket
from typing import Any

import psycopg
import pytest
import uvloop
from sqlalchemy import MetaData, func, inspect, select, text

from heliograph.db import dialect
from heliograph.db.tables import metadata, sqlite_metadata
from support import installed, postgres
from support.sockets import LeavesTheMachine


@pytest.mark.parametrize("round_", [1, 2])
def test_each_test_has_an_empty_database(database_url: str, round_: int) -> None:
    engine, _ = dialect.engine(database_url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
        connection.execute(text("CREATE TABLE left_behind (id INTEGER)"))
    engine.dispose()


def test_a_database_may_be_a_copy_of_a_template_and_is_dropped_while_in_use(postgres_url: str) -> None:
    with postgres.database(postgres_url) as template:
        with psycopg.connect(template) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        with postgres.database(postgres_url, template) as copy:
            connection = psycopg.connect(copy)
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy)


def test_sockets_reach_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()[:2]) as client:
        assert client.getpeername() == server.getsockname()


OTHERS = ["192.0.2.1", "10.0.0.1", "0.0.0.0", "2001:db8::1", "example.org"]
LOOPS = [asyncio.SelectorEventLoop, uvloop.new_event_loop]


@pytest.mark.parametrize("host", OTHERS)
def test_sockets_reach_nothing_else(host: str) -> None:
    with socket.socket() as client, pytest.raises(LeavesTheMachine, match=host):
        client.connect((host, 80))
    with socket.socket() as client, pytest.raises(LeavesTheMachine, match=host):
        client.connect_ex((host, 80))
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(LeavesTheMachine, match=host):
        client.sendto(b"datagram", 0, (host, 80))


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("loop", LOOPS)
def test_event_loops_reach_nothing_else(loop: Any, host: str) -> None:
    with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(LeavesTheMachine, match=host):
        runner.run(asyncio.wait_for(asyncio.open_connection(host, 80), 5))


@pytest.mark.parametrize("loop", LOOPS)
def test_names_are_not_looked_up_in_the_network(loop: Any) -> None:
    async def look_up(host: str) -> Any:
        return await asyncio.get_running_loop().getaddrinfo(host, 80)

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(look_up("localhost"))
        for address in ("192.0.2.1", "0x7f.1", "::1"):
            assert runner.run(look_up(address)), "an address needs no network, however it is written"
        with pytest.raises(LeavesTheMachine, match=r"example\.org"):
            runner.run(look_up("example.org"))


@pytest.mark.parametrize("loop", LOOPS)
def test_event_loops_reach_loopback(loop: Any) -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


def test_each_test_has_a_migrated_database_without_rows(migrated_url: str) -> None:
    engine, _ = dialect.engine(migrated_url)
    with engine.connect() as connection:
        more = sqlite_metadata if engine.dialect.name == "sqlite" else MetaData()
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, *more.tables, "alembic_version"}
        for table in (*metadata.sorted_tables, *more.sorted_tables):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0, table.name
    engine.dispose()


@pytest.mark.parametrize("round_", [1, 2])
def test_copies_of_a_migrated_database_are_apart(migrated_url: str, round_: int) -> None:
    engine, _ = dialect.engine(migrated_url)
    with engine.connect() as connection:
        assert "left_behind" not in inspect(connection).get_table_names()
        connection.execute(text("CREATE TABLE left_behind (id INTEGER)"))
    engine.dispose()


@pytest.mark.parametrize("round_", [1, 2])
def test_rows_that_a_test_leaves_behind_are_gone_for_the_next(emptied_url: str, round_: int) -> None:
    engine, _ = dialect.engine(emptied_url)
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0, table.name
        connection.execute(text("INSERT INTO balances VALUES (1, 2)"))
        connection.execute(text("INSERT INTO epochs VALUES ('access', 1)"))
    engine.dispose()


def test_a_database_is_lent_again_unless_more_than_rows_was_changed(postgres_url: str, postgres_template: str) -> None:
    stock = postgres.Stock(postgres_url, postgres_template)
    lent = []
    for statement in ("INSERT INTO epochs VALUES ('access', 1)", "ALTER TABLE epochs ADD COLUMN more TEXT", "SELECT 1"):
        with stock.lent() as url, psycopg.connect(url) as connection:
            connection.execute(statement)
            lent.append(url)
    stock.close()
    assert lent[0] == lent[1] != lent[2]


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program_is_a_skip_and_in_continuous_integration_a_failure(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="not installed: no-such-program or no-such-fork"):
        installed.program("no-such-program", "no-such-fork")
    assert installed.program("no-such-program", "sh").endswith("/sh")
