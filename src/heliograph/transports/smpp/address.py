"""Numbers and names as SMPP addresses, and back (SMPP 3.4, 5.2.5 to 5.2.9). Pure."""

from typing import Final

from heliograph.transports.smpp.pdu import Address

LONGEST: Final = 20
"""Characters of an address: 21 octets with the NUL (4.4.1)."""
LONGEST_SHORT_CODE: Final = 6

UNKNOWN: Final = (0, 0)
INTERNATIONAL: Final = (1, 1)
SHORT_CODE: Final = (3, 0)
ALPHANUMERIC: Final = (5, 0)
"""Type of number and numbering plan."""


def address_of(text: str, ton: int = -1) -> Address:
    """A name, a short code (up to 6 digits without a plus) or an international number, with its type.

    An empty text leaves the address to the peer, and so does a number that begins with 0, which no international one
    does. `ton` of 0 or more overrides the type, as a carrier may ask; E.164 is then the plan of TON 1 and 2.
    """
    digits = text.removeprefix("+")
    if not text:
        kind = UNKNOWN
    elif not _is_number(digits):
        kind, digits = ALPHANUMERIC, text
    elif len(digits) <= LONGEST_SHORT_CODE and digits == text:
        kind = SHORT_CODE
    else:
        kind = UNKNOWN if digits.startswith("0") else INTERNATIONAL
    if ton >= 0:
        kind = (ton, 1 if ton in (1, 2) else 0)
    return Address(*kind, digits)


def text_of(address: Address) -> str:
    """An international number (TON 1) in E.164; everything else as the peer wrote it."""
    text = address.text
    return f"+{text}" if address.ton == INTERNATIONAL[0] and _is_number(text) else text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
