"""The tests' own tools: what they promise is what every other test rests on."""

import socket

import psycopg
import pytest
from sqlalchemy import inspect, text

from heliograph.db import dialect
from support import postgres
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


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "0.0.0.0", "example.org"])
def test_sockets_reach_nothing_else(host: str) -> None:
    with socket.socket() as client, pytest.raises(LeavesTheMachine, match=host):
        client.connect((host, 80))
    with socket.socket() as client, pytest.raises(LeavesTheMachine, match=host):
        client.connect_ex((host, 80))
