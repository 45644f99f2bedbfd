"""A clock that was ahead for one send has no say in what comes after it."""

import asyncio

from heliograph.accounts import account
from heliograph.accounts.account import NewAccount
from heliograph.accounts.vault import Vault
from heliograph.clock import DAY
from heliograph.db.database import Database
from heliograph.messaging import accept, history, message
from heliograph.messaging.channel import Accepted, Draft, Order
from support import quiet
from support.clock import Clock

AHEAD = 100 * DAY


def test_a_clock_that_was_ahead_dates_nothing_after_it(migrated_url: str) -> None:
    async def scenario() -> None:
        clock = Clock()
        database = Database(migrated_url, clock=clock, alone=True)
        new = NewAccount(username="ahead", email="a@example.com", phone="", webhook_secret="s", credit_micros=10**9)
        user = await database.write(lambda tx: account.create(tx, Vault(b"secret"), new))
        who = await database.read(lambda tx: account.by_user(tx, user))
        assert who is not None

        async def send(body: str) -> Accepted:
            draft = Draft(recipient="+61491570006", body=body, country="AU")
            order = Order(principal=who, channel=quiet.SMS, request_id="r", drafts=[draft], throttle=5)
            ((fate,),) = await database.write(lambda tx: accept.accept(tx, [order]))
            return fate

        before = await send("before")
        clock.now += AHEAD
        ahead = [await send("ahead"), await send("too")]
        clock.now -= AHEAD
        clock.now += 10
        fates = [await send(body) for body in ("before", "ahead", "after")]
        assert [fate.status for fate in fates] == ["SUCCESS", "SUCCESS", "SUCCESS"]
        now = int(clock.now)
        assert [fate.date for fate in (before, *fates)] == [now - 10, now, now, now]
        for fate in ahead:
            row = await database.read(lambda tx, fate=fate: message.find(tx, user, fate.message_id))  # type: ignore[misc]
            assert row is not None
            assert row.date == row.schedule == now - 10
        assert await database.read(lambda tx: history.between(tx, user, history.messages_of("sms"), now, now)) == (3, 6)
        due = await database.read(lambda tx: tx.driver("SELECT MAX(due_at) FROM queue").fetchone()[0])
        assert due <= clock.now
        clock.now += 1
        assert (await send("after")).status == "THROTTLED"
        await database.close()

    asyncio.run(scenario())
