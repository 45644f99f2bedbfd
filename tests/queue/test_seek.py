"""Rows of the queue are found by the ids of their messages, whatever became of them meanwhile."""

import random
from collections.abc import Iterator

import pytest

from heliograph.db.engine import TooLong, Tx
from heliograph.ids import new_ids
from heliograph.queue import claim, seek
from heliograph.queue.claim import BULK, SINGLE, URGENT
from support import steps
from support.steps import Steps

JANE, JOE = 1, 2


@pytest.fixture
def house(emptied_url: str) -> Iterator[Steps]:
    with steps.taken(emptied_url) as opened:
        yield opened


def put(house: Steps, how_many: int, lane: int = SINGLE, after: float = 0.0, user: int = JANE) -> list[str]:
    """The ids of messages that are queued at this moment."""

    def work(tx: Tx) -> list[str]:
        made = new_ids(how_many, tx.clock)
        claim.enqueue(tx, "sms", [(lane, tx.clock + after, user, key) for key in made])
        return made

    return house.write(work)


def found(house: Steps, keys: list[str], user: int = JANE) -> list[str]:
    """The messages whose rows are found on the event loop: looking everywhere is not done there."""

    def work(tx: Tx) -> list[str]:
        tx.on_loop = True
        rows = tx.driver_in("SELECT message_id FROM queue WHERE queue_id IN ({})", [], seek.find(tx, user, "sms", keys))
        return sorted(row[0] for row in rows)

    return house.write(work)


def test_rows_are_found_in_their_place_among_many(house: Steps) -> None:
    chance = random.Random(3)
    keys = []
    for _ in range(60):
        keys += put(
            house, chance.choice([1, 1, 7, 40]), chance.choice([URGENT, SINGLE, BULK]), chance.choice([0, 9999])
        )
        put(house, chance.choice([0, 3]), user=JOE)
        house.clock.now += chance.choice([0, 0.001, 0.2, 4000])
    assert found(house, keys) == sorted(keys)
    assert all(found(house, [key]) == [key] for key in chance.sample(keys, 40))
    gone = chance.sample(keys, len(keys) // 2)
    assert sorted(house.write(lambda tx: claim.withdraw(tx, seek.find(tx, JANE, "sms", gone)))) == sorted(gone)
    left = sorted(set(keys) - set(gone))
    assert found(house, left) == left
    assert all(found(house, [key]) == [key] for key in (left[0], left[-1]))


def test_rows_keep_their_place_when_they_are_claimed_and_given_back(house: Steps) -> None:
    keys = []
    for _ in range(12):
        keys += put(house, 1)
        house.clock.now += 1
    first, second, *_ = house.write(lambda tx: claim.claim(tx, "sms", 6, 60.0))
    house.write(lambda tx: claim.again(tx, first, tx.clock + 600))
    house.write(lambda tx: claim.release(tx, second, tx.clock + 5))
    assert found(house, keys) == sorted(keys)


def test_what_belongs_to_somebody_else_is_not_found(house: Steps) -> None:
    (key,) = put(house, 1)
    assert house.write(lambda tx: seek.find(tx, JOE, "sms", [key])) == []
    assert house.write(lambda tx: seek.find(tx, JANE, "voice", [key])) == []
    assert house.write(lambda tx: seek.find(tx, JANE, "sms", [])) == []


def test_after_the_clock_was_set_back_rows_are_looked_for_everywhere_in_a_thread(house: Steps) -> None:
    keys = []
    for step in (1, 1, 1, -3600, 1, 1, 1, 1, 1, 1):
        keys += put(house, 2)
        house.clock.now += step
    assert len(house.write(lambda tx: seek.find(tx, JANE, "sms", keys))) == len(keys)
    if house.database.dialect.queue_in_order:
        lost = [key for key in keys if _needs_a_thread(house, key)]
        assert 0 < len(lost) < len(keys)


def _needs_a_thread(house: Steps, key: str) -> bool:
    def work(tx: Tx) -> bool:
        tx.on_loop = True
        try:
            return not seek.find(tx, JANE, "sms", [key])
        except TooLong:
            return True

    return house.write(work)
