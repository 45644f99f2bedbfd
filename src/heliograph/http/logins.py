"""Who gets in, and how often one may guess.

An attempt is counted before it is tried, so that a thousand at once are no more than a thousand one after another; what
was right is given back. It counts for the address and for the account: many addresses that try one account are as slow
as one that tries many. Keys are looked up before: whoever has a good one waits for no guess.
"""

import asyncio
import hashlib

from heliograph.accounts.account import Principal
from heliograph.errors import TooManyRequests, Unauthorized
from heliograph.http.auth import Authenticator, readings
from heliograph.http.throttle import Limits
from heliograph.http.windows import Headers, Throttle
from heliograph.limited import Bites, network

_bites = Bites("logins.limited")


class Logins:
    """Turns Authorization headers into principals; wrong ones are limited."""

    def __init__(self, authenticator: Authenticator, limits: Limits) -> None:
        self._authenticator = authenticator
        self._passwords, self._keys = limits.logins, limits.keys
        self._accounts = limits.accounts
        self._under_way: dict[bytes, asyncio.Task[tuple[Principal | None, Headers]]] = {}

    async def prove(self, header: bytes, client: str, extra: Headers) -> Principal:
        """The principal of a header; a refusal's x-ratelimit headers go to `extra`.

        Raises Unauthorized, TooManyRequests. Requests with the same header that come together are one attempt: a client
        that starts with a hundred connections does not count as a hundred guesses.
        """
        who = self._authenticator.known(header)
        if who is not None:
            return who
        mark = self._authenticator.digest(header)
        attempt = self._under_way.get(mark)
        if attempt is None:
            attempt = self._under_way[mark] = asyncio.ensure_future(self._try(header, network(client)))
            attempt.add_done_callback(lambda _: self._under_way.pop(mark, None))
        try:
            proved, headers = await asyncio.shield(attempt)
        except TooManyRequests as refused:
            raise TooManyRequests(headers=refused.headers) from None
        if proved is None:
            extra += headers
            raise Unauthorized
        return proved

    async def _try(self, header: bytes, address: str) -> tuple[Principal | None, Headers]:
        attempts = readings(header)
        if not attempts:
            return None, await self._passwords.hit(address)
        was_good = self._authenticator.was_good(header)  # guesses by others must not lock out who was in before
        key = (address, _mark(attempts[0][0]))
        if not was_good:
            await _count(self._keys, *key)
        who = await self._authenticator.by_key(header)
        if who is not None:
            if not was_good:
                await self._keys.give_back(*key)
            return who, []
        headers: Headers = []
        for reading, (username, _) in enumerate(attempts):
            headers = await _count(self._passwords, address)
            if not was_good:
                await _count(self._accounts, _mark(username))
            try:
                who = await self._authenticator.by_password(header, reading)
            except Unauthorized:
                continue
            await self._passwords.give_back(address)
            if not was_good:
                await self._accounts.give_back(_mark(username))
            return who, []
        return None, headers


async def _count(throttle: Throttle, *key: str) -> Headers:
    """Count an attempt. Raises TooManyRequests."""
    try:
        return await throttle.hit(*key)
    except TooManyRequests:
        _bites.bite(key="/".join(key))
        raise


def _mark(username: str) -> str:
    """A name of any length as a key of a window."""
    return hashlib.blake2b(username.lower().encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
