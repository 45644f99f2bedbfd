"""Long messages that arrive in parts: acknowledged ones are durable, and all workers join the same."""

import asyncio
import contextlib
import math
import multiprocessing
import random
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import pytest

from heliograph.clock import HOUR
from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.messaging import parts
from heliograph.messaging.events import StoredEvents
from heliograph.transports.base import Inbound, Part
from heliograph.transports.options import SmppOptions
from heliograph.transports.smpp.inbox import MOST_INCOMPLETE, PARTS_AT_ONCE
from heliograph.transports.smpp.parts import whole
from heliograph.transports.smpp.transport import SmppTransport
from support import quiet
from support.clock import Clock
from support.server import Api, Running
from transports.wire import QUICK, Carrier, deliver

CUSTOMER, OTHER, OURS = "+61491570156", "+61491570157", "+61481074190"
JOIN = partial(whole, default="gsm")
MANY = 1000


def part(number: int, text: str, *, of: int = 2, **more: Any) -> Part:
    usual = Part("carrier", CUSTOMER, OURS, 7, of, number, 0, text.encode(), 1_800_000_000)
    return msgspec.structs.replace(usual, **more)


def ours(**calls: Any) -> Any:
    """Whatever arrives is for one account."""
    return quiet.hooks(owner=lambda tx, number: (1, 0), **calls)


def bodies(tx: Tx) -> list[str]:
    return [row[0] for row in tx.driver("SELECT body FROM inbound ORDER BY inbound_id").fetchall()]


def counts(tx: Tx) -> tuple[int, int]:
    """Messages on their way or known to have been whole, and their parts."""
    text = "SELECT (SELECT count(*) FROM long_inbound), (SELECT count(*) FROM inbound_parts)"
    return tuple(tx.driver(text).fetchone())


class Worker:
    """A process of the server, as far as parts go."""

    def __init__(self, url: str, **calls: Any) -> None:
        self.clock = Clock()
        self.database = Database(url, clock=self.clock)
        self.events = StoredEvents(self.database, ours(**calls))

    async def takes(self, *arriving: Part) -> None:
        for one in arriving:
            await self.events.on_part(one, JOIN)

    async def gives_up(self, age: float = 0, most: int = MANY) -> None:
        await self.events.on_overdue_parts("carrier", age, most, JOIN)

    async def heard(self) -> list[str]:
        return await self.database.read(bodies)


@contextlib.asynccontextmanager
async def workers(url: str, count: int = 1, **calls: Any) -> AsyncIterator[Sequence[Worker]]:
    made = [Worker(url, **calls) for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            await one.database.close()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 120))


def takes_and_waits(url: str, acknowledged: Connection) -> None:
    """A process that acknowledges one part, and then has to be killed."""

    async def scenario() -> None:
        await Worker(url).takes(part(1, "Hello "))
        acknowledged.send("durable")
        await asyncio.Event().wait()

    asyncio.run(scenario())


def test_a_process_that_is_killed_between_two_parts_loses_none(migrated_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=takes_and_waits, args=(migrated_url, there))
    process.start()
    assert here.poll(60), "the part was not stored"
    process.kill()
    process.join()

    async def scenario() -> None:
        async with workers(migrated_url) as (worker,):
            assert await worker.heard() == []
            await worker.takes(part(2, "you"))
            assert await worker.heard() == ["Hello you"]

    run(scenario())


def test_parts_that_two_workers_store_at_one_moment_are_joined_once(migrated_url: str) -> None:
    """The second waits for the commit of the first, and then sees its part."""

    def somebody_waits(tx: Tx) -> bool:
        return bool(tx.driver("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())

    async def scenario() -> None:
        async with workers(migrated_url, 2) as (one, other):
            await one.takes(part(1, "a", of=3))
            inside = asyncio.Event()
            loop = asyncio.get_running_loop()

            def stores_and_stays(tx: Tx) -> None:
                parts.store(tx, [(part(2, "b", of=3), JOIN)], ours())
                loop.call_soon_threadsafe(inside.set)
                end = time.monotonic() + 60
                while tx.dialect.name == "postgresql" and not somebody_waits(tx):
                    assert time.monotonic() < end, "the other worker does not wait"

            first = one.database.write(stores_and_stays)
            await inside.wait()
            await asyncio.gather(first, other.takes(part(3, "c", of=3)))
            assert await one.heard() == ["abc"]

    run(scenario())


def test_parts_spread_over_two_workers_in_any_order(migrated_url: str) -> None:
    async def scenario() -> None:
        arriving = [
            part(number, f"{reference}-{number} ", of=3, reference=reference)
            for reference in range(60)
            for number in (1, 2, 3)
        ]
        random.shuffle(arriving)
        async with workers(migrated_url, 2) as both:
            given = zip(arriving, (both[random.random() < 0.5] for _ in arriving), strict=True)
            await asyncio.gather(*(worker.events.on_part(one, JOIN) for one, worker in given))
            expected = sorted(f"{one}-1 {one}-2 {one}-3 " for one in range(60))
            assert sorted(await both[0].heard()) == expected

    run(scenario())


def test_parts_that_wait_together_are_stored_together(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []
    real = parts.store

    def counted(tx: Tx, arrived: Sequence[Any], hooks: Any) -> list[Inbound | None]:
        together.append(len(arrived))
        return real(tx, arrived, hooks)

    async def scenario() -> None:
        monkeypatch.setattr(parts, "store", counted)
        async with workers(migrated_url) as (worker,):
            busy = threading.Event()
            held = worker.database.write(lambda tx: busy.wait(60))
            waiting = [asyncio.create_task(worker.takes(part(1, "a", reference=one))) for one in range(PARTS_AT_ONCE)]
            asyncio.get_running_loop().call_soon(busy.set)
            await asyncio.gather(held, *waiting)
            assert together == [PARTS_AT_ONCE]

    run(scenario())


def test_one_message_is_given_up_by_one_worker(migrated_url: str) -> None:
    async def scenario() -> None:
        async with workers(migrated_url, 2) as both:
            await both[0].takes(*(part(1, str(number), reference=number) for number in range(20)))
            await asyncio.gather(*(worker.gives_up() for worker in both))
            assert sorted(await both[0].heard()) == sorted(map(str, range(20)))

    run(scenario())


def test_a_repeated_part_replaces_the_first_one(migrated_url: str) -> None:
    async def scenario() -> None:
        async with workers(migrated_url) as (worker,):
            await worker.takes(part(1, "old "), part(1, "new "), part(2, "text"))
            assert await worker.heard() == ["new text"]

    run(scenario())


def test_a_part_of_a_whole_that_comes_again_is_no_message(migrated_url: str) -> None:
    """A carrier that missed an acknowledgement sends it alone, perhaps to another worker."""

    async def scenario() -> None:
        async with workers(migrated_url, 2) as (one, other):
            await one.takes(part(1, "a"), part(2, "b"))
            await other.takes(part(2, "b"))
            await other.gives_up()
            assert await one.heard() == ["ab"]
            assert await one.database.read(counts) == (1, 2), "what was whole is still known"

    run(scenario())


def test_another_text_under_the_same_reference_is_a_message(migrated_url: str) -> None:
    async def scenario() -> None:
        async with workers(migrated_url) as (worker,):
            await worker.takes(part(1, "a"), part(2, "b"), part(2, "new"))
            await worker.gives_up()
            await worker.takes(part(1, "a"), part(2, "b"))
            assert await worker.heard() == ["ab", "new", "ab"]

    run(scenario())


def test_messages_do_not_mix_when_all_their_parts_wait_together(migrated_url: str) -> None:
    """Their sender, recipient, carrier, reference or number of parts tells them apart; a used reference is free."""
    kinds = [
        {},
        {"sender": OTHER},
        {"recipient": OTHER},
        {"transport": "another"},
        {"reference": 8},
        {"of": 2},
        {},
    ]
    arriving = [part(number, f"{kind}{number} ", **more) for kind, more in enumerate(kinds) for number in (1, 2)]

    async def scenario() -> None:
        async with workers(migrated_url) as (worker,):
            given = [(one, JOIN) for one in arriving]
            await worker.database.write(lambda tx: parts.store(tx, given, ours()))
            assert await worker.heard() == [f"{kind}1 {kind}2 " for kind in range(len(kinds))]

    run(scenario())


def test_what_is_overdue_is_stored_as_far_as_it_came(migrated_url: str) -> None:
    async def scenario() -> None:
        async with workers(migrated_url) as (worker,):
            await worker.takes(part(1, "another carrier's", transport="another"), part(3, "c", of=3))
            worker.clock.now += 1
            await worker.takes(part(1, "x"))
            worker.clock.now += 50
            await worker.takes(part(1, "a", of=3))
            await worker.gives_up(age=52)
            assert await worker.heard() == []
            await worker.gives_up(age=51)
            assert await worker.heard() == ["ac"]
            await worker.gives_up(age=math.inf, most=0)
            assert await worker.heard() == ["ac", "x"]
            assert await worker.database.read(counts) == (1, 1)

    run(scenario())


def test_the_last_part_is_stored_with_its_message_or_not_at_all(migrated_url: str) -> None:
    """And another message that waits at the same moment is not held back."""
    broken = [True]

    def rules(tx: Tx, arrived: Any, original: Any) -> bool:
        if broken and arrived.body == "ab":
            raise RuntimeError("a rule is broken")
        return False

    async def scenario() -> None:
        async with workers(migrated_url, on_inbound=rules) as (worker,):
            await worker.takes(part(1, "a"), part(1, "x", reference=8))
            ends = (part(2, "b"), part(2, "y", reference=8))
            failed, stored = await asyncio.gather(
                *(worker.events.on_part(one, JOIN) for one in ends), return_exceptions=True
            )
            assert (type(failed), stored) == (RuntimeError, None)
            assert await worker.heard() == ["xy"]
            broken.clear()
            await worker.takes(ends[0])
            assert await worker.heard() == ["xy", "ab"]

    run(scenario())


def test_one_that_cannot_be_given_up_does_not_keep_the_others(migrated_url: str) -> None:
    def rules(tx: Tx, arrived: Any, original: Any) -> bool:
        if arrived.body == "a":
            raise RuntimeError("a rule is broken")
        return False

    async def scenario() -> None:
        async with workers(migrated_url, on_inbound=rules) as (worker,):
            await worker.takes(part(1, "a"), part(1, "x", reference=8))
            with pytest.raises(RuntimeError, match="a rule is broken"):
                await worker.gives_up()
            assert await worker.heard() == ["x"]
            assert await worker.database.read(counts) == (1, 1), "it is kept"

    run(scenario())


def test_a_long_message_for_nobody_is_taken_and_leaves_nothing_behind(migrated_url: str) -> None:
    async def scenario() -> None:
        database = Database(migrated_url)
        events = StoredEvents(database, quiet.hooks())
        for number, text in ((1, "a"), (2, "b")):
            await events.on_part(part(number, text), JOIN)
        assert await database.read(bodies) == []
        await events.on_overdue_parts("carrier", 0, 0, JOIN)
        assert await database.read(bodies) == []
        await database.close()

    run(scenario())


def test_parts_are_forgotten(migrated_url: str) -> None:
    """Those of whole messages after an hour; those that no transport reads any more when all else expires, too."""

    async def scenario() -> None:
        async with workers(migrated_url) as (worker,):
            worker.clock.now = 1_800_000_000.0

            async def forgets(limit: int = 500) -> bool:
                return await worker.database.write(lambda tx: parts.forget(tx, 72.0 * HOUR, limit))

            await worker.takes(*(part(number, "a", reference=one) for one in (1, 2) for number in (1, 2)))
            await worker.takes(part(1, "orphan", reference=3))
            assert (await forgets(), await worker.database.read(counts)) == (False, (3, 5))
            worker.clock.now += HOUR + 1
            assert (await forgets(limit=1), await worker.database.read(counts)) == (True, (2, 3))
            assert (await forgets(limit=2), await worker.database.read(counts)) == (False, (1, 1))
            worker.clock.now += 71 * HOUR
            assert (await forgets(), await worker.database.read(counts)) == (False, (0, 0))

    run(scenario())


def test_a_carrier_with_ten_thousand_references_is_bounded_and_nothing_is_lost(migrated_url: str) -> None:
    async def scenario() -> None:
        count = 10_000 if migrated_url.startswith("sqlite") else 1500  # the same, and a round trip for each statement
        async with workers(migrated_url) as (worker,), Carrier() as far:
            transport = SmppTransport("carrier", SmppOptions("127.0.0.1", far.port), timing=QUICK)
            opening = asyncio.create_task(transport.open(worker.events))
            wire = await far.connection()
            await opening
            for number in range(count):
                header = b"\x06\x08\x04" + number.to_bytes(2, "big") + b"\x02\x01"
                wire.write(deliver(header + b"%d" % number, 0x40, number + 1))
            assert {(await wire.read()).status for _ in range(count)} == {0}
            await transport.close()
            kept, _ = await worker.database.read(counts)
            assert kept <= MOST_INCOMPLETE + 2 * PARTS_AT_ONCE
            heard = await worker.heard()
            assert len(heard) == len(set(heard)) == count - kept

    run(scenario())


def test_stop_in_two_parts_is_heard(server: Running, api: Api) -> None:
    """By the rule that every account is born with: it looks at the whole text."""
    api.send(CUSTOMER, "Hello")
    sender = api.get("/sms/history?limit=1")["data"][0]["from"]
    events = StoredEvents(server.house.database, server.house.hooks)
    for number, text in ((1, "ST"), (2, "OP")):
        arrived = part(number, text, recipient=sender)
        server.call(lambda arrived=arrived: events.on_part(arrived, JOIN))
    opted_out = server.read(
        lambda tx: tx.driver(
            "SELECT count(*) FROM contacts c JOIN contact_lists l ON l.list_id = c.list_id"
            " WHERE l.user_id = ? AND l.is_opt_out = 1 AND c.phone_number = ?",
            [api.user_id, CUSTOMER],
        ).fetchone()
    )
    assert tuple(opted_out) == (1,)


def test_what_the_program_joins_is_what_came() -> None:
    """The time is that of the last part to come, whichever it was."""
    came = [part(1, "Hello ", at=7), part(2, "you", at=5)]
    assert JOIN(came) == Inbound("carrier", "sms", CUSTOMER, OURS, "Hello you", 7)
