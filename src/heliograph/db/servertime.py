"""The clock of a PostgreSQL server: what several processes write into its tables they measure by this one."""

import time
from collections.abc import Callable

import structlog

REFRESH = 5.0
"""Seconds after which a measurement is repeated: a round trip in so many thousand."""

MOST_DIFFERENCE = 2.0
"""Seconds that this machine's clock may differ from the server's before somebody is told."""

log = structlog.get_logger(__name__)


def measured(ask: Callable[[], float]) -> float:
    """How many seconds this machine's clock is ahead of the one that `ask` asks."""
    before = time.time()
    said = ask()
    return (before + time.time()) / 2 - said


class ServerTime:
    """Unix time in seconds, as the server has it: its distance from this machine's monotonic clock is measured now and
    then.

    The clock of this machine does not matter: it may be wrong, and set right at any moment. Until the first measurement
    there is nothing better.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._measured = float("-inf")
        self._machine = self._offset
        self._told = False

    def __call__(self) -> float:
        return time.monotonic() + self._offset

    def is_old(self) -> bool:
        """Whether it is time to measure: also when this machine has slept, or its clock was set."""
        now = time.monotonic()
        return now - self._measured > REFRESH or abs(time.time() - now - self._machine) > 1

    def measure(self, ask: Callable[[], float]) -> None:
        """Take what the server says; it said so between the beginning and the end of `ask`.

        A distance that fits is kept, so that time does not tremble with the length of round trips.
        """
        began = time.monotonic()
        said = ask()
        ended = time.monotonic()
        if not said - ended <= self._offset <= said - began:
            self._offset = said - (began + ended) / 2
        self._measured = ended
        self._machine = time.time() - ended
        different = self._machine - self._offset
        if (abs(different) > MOST_DIFFERENCE) != self._told:
            self._told = not self._told
            log.warning("database.other_clock", seconds_ahead=round(different, 1), differs=self._told)
