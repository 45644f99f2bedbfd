"""Who asks: Basic (username and API key, or account password) and the Bearer form of the same."""

import asyncio
import hashlib
import os
import time
from base64 import b64decode
from binascii import Error as NotBase64
from functools import cache

from heliograph.accounts import account
from heliograph.accounts.account import Principal
from heliograph.accounts.vault import Vault, hash_password, password_matches
from heliograph.db.database import Database
from heliograph.errors import Unauthorized

REMEMBERED = 60.0
MOST = 10_000


class Authenticator:
    """Turns an Authorization header into a principal.

    A header that was right is remembered for a minute under a keyed hash; whether its key still holds is checked again
    in the request's own transaction (`account.current`), so a revoked key dies at once.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._pepper = os.urandom(32)
        self._known: dict[bytes, tuple[Principal, float]] = {}
        self._slow = asyncio.Semaphore(4)

    def known(self, header: bytes) -> Principal | None:
        """The principal of a header that was right within the last minute."""
        who, until = self._known.get(self._digest(header), (None, 0.0))
        return who if until > time.monotonic() else None

    def _digest(self, header: bytes) -> bytes:
        return hashlib.blake2b(header, key=self._pepper, digest_size=32).digest()

    async def by_key(self, header: bytes) -> Principal | None:
        """The principal whose API key a header holds, or None."""
        try:
            username, secret = _credentials(header.decode("latin-1"))
        except Unauthorized:
            return None
        who = await self._database.read(lambda tx: account.by_key(tx, self._vault, username, secret))
        return who and self._remembered(header, who)

    async def by_password(self, header: bytes) -> Principal:
        """The principal whose account password a header holds. Raises Unauthorized.

        Nobody's password takes as long to be wrong as somebody's, so that time does not tell which names exist.
        """
        username, password = _credentials(header.decode("latin-1"))
        who = await self._database.read(lambda tx: account.with_password(tx, username))
        async with self._slow:
            right = await asyncio.to_thread(lambda: password_matches(who.proof if who else _nobody(), password))
        if not who or not right:
            raise Unauthorized
        return self._remembered(header, who)

    def _remembered(self, header: bytes, who: Principal) -> Principal:
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[self._digest(header)] = (who, time.monotonic() + REMEMBERED)
        return who


@cache
def _nobody() -> str:
    return hash_password(os.urandom(16).hex())


def _credentials(header: str) -> tuple[str, str]:
    """(username, secret). Raises Unauthorized for anything that is not `Basic|Bearer base64(user:secret)`."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() not in ("basic", "bearer"):
        raise Unauthorized
    try:
        username, colon, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (NotBase64, UnicodeDecodeError, ValueError):
        raise Unauthorized from None
    if not colon or not username or not secret or "\x00" in username + secret:
        raise Unauthorized
    return username, secret
