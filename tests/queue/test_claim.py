"""The queue of messages: who goes first, how long a claim holds, and that an outcome counts for its own claim only."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from heliograph.db.database import Database
from heliograph.db.engine import Tx
from heliograph.queue import claim, seek
from heliograph.queue.claim import BULK, SINGLE, URGENT, Claimed, Turns
from support import postgres, steps
from support.steps import Steps

LEASE = 60.0
JANE, JOE = 1, 2


@pytest.fixture
def house(emptied_url: str) -> Iterator[Steps]:
    with steps.taken(emptied_url) as opened:
        yield opened


def put(
    house: Steps, *names: str, priority: int = SINGLE, after: float = 0.0, user: int = JANE, to: str = "sms"
) -> None:
    """Put messages in the queue, due in so many seconds."""

    def work(tx: Tx) -> None:
        claim.enqueue(tx, to, [(priority, tx.clock + after, user, name) for name in names])

    house.write(work)


def take(house: Steps, limit: int = 100, channel: str = "sms") -> list[Claimed]:
    return house.write(lambda tx: claim.claim(tx, channel, limit, LEASE))


def names(claims: Sequence[Claimed]) -> list[str]:
    return [one.message_id for one in claims]


def due(house: Steps, channel: str = "sms") -> float | None:
    """In how many seconds something is due."""
    at = house.write(lambda tx: claim.next_due(tx, channel))
    return None if at is None else at - house.clock.now


def done(house: Steps, claims: Sequence[Claimed]) -> list[int]:
    return sorted(house.write(lambda tx: claim.done(tx, claims)))


def withdrawn(house: Steps, *names: str) -> list[str]:
    return house.write(lambda tx: claim.withdraw(tx, seek.find(tx, JANE, "sms", names)))


def again(house: Steps, claimed: Claimed, after: float) -> bool:
    return house.write(lambda tx: claim.again(tx, claimed, tx.clock + after))


# Who goes first.


def test_the_urgent_go_before_single_ones_and_those_before_a_campaign(house: Steps) -> None:
    """However long the others have waited."""
    put(house, "bulk", priority=BULK)
    house.clock.now += 1
    put(house, "single", priority=SINGLE)
    house.clock.now += 1
    put(house, "urgent", priority=URGENT)
    assert names(take(house)) == ["urgent", "single", "bulk"]


def test_of_one_priority_the_one_that_was_due_first_goes_first(house: Steps) -> None:
    put(house, "third", after=3)
    put(house, "first", after=1)
    put(house, "second", after=2)
    house.clock.now += 3
    assert names(take(house)) == ["first", "second", "third"]


@pytest.mark.parametrize("priority", claim.PRIORITIES)
def test_what_is_due_at_one_moment_goes_in_the_order_in_which_it_came(house: Steps, priority: int) -> None:
    """Wherever PostgreSQL has put the rows: those that are changed come to lie behind the others."""

    def move(tx: Tx) -> None:
        for sign in "+-":
            tx.driver(f"UPDATE queue SET due_at = due_at {sign} 1 WHERE message_id = 'a'")

    put(house, *"abcd", priority=priority)
    put(house, "z", priority=priority, user=JOE)
    house.write(move)
    assert [name for name in names(take(house, 3)) if name != "z"][:2] == ["a", "b"]


def test_no_more_are_taken_than_there_is_room_for(house: Steps) -> None:
    put(house, "bulk", priority=BULK)
    put(house, "a", "b")
    put(house, "urgent", priority=URGENT)
    first = names(take(house, 2))
    assert (len(first), first[0]) == (2, "urgent")
    assert len(take(house, 1)) == 1
    assert names(take(house, 5)) == ["bulk"]
    assert take(house, 5) == []


def test_a_message_is_taken_when_it_is_due_and_not_before(house: Steps) -> None:
    put(house, "later", after=10)
    house.clock.now += 9.9
    assert take(house) == []
    house.clock.now += 0.1
    assert names(take(house)) == ["later"]


def test_a_channel_takes_none_of_another(house: Steps) -> None:
    put(house, "text")
    put(house, "call", to="voice")
    assert names(take(house, channel="voice")) == ["call"]
    assert names(take(house)) == ["text"]


def test_work_wakes_the_loop_of_its_channel(house: Steps) -> None:
    woken: list[str] = []
    house.database.on_wake("queue:sms", lambda: woken.append("sms"))
    house.database.on_wake("queue:voice", lambda: woken.append("voice"))
    put(house, "call", to="voice")
    assert woken == ["voice"]


def test_what_is_due_next_is_known_by_channel_and_over_all_priorities(house: Steps) -> None:
    assert due(house) is None
    put(house, "a", after=30)
    put(house, "b", after=20, priority=BULK)
    put(house, "c", after=10, to="voice")
    assert (due(house), due(house, "voice")) == (20, 10)


# How long a claim holds.


def test_nobody_else_gets_a_claimed_message_until_its_lease_is_over(house: Steps) -> None:
    put(house, "a")
    (first,) = take(house)
    assert (first.user_id, first.message_id, first.attempt, first.lost) == (JANE, "a", 1, False)
    house.clock.now += LEASE - 1
    assert take(house) == []
    house.clock.now += 1
    (second,) = take(house)
    assert (second.message_id, second.attempt, second.lost) == ("a", 2, True), "the first ended without an outcome"


def test_a_claim_that_is_renewed_holds_for_another_lease(house: Steps) -> None:
    put(house, "a", "b")
    held = [one for one in take(house) if one.message_id == "a"]
    house.clock.now += LEASE - 1
    house.write(lambda tx: claim.renew(tx, held, LEASE))
    house.clock.now += 1
    assert names(take(house)) == ["b"]
    house.clock.now += LEASE - 2
    assert take(house) == []
    house.clock.now += 1
    assert names(take(house)) == ["a"]


def test_a_lost_claim_cannot_be_renewed(house: Steps) -> None:
    put(house, "a")
    lost = take(house)
    house.clock.now += LEASE
    held = take(house)
    house.clock.now += 10
    house.write(lambda tx: claim.renew(tx, lost, LEASE))
    assert due(house) == LEASE - 10
    house.write(lambda tx: claim.renew(tx, held, LEASE))
    assert due(house) == LEASE


def test_what_was_given_back_cannot_be_renewed(house: Steps) -> None:
    put(house, "a")
    (claimed,) = take(house)
    assert again(house, claimed, 5)
    house.write(lambda tx: claim.renew(tx, [claimed], LEASE))
    assert due(house) == 5


# What came of it.


def test_what_is_done_is_gone(house: Steps) -> None:
    put(house, "a", "b")
    claims = take(house)
    assert done(house, claims) == sorted(one.queue_id for one in claims)
    assert due(house) is None
    assert done(house, claims) == []


def test_what_is_given_back_comes_again_at_its_time_and_nobody_doubts_its_last_try(house: Steps) -> None:
    put(house, "a")
    (first,) = take(house)
    assert again(house, first, 5)
    house.clock.now += 4
    assert take(house) == []
    house.clock.now += 1
    (second,) = take(house)
    assert (second.attempt, second.lost) == (2, False)


def test_the_outcome_of_a_lost_claim_neither_removes_nor_gives_back_what_another_has(house: Steps) -> None:
    put(house, "a", "b")
    lost = take(house)
    house.clock.now += LEASE
    held = take(house)
    assert done(house, lost) == []
    assert not any(again(house, one, 0) for one in lost)
    assert take(house) == []
    assert due(house) == LEASE
    assert done(house, held) == sorted(one.queue_id for one in held)
    assert not any(again(house, one, 0) for one in held), "it is gone"


def test_outcomes_of_several_tries_are_recorded_together(house: Steps) -> None:
    put(house, "old")
    (first,) = take(house)
    again(house, first, 0)
    put(house, "new", "lost")
    claims = take(house)
    assert sorted(one.attempt for one in claims) == [1, 1, 2]
    gone = next(one for one in claims if one.message_id == "lost")
    again(house, gone, 0)
    take(house)
    assert done(house, claims) == sorted(one.queue_id for one in claims if one is not gone)


def test_the_outcome_of_a_lost_claim_leaves_newer_messages_alone(house: Steps) -> None:
    put(house, "old")
    lost = take(house)
    house.clock.now += LEASE
    done(house, take(house))
    put(house, "new")
    take(house)
    assert done(house, lost) == []
    assert due(house) == LEASE


# What its account may still take back.


def test_only_what_nobody_has_claimed_can_be_withdrawn(house: Steps) -> None:
    put(house, "claimed")
    (claimed,) = take(house)
    put(house, "waiting")
    put(house, "later", after=3600)
    put(house, "of joe", user=JOE)
    put(house, "call", to="voice")
    wanted = ["claimed", "waiting", "later", "of joe", "call", "unknown"]
    assert sorted(withdrawn(house, *wanted)) == ["later", "waiting"]
    assert names(take(house)) == ["of joe"]
    assert names(take(house, channel="voice")) == ["call"]
    assert done(house, [claimed]) == [claimed.queue_id]


def test_what_was_tried_in_vain_can_be_withdrawn_while_it_waits(house: Steps) -> None:
    put(house, "a")
    (claimed,) = take(house)
    again(house, claimed, 60)
    assert withdrawn(house, "a") == ["a"]
    assert due(house) is None


def test_scheduled_is_what_waits_for_its_time_and_was_never_tried(house: Steps) -> None:
    put(house, "due")
    put(house, "tried")
    for claimed in take(house):
        if claimed.message_id == "tried":
            again(house, claimed, 600)
    put(house, "now")
    put(house, "later", after=600)
    put(house, "of joe", user=JOE, after=600)
    put(house, "call", to="voice", after=600)
    put(house, "later too", priority=BULK, after=600)

    def scheduled() -> list[str]:
        return house.write(lambda tx: claim.withdraw(tx, claim.scheduled(tx, JANE, "sms").values()))

    house.clock.now += 600
    assert scheduled() == []
    house.clock.now -= 600
    assert scheduled() == ["later", "later too"]


# Several processes on one database.


async def _taken_together(house: Steps, url: str) -> list[str]:
    """What three processes get that claim at once until nothing is left."""
    processes = [house.database, *(Database(url, clock=house.clock) for _ in range(2))]
    found: list[str] = []
    try:
        while True:
            claims = await asyncio.gather(
                *(one.write(lambda tx: claim.claim(tx, "sms", 7, LEASE)) for one in processes for _ in range(2))
            )
            if not any(claims):
                return found
            found += [name for part in claims for name in names(part)]
    finally:
        for one in processes[1:]:
            await one.close()


def test_processes_that_claim_at_once_share_the_messages(house: Steps) -> None:
    sent = [f"message {number}" for number in range(200)]
    put(house, *sent)
    assert sorted(house.run(_taken_together(house, house.database.address))) == sorted(sent)


def test_a_claim_on_postgresql_passes_over_what_another_process_is_just_claiming(postgres_of_the_file: str) -> None:
    """It neither gets these messages nor waits for the other's commit."""
    postgres.empty(postgres_of_the_file)
    with steps.taken(postgres_of_the_file) as house:
        put(house, *(f"message {number}" for number in range(10)))
        claimed, go = threading.Event(), threading.Event()

        def slowly(tx: Tx) -> list[Claimed]:
            found = claim.claim(tx, "sms", 6, LEASE)
            claimed.set()
            assert go.wait(steps.PATIENCE)
            return found

        async def scenario() -> None:
            other = Database(postgres_of_the_file, clock=house.clock)
            try:
                first = house.database.write(slowly)
                await asyncio.to_thread(claimed.wait, steps.PATIENCE)
                rest = await other.write(lambda tx: claim.claim(tx, "sms", 100, LEASE))
                go.set()
                assert len(rest) == 4
                assert len({*names(await first), *names(rest)}) == 10
            finally:
                go.set()
                await other.close()

        house.run(scenario())


# In the bulk lane accounts take turns.


def taken_of(house: Steps, limit: int, turns: Turns) -> Counter[int]:
    """How many rows of each account the next claim takes."""
    claims = house.write(lambda tx: claim.claim(tx, "sms", limit, LEASE, turns))
    return Counter(one.user_id for one in claims)


def test_a_few_messages_of_one_do_not_wait_behind_the_thousands_of_another(house: Steps) -> None:
    put(house, *(f"a{number}" for number in range(300)), priority=BULK)
    put(house, *(f"b{number}" for number in range(30)), priority=BULK, user=JOE, after=-0.5)
    turns = Turns()
    assert taken_of(house, 40, turns) == {JANE: 20, JOE: 20}
    assert taken_of(house, 40, turns) == {JANE: 20, JOE: 10}
    assert taken_of(house, 40, turns) == {JANE: 40}


def test_single_messages_go_before_all_turns(house: Steps) -> None:
    put(house, "bulk a", "bulk b", priority=BULK)
    put(house, "single", user=JOE)
    assert names(take(house, 2))[0] == "single"


def test_a_turn_is_one_of_what_is_due(house: Steps) -> None:
    put(house, "later", priority=BULK, user=JOE, after=60)
    put(house, "a", "b", "c", priority=BULK)
    assert names(take(house, 2)) == ["a", "b"]
    house.clock.now += 61
    assert taken_of(house, 2, Turns()) == {JANE: 1, JOE: 1}


def test_of_many_accounts_each_has_its_turn(house: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "SERVED", 3)
    for user in range(1, 8):
        put(house, *(f"{user}-{number}" for number in range(10)), priority=BULK, user=user)
    turns = Turns()
    rounds = [taken_of(house, 6, turns) for _ in range(7)]
    assert all(len(one) == 3 for one in rounds)
    assert sum(rounds, Counter()) == dict.fromkeys(range(1, 8), 6)


def test_what_is_due_is_found_among_many_accounts_that_wait(house: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "LOOKED_AT", 3)
    for user in range(1, 20):
        put(house, f"later {user}", priority=BULK, user=user, after=60)
    put(house, *(f"{number}" for number in range(6)), priority=BULK, user=20)
    turns = Turns()
    assert sum((taken_of(house, 1, turns) for _ in range(6)), Counter()) == {20: 6}
    assert taken_of(house, 1, turns) == {}
