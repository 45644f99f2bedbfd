"""Numbers and names as SMPP addresses, and back."""

import pytest

from heliograph.transports.smpp.address import address_of, text_of
from heliograph.transports.smpp.pdu import Address


@pytest.mark.parametrize(
    ("text", "ton", "address"),
    [
        ("+61481074190", -1, Address(1, 1, "61481074190")),
        ("61481074190", -1, Address(1, 1, "61481074190")),
        ("123456", -1, Address(3, 0, "123456")),
        ("1234567", -1, Address(1, 1, "1234567")),
        ("+12345", -1, Address(1, 1, "12345")),
        ("Heliograph", -1, Address(5, 0, "Heliograph")),
        ("4YOU", -1, Address(5, 0, "4YOU")),
        ("١٢٣", -1, Address(5, 0, "١٢٣")),
        ("+61481074190", 0, Address(0, 0, "61481074190")),
        ("0481074190", 2, Address(2, 1, "0481074190")),
        ("0481074190", -1, Address(0, 0, "0481074190")),
        ("+0481074190", -1, Address(0, 0, "0481074190")),
        ("Heliograph", 1, Address(1, 1, "Heliograph")),
        ("", -1, Address(0, 0, "")),
        ("+", -1, Address(5, 0, "+")),
    ],
)
def test_a_text_has_its_type(text: str, ton: int, address: Address) -> None:
    assert address_of(text, ton) == address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address(1, 1, "61481074190"), "+61481074190"),
        (Address(0, 1, "61481074190"), "61481074190"),
        (Address(1, 1, "Bank"), "Bank"),
        (Address(1, 1, "١٢٣"), "١٢٣"),
        (Address(1, 1, ""), ""),
        (Address(3, 0, "12345"), "12345"),
    ],
)
def test_an_address_is_a_text(address: Address, text: str) -> None:
    assert text_of(address) == text
