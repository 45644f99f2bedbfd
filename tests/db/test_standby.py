"""The address of the database leads to a standby for a while: nobody stays there."""

import asyncio
import threading

import pytest
from sqlalchemy import make_url

from heliograph import doctor
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.db.tables import epochs
from heliograph.errors import DatabaseAway
from support import postgres
from support.proxy import Proxy, proxy
from support.standby import standby

READERS = 3


def put(tx: Tx, name: str) -> None:
    tx.execute(epochs.insert().values(name=name, value=1))


@pytest.mark.slow
def test_what_was_led_to_a_standby_comes_back(postgres_url: str, postgres_template: str) -> None:
    """Writing is refused there, and works again as soon as the address is right; and no reader goes on seeing the past,
    though nobody closes its connection.
    """
    with postgres.database(postgres_url, postgres_template) as url, standby(postgres_url) as copy:
        with proxy(url) as way:
            asyncio.run(_scenario(way, way.url(url), url, copy))
        found = doctor._database(make_url(copy).set(database=make_url(url).database).render_as_string())
        assert not found[0].fine
        assert "only reads" in found[0].detail


async def _scenario(way: Proxy, through: str, primary: str, copy: str) -> None:
    database = Database(through, readers=READERS)
    await database.write(lambda tx: put(tx, "before"))
    way.lead_to(copy)
    way.hang_up()
    with pytest.raises(DatabaseAway):
        await database.write(lambda tx: put(tx, "no"))
    assert not await database.ready()
    async with asyncio.timeout(30):
        while await _seen(database) != [{"before"}] * READERS:  # noqa: ASYNC110 - the copy follows when it can
            await asyncio.sleep(0.05)
    way.lead_to(primary)
    async with asyncio.timeout(30):
        while not await database.ready():  # noqa: ASYNC110 - a database tells nobody that it is back
            await asyncio.sleep(0.05)
    await database.write(lambda tx: put(tx, "after"))
    assert await _seen(database) == [{"before", "after"}] * READERS
    await database.close()


async def _seen(database: Database) -> list[set[str]]:
    """What each of the readers sees."""
    meet = threading.Barrier(READERS)

    def work(tx: Tx) -> set[str]:
        meet.wait(30)
        return {row[0] for row in tx.driver("SELECT name FROM epochs").fetchall()}

    return list(await asyncio.gather(*(database.read(work) for _ in range(READERS))))
