"""Pauses between tries."""

from hypothesis import given
from hypothesis import strategies as st

from heliograph.queue import retry


def test_pauses_double_up_to_five_minutes() -> None:
    assert [retry.pause(attempt) for attempt in range(1, 9)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert [retry.pause(attempt, 60) for attempt in range(1, 5)] == [60, 120, 240, 300]


def test_a_longer_pause_that_was_asked_for_is_kept() -> None:
    assert retry.pause(1, 3600) == 3600
    assert retry.pause(9, 3600) == 3600


@given(st.integers(1, 10**9), st.floats(0, 10**6))
def test_no_pause_is_shorter_than_asked_nor_than_the_one_before(attempt: int, asked: float) -> None:
    pause = retry.pause(attempt, asked)
    assert (asked or retry.FIRST) <= pause <= max(asked, retry.LONGEST)
    assert pause <= retry.pause(attempt + 1, asked)
