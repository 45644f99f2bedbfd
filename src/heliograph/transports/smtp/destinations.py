"""How much goes to one domain of recipients: connections, mails a second, pauses. Knows neither mails nor the wire."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from heliograph.transports.base import Retry
from heliograph.transports.memory import Recent
from heliograph.transports.options import SmtpOptions
from heliograph.transports.pace import Pace

MAILS_PER_CONNECTION: Final = 16
"""Mails that may wait for one connection: enough to keep it busy, few enough that none waits for long."""
REMEMBERED: Final = 20_000
"""Domains that are remembered while nothing goes to them, and turns that were given; half of them for sure."""
GROWTH: Final = 64.0
"""A domain's pause doubles up to so many times its first length."""
SOON: Final = 1.0
"""Seconds until a mail comes again that met too many others for its domain, or one that tries it after a pause."""
RETURNING: Final = 50.0
"""Mails a second of an account that come back to a domain of which nothing else is known. All at once would hold up
other mails.
"""
QUICKEST: Final = 0.001
"""Seconds between two mails that come back, at least."""
EAGER: Final = 0.8
"""Mails come back a little faster than a domain takes them, so that its connections are never idle."""
LATEST: Final = 3600.0
"""Seconds until a turn at most, so that a new configuration is felt within the hour."""
ABOUT_ONE_MAILBOX: Final = ("4.1.", "4.2.")
"""Statuses that are about an address or its mailbox (RFC 3463, 3.2 and 3.3), as a full one."""
_STATUS: Final = slice(4, 8)
"""Where a status begins in the words of a reply: after its code and a blank."""


class Destination:
    """A domain that mails go to. `lanes` are the connections that it may have."""

    def __init__(self, domain: str, options: SmtpOptions, clock: Callable[[], float]) -> None:
        self.domain = domain
        self.lanes = asyncio.Semaphore(options.domain_connections or options.connections)
        self.inside = 0
        self._room = (options.domain_connections or options.connections) * MAILS_PER_CONNECTION
        self._limited = bool(options.domain_connections)
        self._rate = options.domain_rate
        self._pauses = options.domain_pause > 0
        # With a second's mails in hand, a turn that is taken a little late is not lost.
        self._pace = Pace(self._rate, options.domain_pause, clock, burst=1 + self._rate, growth=GROWTH)
        self._doubted = False
        self._words = ""
        self._clock = clock
        self._took_at: float | None = None
        self._interval = 1 / RETURNING

    @property
    def at_rest(self) -> bool:
        """Whether nothing has to be remembered of what went there."""
        return not self._doubted and self._pace.rested

    def pause(self) -> tuple[float, str] | None:
        """Seconds that a pause lasts, and what to say of it; None: there is none."""
        left = self._pace.paused_for
        return (left, self._slowed) if left else None

    def hindrance(self) -> tuple[float, str] | None:
        """Seconds until a mail may come, and why it may not now; None: it may. After a pause one mail tries it."""
        if (pause := self.pause()) is not None:
            return pause
        if self._pace.slowed and self.inside:
            return SOON, self._slowed
        if self._limited and self.inside >= self._room:
            return SOON, f"Many mails to {self.domain} are on their way"
        if not self._pace.allowed():
            return self._pace.wait(), f"Mails to {self.domain} go out at {self._rate:g} a second"
        return None

    @property
    def step(self) -> float:
        """Seconds between two mails that come back: by the rate, or by how fast mails were taken from many."""
        return 1 / self._rate if self._rate else max(QUICKEST, self._interval * EAGER)

    @property
    def _slowed(self) -> str:
        return f"Mails to {self.domain} pause, since one was put off: {self._words}"

    def take(self) -> None:
        """A mail begins to go there."""
        self._pace.spend(1)
        self.inside += 1

    def accepted(self) -> None:
        """The relay took a mail: whatever slowed it is over."""
        self._doubted = False
        self._pace.accepted()
        now = self._clock()
        if self._took_at is not None:
            self._interval += (min(now - self._took_at, SOON) - self._interval) / 16
        self._took_at = now if self.inside > 1 else None

    def put_off(self, words: str) -> float:
        """The relay put a mail off (4xx) by these words; seconds of the pause that begins, 0: none does.

        What is said of one mailbox counts only when it is said of the next mail as well.
        """
        if words[_STATUS] in ABOUT_ONE_MAILBOX and not self._doubted:
            self._doubted = True
            return 0.0
        if not self._pauses or self._pace.paused_for:
            return 0.0
        self._words = words
        self._pace.throttled()
        return self._pace.paused_for


class Destinations:
    """The domains of one transport, in bounded memory: those that mails go to now, and those that are no longer as new.

    A mail that may not go now gets a turn: those of one account to one domain come back one after another, at the pace
    at which they can go.
    """

    def __init__(self, options: SmtpOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._busy: dict[str, Destination] = {}
        self._quiet: Recent[str, Destination] = Recent(REMEMBERED)
        self._turns: Recent[tuple[str, int], float] = Recent(REMEMBERED)

    def enter(self, domain: str, user_id: int) -> Destination | Retry:
        """A mail of an account wants to go to a domain: it may (`leave` afterwards), or it gets a turn."""
        one = self._busy.get(domain) or self._quiet.get(domain) or Destination(domain, self._options, self._clock)
        hindrance = one.hindrance()
        if hindrance is not None:
            self._remember(one)
            return self._turn(one, user_id, *hindrance)
        one.take()
        self._busy[domain] = one
        return one

    def stopped(self, one: Destination, user_id: int) -> Retry | None:
        """The turn of a mail that has entered, if its domain pauses since."""
        pause = one.pause()
        return None if pause is None else self._turn(one, user_id, *pause)

    def leave(self, one: Destination) -> None:
        """A mail that has entered has been taken or not."""
        one.inside -= 1
        if not one.inside:
            del self._busy[one.domain]
            if not one.at_rest:
                self._remember(one)

    def _remember(self, one: Destination) -> None:
        if not one.inside:
            self._quiet.put(one.domain, one)

    def _turn(self, one: Destination, user_id: int, wait: float, why: str) -> Retry:
        now, key = self._clock(), (one.domain, user_id)
        after = max((self._turns.get(key) or 0.0) - now, wait)
        if after < LATEST:
            self._turns.put(key, now + after + one.step)
        return Retry(min(after, LATEST), why, early=True)
