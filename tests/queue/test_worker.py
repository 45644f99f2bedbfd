"""The loop of a channel: takes while there is room, sleeps until there is a reason to wake, outlives what goes wrong.

Nothing but the test wakes a loop here: its regular look is an hour away, except where the look is what a test is about.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from sqlalchemy.exc import OperationalError

from heliograph.db.engine import Tx
from heliograph.messaging import message
from heliograph.messaging.routing import Router
from heliograph.queue import worker
from heliograph.queue.worker import BATCH, ChannelLoop
from heliograph.transports.options import RouteOptions
from support import quiet, steps
from support.clock import until
from support.logs import own_logs
from support.quiet import Carrier, draft, order
from support.steps import PATIENCE, Steps

T = TypeVar("T")
SOON = 0.01
"""Seconds between two looks, where looks are what a test is about."""


@pytest.fixture
def house(emptied_url: str) -> Iterator[Steps]:
    with steps.taken(emptied_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_regular_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL", 3600.0)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch, _no_regular_looks: None) -> None:
    """The loop looks a hundred times a second."""
    monkeypatch.setattr(worker, "POLL", SOON)


class Hands:
    """Gives the loop the batches that wait, as many as it has asked for, and carries each until the test lets it end.

    `begun` has the first message of a batch when it is under way, `ended` when it was carried to its end.
    """

    def __init__(self, *waiting: str | list[str], room: int = 10) -> None:
        self.waiting = [[one] if isinstance(one, str) else one for one in waiting]
        self.places = room
        self.due: float | None = None
        self.asked: list[int] = []
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.held: dict[str, asyncio.Event] = {}
        self.defects: set[str] = set()
        self.problems: list[Exception] = []
        self.renewals: asyncio.Queue[None] = asyncio.Queue()
        self.looks: asyncio.Queue[None] = asyncio.Queue()

    def hold(self, *names: str) -> None:
        self.held |= {name: asyncio.Event() for name in names}

    def room(self) -> int:
        return self.places

    async def take(self, limit: int) -> Sequence[Sequence[str]]:
        self.asked.append(limit)
        if self.problems:
            raise self.problems.pop()
        taken: list[list[str]] = []
        while self.waiting and len(self.waiting[0]) <= limit:
            limit -= len(self.waiting[0])
            taken.append(self.waiting.pop(0))
        return taken

    async def carry(self, batch: Sequence[str]) -> None:
        self.begun.put_nowait(batch[0])
        try:
            if batch[0] in self.held:
                await self.held[batch[0]].wait()
        except asyncio.CancelledError:
            self.cancelled.append(batch[0])
            raise
        if batch[0] in self.defects:
            raise LookupError("a defect")
        self.ended.append(batch[0])

    async def renew(self) -> None:
        self.renewals.put_nowait(None)

    async def next_due(self) -> float | None:
        self.looks.put_nowait(None)
        return self.due


async def more(events: "asyncio.Queue[None]", count: int) -> None:
    """Wait for so many more of something."""
    while not events.empty():
        events.get_nowait()
    for _ in range(count):
        await events.get()


@asynccontextmanager
async def working(house: Steps, hands: Any, channel: str = "sms") -> Any:
    """A loop that works meanwhile."""
    loop = ChannelLoop(house.database, channel, hands)
    loop.start()
    try:
        yield loop
    finally:
        await asyncio.wait_for(loop.stop(grace=SOON), PATIENCE)


async def commit(house: Steps, name: str = "queue:sms") -> None:
    """A commit that wakes a loop; when it returns the loop has had its chance."""
    await house.database.write(lambda tx: tx.wake(name))
    await house.database.read(lambda tx: None)


# While there is room.


def test_the_loop_takes_what_there_is_room_for_and_one_more_when_one_ends(house: Steps) -> None:
    hands = Hands("a", "b", "c", room=2)
    hands.hold("a", "b", "c")

    async def scenario() -> None:
        async with working(house, hands):
            assert [await hands.begun.get(), await hands.begun.get()] == ["a", "b"]
            assert hands.asked == [2]
            hands.held["b"].set()
            assert await hands.begun.get() == "c"
            assert hands.asked == [2, 1]

    house.run(scenario())
    assert hands.ended == ["b"]


def test_a_full_loop_asks_for_nothing_even_when_something_comes_in(house: Steps) -> None:
    hands = Hands("a", "b", room=1)
    hands.hold("a")

    async def scenario() -> None:
        async with working(house, hands):
            await hands.begun.get()
            await commit(house)
            assert (hands.asked, hands.looks.qsize(), hands.waiting) == ([1], 0, [["b"]])
            hands.held["a"].set()
            assert await hands.begun.get() == "b"

    house.run(scenario())


def test_the_room_may_change_while_the_loop_works(house: Steps) -> None:
    """A new configuration has other carriers."""
    hands = Hands(room=0)

    async def scenario() -> None:
        async with working(house, hands):
            await hands.renewals.get()
            hands.waiting, hands.places = [["a"]], 3
            await commit(house)
            assert await hands.begun.get() == "a"
            assert hands.asked[0] == 3

    house.run(scenario())


def test_no_more_than_a_batch_is_asked_for_at_once(house: Steps) -> None:
    hands = Hands("a", room=10 * BATCH)

    async def scenario() -> None:
        async with working(house, hands):
            await hands.begun.get()

    house.run(scenario())
    assert hands.asked[0] == BATCH


def test_batches_are_carried_apart_and_each_gives_its_own_places_back(house: Steps) -> None:
    hands = Hands(["a", "a2", "a3"], ["b", "b2"], ["c", "c2"], room=6)
    hands.hold("a", "b", "c")

    async def scenario() -> None:
        async with working(house, hands):
            assert {await hands.begun.get(), await hands.begun.get()} == {"a", "b"}
            hands.held["b"].set()
            assert await hands.begun.get() == "c"
            assert (hands.asked[:3], hands.ended) == ([6, 1, 3], ["b"])

    house.run(scenario())


def test_a_batch_that_raises_gives_its_places_back_and_the_log_says_why(house: Steps) -> None:
    hands = Hands("a", "b", room=1)
    hands.defects = {"a"}

    async def scenario() -> None:
        async with working(house, hands):
            assert [await hands.begun.get(), await hands.begun.get()] == ["a", "b"]

    with own_logs() as logs:
        house.run(scenario())
    assert hands.ended == ["b"]
    (told,) = [entry for entry in logs if entry["event"] == "worker.batch_failed"]
    assert "a defect" in str(told["exc_info"])


# What wakes it.


def test_a_commit_wakes_the_loop_of_its_channel_and_no_other(house: Steps) -> None:
    texts, calls = Hands(), Hands()

    async def scenario() -> None:
        async with working(house, texts), working(house, calls, "voice"):
            await texts.looks.get()
            await calls.looks.get()
            texts.waiting, calls.waiting = [["text"]], [["call"]]
            await commit(house, "queue:voice")
            assert await calls.begun.get() == "call"
            assert texts.waiting == [["text"]]
            await commit(house)
            assert await texts.begun.get() == "text"

    house.run(scenario())


def test_the_loop_wakes_when_something_is_due_and_takes_nothing_before(house: Steps) -> None:
    hands = Hands()
    hands.due = house.clock.now + SOON

    async def scenario() -> None:
        async with working(house, hands):
            await more(hands.looks, 3)
            assert hands.asked == [10]
            hands.waiting = [["a"]]
            house.clock.now += SOON
            assert await hands.begun.get() == "a"

    house.run(scenario())


@pytest.mark.usefixtures("often")
def test_what_another_process_has_put_in_is_found_by_the_regular_look(house: Steps) -> None:
    hands = Hands()

    async def scenario() -> None:
        async with working(house, hands):
            await more(hands.looks, 2)
            assert hands.asked == [10]
            hands.waiting, hands.due = [["a"]], house.clock.now
            assert await hands.begun.get() == "a"

    house.run(scenario())


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("room", [0, 10])
def test_leases_are_looked_after_at_each_regular_look_whether_there_is_room_or_not(house: Steps, room: int) -> None:
    hands = Hands(room=room)

    async def scenario() -> None:
        async with working(house, hands):
            await more(hands.renewals, 5)

    house.run(scenario())
    assert len(hands.asked) <= 1


@pytest.mark.usefixtures("often")
def test_an_idle_loop_only_reads(house: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that finds nothing would be a transaction that writes, hundreds of them a minute and for nothing."""
    writes: list[Any] = []
    reads: asyncio.Queue[None] = asyncio.Queue()

    def counted(into: Callable[[], None], what: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        def call(*given: Any, **named: Any) -> Awaitable[T]:
            into()
            return what(*given, **named)

        return call

    house.accept(order(house.account(), draft(schedule=int(house.clock.now) + 3600)))
    monkeypatch.setattr(house.database, "write", counted(lambda: writes.append(1), house.database.write))
    monkeypatch.setattr(house.database, "read", counted(lambda: reads.put_nowait(None), house.database.read))

    async def scenario() -> None:
        async with working(house, quiet.delivery(house.database)):
            await reads.get()
            assert len(writes) == 1, "the first claim, since something may have waited"
            for _ in range(5):
                house.clock.now += 60
                await more(reads, 2)

    house.run(scenario())
    assert len(writes) == 1


# What it outlives.


@pytest.mark.usefixtures("often")
def test_a_loop_outlives_a_database_that_is_away_and_works_when_it_is_back(migrated_url: str) -> None:
    carrier = Carrier()
    router = Router([RouteOptions(transport="acme")], {"acme": carrier})

    async def scenario(house: Steps, logs: Sequence[Any]) -> None:
        async def rename(old: str, new: str) -> None:
            await house.database.write(
                lambda tx: tx.driver(f"ALTER TABLE {old} RENAME TO {new}") and tx.wake("queue:sms")
            )

        async def failed(count: int) -> None:
            """The loop has met the trouble so often."""

            def enough(tx: Tx) -> bool:
                return sum(entry["event"] == "worker.step_failed" for entry in logs) >= count

            await until(house.database, enough, PATIENCE)

        await rename("queue", "away")
        async with working(house, quiet.delivery(house.database, router=router)):
            await failed(3)
            await rename("away", "queue")
            await carrier.begun.get()
            await until(house.database, lambda tx: not tx.driver("SELECT 1 FROM queue").fetchall(), PATIENCE)

    with steps.taken(migrated_url) as house, own_logs() as logs:
        who = house.account()
        ((sent,),) = house.accept(order(who, draft(schedule=int(house.clock.now) + 60)))
        house.clock.now += 60
        house.run(scenario(house, logs))
        assert house.message(who, sent.message_id).status == message.SENT


@pytest.mark.usefixtures("often")
def test_a_claim_that_fails_is_tried_again_after_a_while_with_the_same_room(house: Steps) -> None:
    hands = Hands("a", room=2)
    hands.problems = [OperationalError("SELECT", {}, Exception("away"))] * 2

    async def scenario() -> None:
        async with working(house, hands):
            assert await hands.begun.get() == "a"

    with own_logs() as logs:
        house.run(scenario())
    assert [entry["event"] for entry in logs] == ["worker.step_failed"] * 2
    assert hands.asked[:3] == [2, 2, 2]


@pytest.mark.usefixtures("often")
def test_a_look_that_fails_is_tried_again_after_a_while(house: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    look, problems = hands.next_due, [OSError("away")]

    async def next_due() -> float | None:
        if problems:
            raise problems.pop()
        return await look()

    monkeypatch.setattr(hands, "next_due", next_due)

    async def scenario() -> None:
        async with working(house, hands):
            await more(hands.looks, 2)

    with own_logs() as logs:
        house.run(scenario())
    assert [entry["event"] for entry in logs] == ["worker.pause_failed"]


# The end.


def test_at_the_end_nothing_more_is_taken_and_what_is_under_way_ends_in_its_time(house: Steps) -> None:
    hands = Hands("a", room=2)
    hands.hold("a")

    async def scenario() -> None:
        loop = ChannelLoop(house.database, "sms", hands)
        loop.start()
        await hands.begun.get()
        asked = len(hands.asked)
        stopping = asyncio.create_task(loop.stop(PATIENCE))
        await commit(house)
        hands.waiting = [["b"]]
        await commit(house)
        assert not stopping.done()
        hands.held["a"].set()
        await stopping
        assert (hands.ended, hands.cancelled, hands.waiting) == (["a"], [], [["b"]])
        assert len(hands.asked) <= asked + 1, "the loop may have been about to ask once more"

    house.run(scenario())


def test_what_is_under_way_after_the_grace_is_cut_off(house: Steps) -> None:
    """Its lease brings it back."""
    hands = Hands("slow", "quick")
    hands.hold("slow")

    async def scenario() -> None:
        loop = ChannelLoop(house.database, "sms", hands)
        loop.start()
        assert {await hands.begun.get(), await hands.begun.get()} == {"slow", "quick"}
        await loop.stop(grace=SOON)

    house.run(scenario())
    assert (hands.ended, hands.cancelled) == (["quick"], ["slow"])


def test_an_idle_loop_ends_at_once(house: Steps) -> None:
    hands = Hands()

    async def scenario() -> None:
        loop = ChannelLoop(house.database, "sms", hands)
        loop.start()
        await hands.looks.get()
        await loop.stop(grace=0)

    house.run(scenario())


def test_a_loop_that_never_began_can_be_stopped(house: Steps) -> None:
    hands = Hands("a")
    house.run(ChannelLoop(house.database, "sms", hands).stop())
    assert (hands.asked, hands.waiting) == ([], [["a"]])
