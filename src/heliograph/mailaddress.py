"""What a mail address looks like, and by what two of them are the same."""

import re
import string
import unicodedata

import idna

_ADDRESS = re.compile(r'[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,64}@[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,255}')
_HOST = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9]{0,62}")
"""A host name that is in ASCII already, without labels that IDNA has a meaning for beyond their letters."""

_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
# Only ASCII: the Kelvin sign would become a k, and so the mail box of somebody else.

LONGEST, LONGEST_LOCAL = 254, 64
"""Octets of an address, and of what is before its @ (RFC 5321, 4.5.3.1)."""


def is_address(text: str) -> bool:
    """Whether a text has the form of a mail address (RFC 5321, 4.1.2): no quoted names, no addresses in brackets.

    Only a mail that arrives proves one.
    """
    return _ADDRESS.fullmatch(text) is not None


def in_ascii(text: str) -> str | None:
    """The address with its domain in ASCII and small letters; None: it is none, or its domain cannot be in the DNS.

    What is before the @ stays as it is and may have letters outside ASCII (RFC 6531), but none that cannot be seen.
    """
    local, _, named = text.partition("@")
    domain = domain_in_ascii(named) if is_address(text) and local.isprintable() else None
    if domain is None or len(local.encode()) > LONGEST_LOCAL or len(local.encode()) + 1 + len(domain) > LONGEST:
        return None
    return f"{local}@{domain}"


def domain_in_ascii(text: str) -> str | None:
    """A domain as the DNS has it: ASCII and small letters (IDNA 2008 after UTS 46); None: it is no host name.

    What ends in digits is an IP address (RFC 1123, 2.1).
    """
    if "--" not in text and _HOST.fullmatch(text):
        return text.lower()
    try:
        domain = idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError:
        return None
    last = domain.rpartition(".")[2]
    return domain if last and not last.isdigit() else None


def small(address: str) -> str:
    """What addresses are compared by: providers do not tell capital letters from small ones."""
    return address.translate(_SMALL)


def folded(address: str) -> str:
    """What an address is looked for by where a false match does no harm: without case, its domain in ASCII.

    RFC 5321 (2.4) lets a host tell local parts apart by case; no host of any size does. Dots and tags of a local part
    stay: what they mean is the host's affair.
    """
    local, _, domain = address.rpartition("@")
    domain = domain.rstrip(".")
    return f"{unicodedata.normalize('NFC', local).casefold()}@{domain_in_ascii(domain) or domain.lower()}"
