"""What a mail address looks like, and when two of them are the same."""

import re
import unicodedata

import idna

_ADDRESS = re.compile(r'[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,64}@[^@\s<>()\[\]\\,;:"\x00-\x1f\x7f]{1,255}')


def is_address(text: str) -> bool:
    """Whether a text has the form of a mail address (RFC 5321, 4.1.2): no quoted names, no addresses in brackets.

    Only a mail that arrives proves one.
    """
    return _ADDRESS.fullmatch(text) is not None


def folded(address: str) -> str:
    """The form in which addresses are compared: without case, the domain in the ASCII form of IDNA (RFC 5891).

    RFC 5321 (2.4) lets a host tell local parts apart by case; no host of any size does. Dots and tags of a local part
    stay: what they mean is the host's affair.
    """
    local_part, _, domain = address.rpartition("@")
    return f"{unicodedata.normalize('NFC', local_part).casefold()}@{domain_in_ascii(domain)}"


def domain_in_ascii(domain: str) -> str:
    """A domain as DNS and SMTP without SMTPUTF8 have it, in small letters; what IDNA refuses stays as it is.

    Umlauts and the like become what UTS 46 makes of them, as in browsers.
    """
    small = domain.rstrip(".").lower()
    if small.isascii():
        return small
    try:
        return idna.encode(small, uts46=True).decode("ascii")
    except idna.IDNAError:
        return small
