"""Domains that the house signs mails for: each has a key of its own (DKIM, RFC 6376), published by the operator."""

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import structlog
from sqlalchemy import select

from heliograph.accounts.vault import Vault
from heliograph.db.engine import Row, Tx
from heliograph.db.tables import sending_domains
from heliograph.errors import BadRequest, NotFound
from heliograph.mail.signing import SigningKey
from heliograph.mailaddress import domain_in_ascii

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEY_BITS = 2048
"""More would not fit into what some DNS hosts take for a TXT record, and receivers need no more (RFC 8301)."""

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

log = structlog.get_logger(__name__)


class NewKey(msgspec.Struct, frozen=True):
    """A key that no domain has yet: its private half as PEM, its public half as the DKIM record has it."""

    private: str
    public: str


def new_key() -> NewKey:
    """Make a key. Takes up to a second: never inside a transaction of a busy server."""
    from cryptography.hazmat.primitives import serialization as der
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(der.Encoding.PEM, der.PrivateFormat.PKCS8, der.NoEncryption())
    public = key.public_key().public_bytes(der.Encoding.DER, der.PublicFormat.SubjectPublicKeyInfo)
    return NewKey(private.decode("ascii"), b64encode(public).decode("ascii"))


def add(tx: Tx, vault: Vault, domain: str, selector: str, key: NewKey) -> Row:
    """Sign the mails of a domain from now on, and of those below it that have no key; its row.

    Raises BadRequest: what is no domain or selector, and a domain that has a key.
    """
    name = domain_in_ascii(domain)
    if name is None or "." not in name:
        raise BadRequest({"domain": f"{domain!r} is no domain."})
    if not _SELECTOR.fullmatch(selector):
        raise BadRequest({"selector": "A selector has 1 to 63 small letters, digits and hyphens."})
    if _row(tx, name) is not None:
        raise BadRequest({"domain": f"{name} has a key already. Remove it first: what it signed is still checked."})
    made: Row = {
        "domain": name,
        "selector": selector,
        "key_sealed": vault.seal(key.private),
        "public_key": key.public,
        "created_at": tx.now,
    }
    tx.execute(sending_domains.insert().values(**made))
    return made


def remove(tx: Tx, domain: str) -> str:
    """Forget the key of a domain; the domain in ASCII. Raises NotFound."""
    name = domain_in_ascii(domain) or domain
    if not tx.execute(sending_domains.delete().where(sending_domains.c.domain == name)).rowcount:
        raise NotFound(f"There is no sending domain {name!r}.")
    return name


def find(tx: Tx, domain: str) -> Row:
    """The row of a domain. Raises NotFound."""
    row = _row(tx, domain_in_ascii(domain) or domain)
    if row is None:
        raise NotFound(f"There is no sending domain {domain!r}.")
    return row


def listing(tx: Tx) -> Sequence[Row]:
    """The rows of all domains."""
    return tx.rows(select(sending_domains).order_by(sending_domains.c.domain))


def published(row: Row) -> tuple[str, str]:
    """(name, text) of the TXT record that holds the public key of a row (RFC 6376, 3.6)."""
    return f"{row['selector']}._domainkey.{row['domain']}", f"v=DKIM1; k=rsa; p={row['public_key']}"


def key_of(tx: Tx, vault: Vault, domain: str) -> SigningKey | None:
    """The key that signs mails from a domain: its own, or that of the nearest domain above it that has one.

    The signature of a domain above counts as the sender's own with receivers (DMARC, relaxed alignment, RFC 7489,
    3.1.1). None: there is no key, or it was sealed under another secret, which is logged.
    """
    labels = (domain_in_ascii(domain) or "").split(".")
    names = [".".join(labels[start:]) for start in range(len(labels))]
    rows = tx.rows(select(sending_domains).where(sending_domains.c.domain.in_(names)))
    row = max(rows, key=lambda one: len(one["domain"]), default=None)
    return None if row is None else opened(vault, row)


def opened(vault: Vault, row: Row) -> SigningKey | None:
    """The key of a row; None: it was sealed under another secret."""
    pem = vault.unseal(row["key_sealed"])
    if not pem:
        log.error("domain.other_secret", domain=row["domain"])
        return None
    return SigningKey(row["domain"], row["selector"], _loaded(pem))


@lru_cache(64)
def _loaded(pem: str) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    # Not examined anew, which takes thirty times as long: it was made here, and the seal is unbroken.
    key = load_pem_private_key(pem.encode("ascii"), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey)
    return key


def _row(tx: Tx, name: str) -> Row | None:
    return tx.row(select(sending_domains).where(sending_domains.c.domain == name))
