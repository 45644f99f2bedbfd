"""Lines in the log when a limit refuses somebody: the first at once, then at most one a minute, with a count."""

import time
from typing import Any

import structlog

PAUSE = 60.0
"""Seconds between two lines about the same limit: a flood must not become one of the log."""

log = structlog.get_logger(__name__)


class Bites:
    """Of one limit."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._times = 0
        self._quiet_until = 0.0

    def bite(self, **what: Any) -> None:
        """Note that the limit has refused somebody."""
        self._times += 1
        if time.monotonic() >= self._quiet_until:
            log.warning(self._event, times=self._times, **what)
            self._times, self._quiet_until = 0, time.monotonic() + PAUSE
