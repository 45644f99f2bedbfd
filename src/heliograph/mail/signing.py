"""DKIM signatures (RFC 6376): rsa-sha256, relaxed/simple. The domain of the key answers for a mail.

What is hashed is made by functions inside of dkimpy, which is pinned therefore; the RSA step is that of
`cryptography`, since dkimpy's own, in Python, takes ten times as long as all the rest. Bodies are not rewritten
(`simple`): relays of today carry them as they are, and collapsing blanks costs more than the signature.
"""

import base64
import hashlib
import re
import textwrap
import time
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SIGNED = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"list-id",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)
"""Header fields that are signed when they are there. From is signed once more than it is there, so that a second From
cannot be added."""

_WIDTH = 72
_FOLD = re.compile(rb"\r?\n(?=[ \t])")  # taken out first: dkimpy puts folded lines together in quadratic time


class SigningKey(msgspec.Struct, frozen=True):
    """A private key, and where in the DNS its public key is: `selector._domainkey.domain` (both in ASCII)."""

    domain: str
    selector: str
    private_key: "RSAPrivateKey"


def sign(octets: bytes, key: SigningKey) -> bytes:
    """The mail with a DKIM-Signature before it. Takes about half a millisecond (5 to 30 kB): call it in a thread.

    `octets` is a whole mail (RFC 5322) with CRLF at the end of each line, as it goes over the wire. Raises ValueError
    when it has no From, or a line before its body that belongs to no header field.
    """
    import dkim
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256
    from dkim.canonicalization import Relaxed, Simple

    head, _, body = octets.partition(b"\r\n\r\n")
    try:
        fields = Relaxed.canonicalize_headers(dkim.rfc822_parse(_FOLD.sub(b"", head))[0])
    except (dkim.MessageFormatError, IndexError) as problem:
        raise ValueError(f"A line of the head of a mail belongs to no field: {problem}") from problem
    names = _names(tuple(name for name, _ in fields))
    if b"from" not in names:
        raise ValueError("A mail without From cannot be signed.")
    body_hash = base64.b64encode(hashlib.sha256(Simple.canonicalize_body(body)).digest())
    value = _unsigned(key, names, body_hash)
    hashed = hashlib.sha256()
    dkim.hash_headers(hashed, Relaxed, fields, names, (b"DKIM-Signature", value), {})
    signature = base64.b64encode(key.private_key.sign(hashed.digest(), PKCS1v15(), Prehashed(SHA256())))
    lines = (signature[start : start + _WIDTH] for start in range(0, len(signature), _WIDTH))
    return b"DKIM-Signature:%s\r\n %s\r\n%s" % (value, b"\r\n ".join(lines), octets)


def _unsigned(key: SigningKey, names: tuple[bytes, ...], body_hash: bytes) -> bytes:
    """The value of the field up to the signature. Lines end only where blanks may be."""
    first = f" v=1; a=rsa-sha256; c=relaxed/simple; t={int(time.time())};\r\n d={key.domain};\r\n s={key.selector};"
    return b"%s\r\n h=%s;\r\n bh=%s;\r\n b=" % (first.encode("ascii"), _folded(names), body_hash)


@lru_cache(256)
def _names(there: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """`h=` for a mail with these fields (in small letters): each as often as it is there, From once more."""
    count = Counter(there)
    signed = tuple(name for name in SIGNED for _ in range(count[name]))
    return (b"from", *signed) if count[b"from"] else signed


@lru_cache(256)
def _folded(names: tuple[bytes, ...]) -> bytes:
    lines = textwrap.wrap(b": ".join(names).decode("ascii"), _WIDTH, break_on_hyphens=False, break_long_words=False)
    return "\r\n ".join(lines).encode("ascii")
