"""Receipts that are parked before their hand-over is recorded, by ids that carriers give more than once."""

import pytest

from support.bench import Bench, play


@pytest.mark.parametrize("early", [0, 1, 2, 3])
def test_one_id_for_all_parts(migrated_url: str, early: int) -> None:
    """Of three receipts so many come before the hand-over is recorded; the first one is enough."""

    async def scenario(bench: Bench) -> None:
        parcel = await bench.claimed("long", parts=3)
        for _ in range(early):
            await bench.receipt("a")
        await bench.taken(parcel, "a")
        for _ in range(3 - early):
            await bench.receipt("a")
        assert await bench.statuses() == ["Completed"]
        assert await bench.listed() == 1

    play(migrated_url, scenario)


@pytest.mark.parametrize("early", ["", "a", "ab", "abc", "aab", "cab", "aaa"])
def test_an_id_for_each_part(migrated_url: str, early: str) -> None:
    """It is complete when each of its parts is, and not before."""

    async def scenario(bench: Bench) -> None:
        parcel = await bench.claimed("long", parts=3)
        for one in early:
            await bench.receipt(one)
        await bench.taken(parcel, *"abc")
        late = sorted(set("abc") - set(early))
        for one in late:
            assert await bench.statuses() == ["Sent"]
            await bench.receipt(one)
        assert await bench.statuses() == ["Completed"]
        assert await bench.listed() == 1

    play(migrated_url, scenario)


@pytest.mark.parametrize("times", [2, 3])
def test_those_whose_id_went_to_a_newer_message_expire(migrated_url: str, times: int) -> None:
    async def scenario(bench: Bench) -> None:
        for number in range(times):
            await bench.taken(await bench.claimed(f"{number}"), "same")
        await bench.receipt("same")
        assert await bench.statuses() == ["Sent"] * (times - 1) + ["Completed"]
        await bench.expire()
        assert await bench.statuses() == ["Failed"] * (times - 1) + ["Completed"]
        assert await bench.listed() == times

    play(migrated_url, scenario)


def test_a_long_message_keeps_the_ids_that_are_still_its_own(migrated_url: str) -> None:
    """One of its three ids goes to another message: it cannot complete, but it expires, once."""

    async def scenario(bench: Bench) -> None:
        await bench.taken(await bench.claimed("1", parts=3), *"abc")
        await bench.taken(await bench.claimed("2"), "b")
        for one in "abc":
            await bench.receipt(one)
        assert await bench.statuses() == ["Sent", "Completed"]
        await bench.expire()
        assert await bench.statuses() == ["Failed", "Completed"]
        assert await bench.listed() == 2

    play(migrated_url, scenario)
