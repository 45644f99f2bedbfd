"""Keys and passwords at rest: keyed hashes for look-up, sealed copies for the answers that show a key, argon2id."""

import hashlib
import hmac
import os
import secrets
import uuid
from base64 import b64decode, b64encode
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_passwords = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


class Vault:
    """Derives what it needs from one master secret; without the same secret no key can be read or recognised."""

    def __init__(self, secret: bytes) -> None:
        self._pepper = hmac.digest(secret, b"heliograph api keys", "sha256")
        self._seal = AESGCM(hmac.digest(secret, b"heliograph sealed copies", "sha256"))
        self._further = hmac.digest(secret, b"heliograph further keys", "sha256")

    @classmethod
    def open(cls, secret: str, folder: Path, *, make: bool = True) -> "Vault":
        """The vault of `secret`; when it is empty, of the one kept in `folder`, made at the first call.

        Raises FileNotFoundError: there is none, and none is to be made.
        """
        if secret:
            return cls(secret.encode())
        path = folder / "secret.key"
        if make and not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            fresh = folder / f".secret.{os.getpid()}"
            fresh.write_text(secrets.token_hex(32))
            fresh.chmod(0o600)
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass  # another process has made the file first: its key is used
            finally:
                fresh.unlink()
        return cls(path.read_text().strip().encode())

    def key_hash(self, username: str, key: str) -> str:
        """Look-up hash of an API key. Keys are random, so no slow hash is needed; the pepper keeps a leak useless."""
        text = f"{username.lower()}:{key}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._pepper, digest_size=32).hexdigest()

    def further_key(self, purpose: str) -> bytes:
        """A key (32 octets) for keyed hashes of this purpose alone: what one purpose signs is no good for another."""
        return hmac.digest(self._further, purpose.encode(), "sha256")

    def seal(self, text: str) -> str:
        """An encrypted copy that only this secret opens."""
        nonce = os.urandom(12)
        return b64encode(nonce + self._seal.encrypt(nonce, text.encode(), None)).decode()

    def unseal(self, sealed: str) -> str:
        """The text of a sealed copy; empty when it was sealed under another secret."""
        raw = b64decode(sealed)
        try:
            return self._seal.decrypt(raw[:12], raw[12:], None).decode()
        except InvalidTag:
            return ""


def new_key() -> str:
    """A random API key in the form of the contract: an upper-case UUID."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4)).upper()


def hash_password(password: str) -> str:
    """Argon2id hash. About 50 ms: never inside a transaction."""
    return _passwords.hash(password)


def password_matches(hashed: str, password: str) -> bool:
    """Whether the password fits the hash. About 50 ms: never on the event loop."""
    try:
        return _passwords.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
