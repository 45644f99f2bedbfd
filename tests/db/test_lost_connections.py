"""PostgreSQL is started again, stands still, only reads or has no room: nobody waits for long, and it passes."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import IntegrityError

from heliograph.db import dialect, postgres
from heliograph.db.database import Database
from heliograph.db.engine import Connector, Tx
from heliograph.db.tables import epochs
from heliograph.errors import DatabaseAway
from support import postgres as servers
from support.proxy import Proxy, proxy

READERS = 4


@pytest.fixture
def url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    with servers.database(postgres_url, postgres_template) as made:
        yield made


@pytest.fixture
def way(url: str) -> Iterator[Proxy]:
    with proxy(url) as made:
        yield made


def admin(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def restart(url: str) -> None:
    """What clients see of it: every session of the database ends."""
    admin(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def put(tx: Tx, name: str) -> str:
    tx.execute(epochs.insert().values(name=name, value=1))
    return name


def names(tx: Tx) -> set[str]:
    return {row[0] for row in tx.driver("SELECT name FROM epochs").fetchall()}


def run(url: str, scenario: Callable[[Database], Awaitable[None]]) -> None:
    async def whole() -> None:
        database = Database(url, readers=READERS)
        try:
            async with asyncio.timeout(120):
                await scenario(database)
        finally:
            await database.close()

    asyncio.run(whole())


async def read_in_every_thread(database: Database) -> None:
    meet = threading.Barrier(READERS)

    def work(tx: Tx) -> int:
        meet.wait(30)
        return int(tx.driver("SELECT 1").fetchone()[0])

    assert await asyncio.gather(*(database.read(work) for _ in range(READERS))) == [1] * READERS


async def until_ready(database: Database) -> None:
    async with asyncio.timeout(60):
        while not await database.ready():  # noqa: ASYNC110 - a database tells nobody that it is back
            await asyncio.sleep(0.05)


def test_a_restart_while_idle_is_not_noticed(url: str) -> None:
    """Neither by the first write nor by the first read of any thread, nor by a statement outside of transactions."""

    async def scenario(database: Database) -> None:
        connector = Connector(url)
        assert connector.run("SELECT 1")[0] == 1
        for number in range(3):
            await database.write(lambda tx, number=number: put(tx, f"before {number}"))
            await read_in_every_thread(database)
            restart(url)
            assert connector.run("SELECT 1")[0] == 1
            await database.write(lambda tx, number=number: put(tx, f"after {number}"))
            await read_in_every_thread(database)
        connector.close()

    run(url, scenario)


def test_connections_that_were_hung_up_are_not_noticed(url: str, way: Proxy) -> None:
    async def scenario(database: Database) -> None:
        await database.write(lambda tx: put(tx, "before"))
        await read_in_every_thread(database)
        way.hang_up()
        assert await database.write(lambda tx: put(tx, "after")) == "after"
        await read_in_every_thread(database)

    run(way.url(url), scenario)


def test_a_batch_that_loses_its_connection_is_run_once_more(url: str) -> None:
    """Nothing of it was committed, so nothing is done twice."""
    tries: list[str] = []

    def work(tx: Tx, name: str) -> str:
        tries.append(name)
        put(tx, name)
        if len(tries) == 1:
            restart(url)
        return put(tx, name + " too")

    async def scenario(database: Database) -> None:
        assert await asyncio.gather(*(database.write(lambda tx, n=n: work(tx, n)) for n in "ab")) == ["a too", "b too"]
        assert tries[0] == "a"
        assert tries.count("a") == 2
        assert await database.read(names) == {"a", "a too", "b", "b too"}

    run(url, scenario)


def test_a_server_that_is_not_there_is_told_at_once_and_found_again(url: str) -> None:
    """Who asks while it is away gets DatabaseAway, and nobody waits for the attempts of the others."""

    async def scenario(database: Database) -> None:
        await database.write(lambda tx: put(tx, "before"))
        admin(url, "SELECT 1")
        name = make_url(url).database
        with psycopg.connect(make_url(url).set(database="postgres").render_as_string(), autocommit=True) as other:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            asked = [database.write(lambda tx: put(tx, "lost")), *(database.read(names) for _ in range(20))]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(answer) for answer in answers} == {DatabaseAway}
            assert {(one.status, one.headers["Retry-After"]) for one in answers} == {(503, "5")}  # type: ignore[union-attr]
            assert not await database.ready()
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await until_ready(database)
        await database.write(lambda tx: put(tx, "after"))
        assert await database.read(names) == {"before", "after"}

    run(url, scenario)


def test_frames_that_vanish_are_noticed_and_nothing_is_done_later(url: str, way: Proxy) -> None:
    """The commit is on its way when the network goes: the caller gets an error within 10 seconds. When the network is
    back the commit must not arrive.
    """

    stopped = threading.Event()

    def work(tx: Tx) -> None:
        put(tx, "lost")
        way.stop()
        stopped.set()

    async def scenario(database: Database) -> None:
        await database.write(lambda tx: put(tx, "before"))
        await read_in_every_thread(database)
        lost = database.write(work)
        await asyncio.to_thread(stopped.wait, 10)
        began = time.monotonic()
        answers = await asyncio.gather(
            lost,
            *(database.write(lambda tx: put(tx, "waits")) for _ in range(3)),
            *(database.read(names) for _ in range(3 * READERS)),
            return_exceptions=True,
        )
        assert time.monotonic() - began < 20, "nominally 7; the rest is for a busy machine"
        assert {type(answer) for answer in answers} == {DatabaseAway}
        assert not await database.ready()
        way.go()
        await until_ready(database)
        assert await database.read(names) == {"before"}

    run(way.url(url), scenario)


def test_a_server_that_is_only_slow_gets_its_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SUSPICIOUS", 0.3)

    async def scenario(database: Database) -> None:
        sleeping = "SELECT 1 FROM pg_sleep(1.5)"
        found = await asyncio.gather(
            database.read(lambda tx: tx.driver(sleeping).fetchone()),
            database.write(lambda tx: tx.driver(sleeping).fetchone()),
        )
        assert found == [(1,), (1,)]

    run(url, scenario)


def test_a_session_that_waits_for_us_is_lost(url: str, way: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is there, but this one connection leads nowhere: a firewall has forgotten it."""
    monkeypatch.setattr(postgres, "SUSPICIOUS", 0.3)

    async def scenario(database: Database) -> None:
        await database.read(names)
        way.stop()
        monkeypatch.setattr(postgres, "_is_at_work", lambda parameters, pid: at_work(reachable(parameters), pid))
        with pytest.raises(DatabaseAway):
            await database.read(names)
        way.go()
        await until_ready(database)

    at_work = postgres._is_at_work
    plain = make_url(url)

    def reachable(parameters: dict[str, object]) -> dict[str, object]:
        return {**parameters, "host": plain.query["host"], "port": 5432}

    run(way.url(url), scenario)


def test_a_server_that_only_reads_is_left(url: str) -> None:
    """By a connection that is open when it begins and by one that is made meanwhile; reading goes on."""
    name = make_url(url).database

    async def scenario(database: Database) -> None:
        await database.write(lambda tx: tx.driver("SET default_transaction_read_only = on"))
        assert await database.write(lambda tx: put(tx, "another connection can")) == "another connection can"
        admin(url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        restart(url)
        for _ in range(2):
            with pytest.raises(DatabaseAway):
                await database.write(lambda tx: put(tx, "no"))
            assert not await database.ready()
        assert await database.read(names) == {"another connection can"}
        admin(url, f'SET transaction_read_only = off; ALTER DATABASE "{name}" RESET default_transaction_read_only')
        await until_ready(database)
        await database.write(lambda tx: put(tx, "after"))

    run(url, scenario)


def test_a_server_without_room_refuses_who_needs_it(url: str) -> None:
    """The others in the same transaction are served; it is not ready until something can be written."""
    trouble = (
        "CREATE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN IF NEW.name LIKE 'large%' THEN"
        " RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
    )
    admin(url, trouble)
    admin(url, "CREATE TRIGGER full_disk BEFORE INSERT ON epochs FOR EACH ROW EXECUTE FUNCTION full_disk()")

    async def scenario(database: Database) -> None:
        go = threading.Event()
        holding = database.write(lambda tx: go.wait(10))
        pieces = [database.write(lambda tx, name=name: put(tx, name)) for name in ("small", "large", "other")]
        go.set()
        assert await holding
        small, large, other = await asyncio.gather(*pieces, return_exceptions=True)
        assert (small, other) == ("small", "other")
        assert isinstance(large, DatabaseAway)
        assert not await database.ready()
        await until_ready(database)
        assert await database.read(names) == {"small", "other"}

    run(url, scenario)


def test_defects_stay_what_they_are(migrated_url: str) -> None:
    async def scenario(database: Database) -> None:
        await database.write(lambda tx: put(tx, "a"))
        with pytest.raises(IntegrityError):
            await database.write(lambda tx: put(tx, "a"))
        wrong = "SELECT nothing FROM nowhere"
        for defect in (lambda tx: tx.connection.exec_driver_sql(wrong), lambda tx: tx.driver(wrong)):
            for answer in await asyncio.gather(database.write(defect), database.read(defect), return_exceptions=True):
                assert isinstance(answer, Exception)
                assert not isinstance(answer, DatabaseAway)
        with pytest.raises(Exception, match=r"read-?only"):  # a reader that writes
            await database.read(lambda tx: put(tx, "b"))
        assert await database.ready()

    run(migrated_url, scenario)


def test_a_row_that_another_process_holds_for_long_delays_its_own_piece_only(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "WRITING", ("lock_timeout=300ms",))

    async def scenario(database: Database) -> None:
        await database.write(lambda tx: put(tx, "held"))
        with psycopg.connect(url) as other:
            other.execute("UPDATE epochs SET value = 2")
            free, held = await asyncio.gather(
                database.write(lambda tx: put(tx, "free")),
                database.write(lambda tx: tx.driver("UPDATE epochs SET value = 3 WHERE name = 'held'")),
                return_exceptions=True,
            )
            assert free == "free"
            assert isinstance(held, DatabaseAway)
            assert await database.ready()

    run(url, scenario)


def test_a_url_may_have_time_outs_of_its_own(url: str) -> None:
    parsed = make_url(url).update_query_dict({"connect_timeout": "77", "options": "-c statement_timeout=88s"})
    arguments = dialect.PostgreSQL().connect_args(parsed, readonly=True)
    assert "connect_timeout" not in arguments
    connector = Connector(parsed.render_as_string(hide_password=False), readonly=True)
    assert connector.run("SHOW statement_timeout")[0] == "88s"
    assert connector.run("SHOW plan_cache_mode")[0] == "force_custom_plan"
    connector.close()
