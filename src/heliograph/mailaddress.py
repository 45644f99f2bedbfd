"""What a mail address looks like."""

import re

import idna

LONGEST_DOMAIN = 255

_ADDRESS = re.compile(r'[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,64}@[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,255}')


def is_address(text: str) -> bool:
    """Whether a text has the form of a mail address (RFC 5321, 4.1.2): no quoted names, no addresses in brackets.

    Only a mail that arrives proves one.
    """
    return _ADDRESS.fullmatch(text) is not None


def ascii_domain(address: str) -> str:
    """The address with its domain as DNS has it (RFC 5891); as it is, where that is no name."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    if len(domain) > LONGEST_DOMAIN:
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return address
