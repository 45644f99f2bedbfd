"""An account's files share a number of bytes: counted exactly, whoever stores at the same time, and freed in time."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from contacts.test_imports import ended, made, site, start
from files.test_attach import take
from files.test_uploads import moved_clock
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import counters, files
from heliograph.files import store
from support import documents, postgres
from support.server import Api, Running

PICTURE = documents.saved(documents.picture(200, 200), "PNG")
QUOTA = 100_000


def put(api: Api, status: int = 200) -> Any:
    body = {"content": base64.b64encode(PICTURE).decode()}
    answer = api.call("POST", "/uploads?convert=mms", body)
    assert answer.status == status, answer.raw
    return answer.body


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that lets an account store a few pictures."""
    folder = tmp_path_factory.mktemp("small")
    if request.param == "sqlite":
        running = Running(folder, storage_quota=QUOTA)
        yield running
        running.stop()
        return
    with postgres.database(request.getfixturevalue("postgres_url")) as url:
        running = Running(folder, url, storage_quota=QUOTA)
        yield running
        running.stop()


@pytest.fixture
def shop(small: Running) -> Iterator[Api]:
    yield small.account()
    small.close_clients()


def stored(tx: Tx, user_id: int) -> int:
    """What the counter says, which must be what there is."""
    count = tx.scalar(select(counters.c["count"]).where(counters.c.user_id == user_id, counters.c.name == store.STORED))
    there = tx.scalar(select(func.coalesce(func.sum(files.c.size), 0)).where(files.c.user_id == user_id))
    assert int(count or 0) == int(there)
    return int(there)


def used(api: Api) -> int:
    found: int = api.server.read(lambda tx: stored(tx, api.user_id))
    return found


def fill(api: Api) -> dict[str, Any]:
    """Upload until no more fits; the first upload, and what was said at last."""
    first = put(api)["data"]
    each = used(api)
    for _ in range(QUOTA // each - 1):
        put(api)
    assert QUOTA - each < used(api) <= QUOTA
    return {"first": first, "refused": put(api, 400), "each": each}


def test_what_does_not_fit_is_refused_and_leaves_nothing(shop: Api) -> None:
    filled = fill(shop)
    before = used(shop)
    sentence = (
        f"There is no room for this file of {filled['each']:,} bytes: the account's files may have 100,000 bytes"
        f" together, and those that have not expired have {before:,}."
    )
    assert filled["refused"]["response_msg"] == sentence
    assert filled["refused"]["data"] == {"content": sentence}
    assert len(list((shop.server.options.data / "files").rglob("*-*"))) >= QUOTA // filled["each"]
    put(shop.server.account())
    assert used(shop) == before


def test_files_that_are_over_make_room(shop: Api) -> None:
    """Also before anybody has swept them away."""
    filled = fill(shop)
    life = filled["first"]["date_delete"] - filled["first"]["date_added"]
    with moved_clock(shop.server, life + 60):
        put(shop)
    assert used(shop) == filled["each"]


def test_a_file_that_a_message_keeps_takes_its_room_for_as_long(shop: Api) -> None:
    filled = fill(shop)
    key = filled["first"]["file_name"].partition(".")[0]
    far = filled["first"]["date_delete"] + 10_000
    assert shop.server.write(lambda tx: store.keep(tx, shop.user_id, key, far))
    with moved_clock(shop.server, 5000):
        put(shop)
        assert used(shop) == 2 * filled["each"]


def test_an_attachment_counts(shop: Api) -> None:
    filled = fill(shop)
    with site(PICTURE) as url, pytest.raises(store.Full, match="There is no room for this file"):
        take(shop, url, "mms")
    with moved_clock(shop.server, 5000), site(PICTURE) as url:
        taken = take(shop, url, "mms")
    assert used(shop) == taken.size == filled["each"]


def test_an_import_counts_while_it_runs(shop: Api) -> None:
    """Its copy is gone at its end; the file of its refused rows stays."""
    list_id = made(shop)
    row = b"+61491570006,Ann\n"
    with site(row * (QUOTA // len(row) + 1)) as url:
        refused = ended(shop, list_id, start(shop, list_id, url, ["phone", "first_name"]))
    assert (refused["state"], refused["rows_added"], used(shop)) == ("failed", 0, 0)
    assert refused["error"].startswith("There is no room for this file of 100,0")
    with site(row * 1000 + b"nonsense,Bea\n") as url:
        done = ended(shop, list_id, start(shop, list_id, url, ["phone", "first_name"]))
    assert (done["state"], done["rows_added"], done["rows_refused"]) == ("done", 1, 1)
    assert 0 < used(shop) < 500


def test_what_the_house_makes_counts_but_is_not_refused(shop: Api) -> None:
    """Exports and invoices: their size is known at their end."""
    fill(shop)
    before = used(shop)
    shop.get("/sms/history/export?filename=all.csv")
    assert used(shop) > before


def test_a_store_that_is_away_takes_no_room(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(file_id: str, content: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(shop.server.house.files, "put", away)
    put(shop, 503)
    assert used(shop) == 0


def test_many_at_once_do_not_get_more_than_one_after_the_other(shop: Api) -> None:
    put(shop)
    each = used(shop)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: attempt(shop), range(2 * QUOTA // each)))
    assert answers.count(200) == QUOTA // each - 1
    assert set(answers) == {200, 400}
    assert used(shop) == each * (QUOTA // each)


def attempt(api: Api) -> int:
    """Over a connection of its own."""
    own = Api(api.server, api.username, api.key, api.user_id)
    try:
        return own.call("POST", "/uploads?convert=mms", {"content": base64.b64encode(PICTURE).decode()}).status
    finally:
        own.close()


def test_without_a_quota_there_is_no_limit(tmp_path: Path) -> None:
    running = Running(tmp_path, storage_quota=0)
    try:
        api = running.account()
        api.server.write(lambda tx: store.create(tx, api.user_id, "a", "b", 60, size=2**40))
        put(api)
    finally:
        running.close_clients()
        running.stop()


# The count itself

Work = Callable[[Tx], Any]


def run(url: str, scenario: Callable[[Database], Any]) -> None:
    async def go() -> None:
        database = Database(url)
        try:
            await scenario(database)
        finally:
            await database.close()

    asyncio.run(go())


def test_files_from_before_the_count_are_in_it(migrated_url: str) -> None:
    """It is made when it is first needed, whatever that is."""

    async def scenario(database: Database) -> None:
        def older(tx: Tx, user_id: int, number: int) -> str:
            facts = {"name": "a", "content_type": "b", "created_at": tx.now, "expires_at": tx.now + 600}
            tx.execute(files.insert().values(file_id=f"F{number}", user_id=user_id, size=100, **facts))
            return f"F{number}"

        for user_id in (1, 2, 3):
            await database.write(lambda tx, user=user_id: [older(tx, user, user * 10 + at) for at in range(3)])  # type: ignore[misc]
        await database.write(lambda tx: store.create(tx, 1, "a", "b", 60, size=50, quota=350))
        await database.write(lambda tx: store.discard(tx, ["F20", "F21", "F10", "F99"]))
        await database.write(lambda tx: store.finish(tx, "F30", 70))
        await database.write(lambda tx: store.finish(tx, "F31", 0))
        found = [await database.read(lambda tx, user=user: stored(tx, user)) for user in (1, 2, 3)]  # type: ignore[misc]
        assert found == [250, 100, 170]
        with pytest.raises(store.Full):
            await database.write(lambda tx: store.create(tx, 1, "a", "b", 60, size=101, quota=350))
        assert await database.read(lambda tx: stored(tx, 1)) == 250

    run(migrated_url, scenario)


def test_a_file_that_was_forgotten_meanwhile_is_not_counted(migrated_url: str) -> None:
    async def scenario(database: Database) -> None:
        key = await database.write(lambda tx: store.create(tx, 1, "a", "b", 60, size=10))
        await database.write(lambda tx: store.discard(tx, [key]))
        await database.write(lambda tx: store.finish(tx, key, 10))
        assert await database.read(lambda tx: stored(tx, 1)) == 0
        waiting = await database.read(lambda tx: tx.driver("SELECT COUNT(*) FROM jobs").fetchone()[0])
        assert waiting == 2, "what is there is removed, also when it came late"

    run(migrated_url, scenario)


def test_two_processes_share_the_count(migrated_url: str) -> None:
    """Each with connections of its own, as on several machines: between them they never store more than there is."""
    quota, rounds = 1000, 60

    async def scenario(first: Database) -> None:
        second = Database(migrated_url)

        async def worker(database: Database, user: int) -> int:
            got = 0
            for at in range(rounds):
                try:
                    key = await database.write(lambda tx: store.create(tx, user, "a", "b", 600, size=30, quota=quota))
                    got += 1
                except store.Full:
                    continue
                if at % 3 == 0:
                    await database.write(lambda tx, key=key: store.discard(tx, [key]))  # type: ignore[misc]
                    got -= 1
                elif at % 3 == 1:
                    await database.write(lambda tx, key=key: store.finish(tx, key, 20))  # type: ignore[misc]
            return got

        try:
            databases = (first, second, first, second)
            await asyncio.gather(*(worker(one, user) for one in databases for user in (1, 2)))
            for user in (1, 2):
                assert 900 < await first.read(lambda tx, user=user: stored(tx, user)) <= quota  # type: ignore[misc]
        finally:
            await second.close()

    run(migrated_url, scenario)
