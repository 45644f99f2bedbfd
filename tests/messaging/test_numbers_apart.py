"""The throttle and replies find what was sent to a number, wherever the index over numbers has it by then (SQLite)."""

import asyncio

import pytest

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.db import reached
from heliograph.db.database import Database
from heliograph.messaging import accept, inbound
from heliograph.messaging.channel import Accepted, Order
from heliograph.transports.base import Inbound
from support import quiet

SENDER = "+61481074190"


@pytest.fixture
def migrated_url(migrated_url: str) -> str:
    if not migrated_url.startswith("sqlite"):
        pytest.skip("PostgreSQL has one index, in which other tests look")
    return migrated_url


def test_what_was_sent_to_a_number_is_known_in_each_part_of_the_index(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reached, "MOST", 20)
    monkeypatch.setattr(reached, "STEP", 10)
    monkeypatch.setattr(reached, "STEPS", 1)

    async def scenario() -> None:
        database = Database(migrated_url, clock=lambda: 1_800_000_000.0, alone=True)
        database._listeners.clear()  # pieces are run below, one by one
        new = NewAccount(username="jane", email="j@example.com", phone="", webhook_secret="s", credit_micros=10**9)
        user = await database.write(lambda tx: account.create(tx, Vault(b"secret"), new))
        who = await database.read(lambda tx: account.by_user(tx, user))
        assert who is not None

        async def send(numbers: range) -> list[Accepted]:
            drafts = [quiet.draft(f"+614915700{number:02}", sender=SENDER, body="Hello") for number in numbers]
            order = Order(principal=who, channel=quiet.SMS, request_id="r", drafts=drafts, throttle=60)
            ((*fates,),) = await database.write(lambda tx: accept.accept(tx, [order]))
            return fates

        sent = await send(range(20))
        assert [await database.write(reached.merge) for _ in range(2)] == [True, True]
        sent += await send(range(20, 25))
        sizes = [f"(SELECT COUNT(*) FROM {part})" for part in ("reached", "tail0", "tail1")]
        found = await database.write(lambda tx: tx.driver(f"SELECT {', '.join(sizes)}").fetchone())
        assert found == (10, 10, 5)
        assert {fate.status for fate in sent} == {"SUCCESS"}
        assert [fate.status for fate in await send(range(26))] == ["THROTTLED"] * 25 + ["SUCCESS"]
        for fate in sent:
            reply = Inbound("t", "sms", fate.draft.recipient, SENDER, "Hi", 0)
            row = await database.write(lambda tx, reply=reply: inbound.by_number(tx, reply, None))  # type: ignore[misc]
            assert row is not None
            assert row.message_id == fate.message_id
        await database.close()

    asyncio.run(scenario())
