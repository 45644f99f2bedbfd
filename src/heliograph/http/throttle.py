"""How often one account may call one endpoint, and how often one address may fail to log in."""

from typing import TYPE_CHECKING

from heliograph.http.windows import OwnThrottle, Throttle

if TYPE_CHECKING:
    from heliograph.http.shared import SharedStore


class Limits:
    """The limits of a server ("6000/minute"): in memory (memory://), or in Redis when several processes share them."""

    def __init__(self, calls: str, logins: str, store: str) -> None:
        self._store: SharedStore | None = None
        self.calls: Throttle = OwnThrottle(calls)
        self.logins: Throttle = OwnThrottle(logins)
        if store != "memory://":
            from heliograph.http import shared  # a quarter of a second that a server by itself can save

            self._store = shared.SharedStore(store)
            self.calls = shared.SharedThrottle(calls, self._store, "calls")
            self.logins = shared.SharedThrottle(logins, self._store, "logins")

    async def close(self) -> None:
        """Close the connections to the store."""
        if self._store is not None:
            await self._store.close()
