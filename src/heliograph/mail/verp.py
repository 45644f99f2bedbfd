"""Addresses that lead back to one message: what comes there is about it, whatever the mail itself says."""

import hashlib
import hmac
import re
from typing import Literal

from heliograph.accounts.vault import Vault

Purpose = Literal["b", "u"]
BOUNCE: Purpose = "b"
"""The envelope sender of a mail: bounces come there."""
UNSUBSCRIBE: Purpose = "u"
"""The address in List-Unsubscribe: who writes there wants no more."""

HEX = 10
"""Hexadecimal digits of the hash: 40 bits, as each guess is a mail of its own."""
_LOCAL_PART = re.compile(r"([a-z])\+([0-9a-f-]{1,51})-([0-9a-f]{10})")


class Verp:
    """Variable envelope return paths `b+<message id>-<hash>@domain`, all in lower case: some hosts fold addresses.

    The local part has 49 characters for a message id (RFC 5321, 4.5.3.1.1 allows 64). Only the house can make one, and
    an address of one purpose is no good for another.
    """

    def __init__(self, vault: Vault, domain: str, purpose: Purpose = BOUNCE) -> None:
        self.domain = domain.lower()
        self._purpose = purpose
        self._key = vault.further_key(f"addresses {purpose}+ of mails")

    def address(self, message_id: str) -> str:
        """The address of a message; the same each time."""
        name = message_id.lower()
        return f"{self._purpose}+{name}-{self._hash(name)}@{self.domain}"

    def message_id(self, address: str) -> str | None:
        """The message of an address, in whatever case it came back; None: it is not ours, or its hash is wrong."""
        local_part, _, domain = address.lower().rpartition("@")
        found = _LOCAL_PART.fullmatch(local_part)
        if found is None or found[1] != self._purpose or domain != self.domain:
            return None
        return found[2].upper() if hmac.compare_digest(found[3], self._hash(found[2])) else None

    def _hash(self, name: str) -> str:
        return hmac.digest(self._key, name.encode(), hashlib.sha256).hex()[:HEX]
