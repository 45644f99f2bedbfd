"""How often one account may call one endpoint, and how often one address may fail to log in."""

from typing import TYPE_CHECKING, Any

from heliograph.http.windows import OwnThrottle, Throttle

if TYPE_CHECKING:
    from heliograph.http.shared import SharedStore

KEYS = 10
"""Wrong keys that one address may try at one account, for each wrong password: nobody guesses 122 random bits, and a
forgotten program that tries an old key again and again must not keep out the others beside it.
"""
ACCOUNTS = 3
"""Wrong passwords that one account may get from everywhere, for each that one address may try: its owner should not be
locked out by a single stranger.
"""
GUESSES = 10
"""Codes of links that do not exist, which one address may try for each wrong password: many people are behind one
address of a telephone company, some of them with a link that was cut off, and none of them guesses a code.
"""


class Limits:
    """The limits of a server ("6000/minute"): in memory (memory://), or in Redis when several processes share them."""

    def __init__(self, calls: str, logins: str, store: str) -> None:
        self._shared: Any = None
        self._store: SharedStore | None = None
        self.calls: Throttle = OwnThrottle(calls)
        self.logins: Throttle = OwnThrottle(logins)
        keys, accounts, codes = (_times(factor, logins) for factor in (KEYS, ACCOUNTS, GUESSES))
        self.keys: Throttle = OwnThrottle(keys)
        self.accounts: Throttle = OwnThrottle(accounts)
        self.codes: Throttle = OwnThrottle(codes)
        if store != "memory://":
            from heliograph.http import shared  # a quarter of a second that a server by itself can save

            self._shared = shared.SharedThrottle
            self._store = shared.SharedStore(store)
            self.calls = shared.SharedThrottle(calls, self._store, "calls")
            self.logins = shared.SharedThrottle(logins, self._store, "logins")
            self.keys = shared.SharedThrottle(keys, self._store, "keys")
            self.accounts = shared.SharedThrottle(accounts, self._store, "names")
            self.codes = shared.SharedThrottle(codes, self._store, "codes")

    def daily(self, name: str, amount: int) -> Throttle:
        """A limit of its own for a day."""
        limit = f"{amount}/day"
        made: Throttle = OwnThrottle(limit) if self._shared is None else self._shared(limit, self._store, name)
        return made

    async def close(self) -> None:
        """Close the connections to the store."""
        if self._store is not None:
            await self._store.close()


def _times(factor: int, limit: str) -> str:
    amount, _, unit = limit.partition("/")
    return f"{factor * int(amount)}/{unit}"
