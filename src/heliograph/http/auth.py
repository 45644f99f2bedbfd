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
GOOD = 86400.0
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
        self._good: dict[bytes, float] = {}
        self._slow = asyncio.Semaphore(4)

    def known(self, header: bytes) -> Principal | None:
        """The principal of a header that was right within the last minute."""
        who, until = self._known.get(self.digest(header), (None, 0.0))
        return who if until > time.monotonic() else None

    def was_good(self, header: bytes) -> bool:
        """Whether a header was right within the last day. It may be wrong by now."""
        return self._good.get(self.digest(header), 0.0) > time.monotonic()

    def digest(self, header: bytes) -> bytes:
        """What a header is remembered by."""
        return hashlib.blake2b(header, key=self._pepper, digest_size=32).digest()

    async def by_key(self, header: bytes) -> Principal | None:
        """The principal whose API key a header holds, or None."""
        for username, secret in readings(header):
            who = await self._database.read(lambda tx: account.by_key(tx, self._vault, username, secret))  # noqa: B023
            if who is not None:
                return self._remembered(header, who)
        return None

    async def by_password(self, header: bytes, reading: int = 0) -> Principal:
        """The principal whose account password a header holds, read in one of its `readings`. Raises Unauthorized.

        Nobody's password takes as long to be wrong as somebody's, so that time does not tell which names exist.
        """
        username, password = readings(header)[reading]
        who = await self._database.read(lambda tx: account.with_password(tx, username))
        async with self._slow:
            right = await asyncio.to_thread(lambda: password_matches(who.proof if who else _nobody(), password))
        if not who or not right:
            raise Unauthorized
        return self._remembered(header, who)

    def _remembered(self, header: bytes, who: Principal) -> Principal:
        now, mark = time.monotonic(), self.digest(header)
        if len(self._known) >= MOST:
            self._known.clear()
        if len(self._good) >= MOST:
            self._good.clear()
        self._known[mark], self._good[mark] = (who, now + REMEMBERED), now + GOOD
        return who


@cache
def _nobody() -> str:
    return hash_password(os.urandom(16).hex())


def readings(header: bytes) -> list[tuple[str, str]]:
    """(username, secret) as UTF-8, then as Latin-1, if that is another one; none of what is no Basic or Bearer.

    RFC 7617 leaves the charset open: browsers and curl write UTF-8, requests and urllib3 Latin-1.
    """
    scheme, _, encoded = header.strip().partition(b" ")
    if scheme.lower() not in (b"basic", b"bearer"):
        return []
    try:
        raw = b64decode(encoded.strip(), validate=True)
    except (NotBase64, ValueError):
        return []
    found = []
    for charset in ("utf-8",) if raw.isascii() else ("utf-8", "latin-1"):
        try:
            username, _, secret = raw.decode(charset).partition(":")
        except UnicodeDecodeError:
            continue
        if username and secret and "\x00" not in username + secret:
            found.append((username, secret))
    return found
