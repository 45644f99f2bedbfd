"""Token bucket, throttling, pauses between binds, and bounded memory; with a clock of the test's own."""

import pytest

from heliograph.transports.memory import Recent
from heliograph.transports.pace import UNLIMITED, Backoff, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_without_a_rate_anything_goes() -> None:
    pace = Pace(0, 1.0, Clock())
    pace.spend(10**9)
    assert pace.allowed() == UNLIMITED


@pytest.mark.parametrize("rate", [0.5, 3.0, 50.0, 1000.0])
def test_a_rate_is_kept_over_time(rate: float) -> None:
    clock = Clock()
    pace = Pace(rate, 1.0, clock)
    sent = 0
    while clock.now < 50 + 100 / rate:
        count = pace.allowed()
        pace.spend(count)
        sent += count
        assert pace.wait() > 0
        clock.now += pace.wait()
    burst = max(1.0, rate / 10)
    assert 95 <= sent <= 101 + burst


def test_an_idle_route_saves_no_more_than_a_burst() -> None:
    clock = Clock()
    pace = Pace(100, 1.0, clock)
    clock.now += 3600
    assert pace.allowed() == 10


def test_throttling_stops_everything_for_a_moment() -> None:
    clock = Clock()
    pace = Pace(0, 1.0, clock)
    pace.throttled()
    assert (pace.allowed(), pace.paused_for, pace.wait()) == (0, 1.0, 1.0)
    clock.now += 1
    assert (pace.allowed(), pace.paused_for) == (UNLIMITED, 0)


def test_pauses_in_a_row_double_to_a_limit() -> None:
    clock = Clock()
    pace = Pace(0, 1.0, clock)
    pauses = []
    for _ in range(6):
        pace.throttled()
        pace.throttled()  # in flight when the pause began: no second offence
        pauses.append(pace.paused_for)
        clock.now += pace.paused_for
    assert pauses == [1, 2, 4, 8, 8, 8]


def test_an_accepted_message_ends_the_row_only_after_the_pause() -> None:
    clock = Clock()
    pace = Pace(0, 1.0, clock)
    pace.throttled()
    pace.accepted()
    assert pace.slowed
    clock.now += 1
    pace.accepted()
    assert not pace.slowed
    pace.throttled()
    assert pace.paused_for == 1


def test_backoff_grows_to_its_limit_and_begins_again() -> None:
    backoff = Backoff(0.25, 2.0)
    for full in (0.25, 0.5, 1, 2, 2):
        assert full / 2 <= backoff.next() <= full
    backoff.reset()
    assert backoff.next() <= 0.25


def test_backoff_begins_within_its_limit() -> None:
    assert Backoff(5.0, 1.0).next() <= 1.0


def test_backoff_is_spread() -> None:
    assert len({Backoff(1.0, 1.0).next() for _ in range(20)}) > 1


def test_what_was_seen_lately_is_known() -> None:
    recent: Recent[int, str] = Recent(10)
    for number in range(100):
        recent.put(number, str(number))
        for known in range(max(0, number - 4), number + 1):
            assert recent.get(known) == str(known)
    assert recent.get(0) is None


def test_memory_never_holds_more_than_its_size() -> None:
    recent: Recent[int, str] = Recent(10)
    for number in range(1000):
        recent.put(number, "x")
        assert sum(recent.get(known) is not None for known in range(number + 1)) <= 10


def test_the_last_value_counts() -> None:
    recent: Recent[str, int] = Recent(4)
    recent.put("a", 1)
    recent.put("b", 1)
    recent.put("a", 2)
    assert recent.get("a") == 2
