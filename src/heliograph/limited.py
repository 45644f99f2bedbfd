"""What all limits share: what counts as one client, and the line in the log when a limit refuses somebody.

The first line is written at once, then at most one a minute, with a count.
"""

import ipaddress
import time
from functools import lru_cache
from typing import Any

import structlog

PAUSE = 60.0
"""Seconds between two lines about the same limit: a flood must not become one of the log."""

log = structlog.get_logger(__name__)


@lru_cache(maxsize=10_000)
def network(client: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address, which one subscriber has whole."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(getattr(address, "ipv4_mapped", None) or address)


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
