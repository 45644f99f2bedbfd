"""Address books (vCard) as rows of contacts, card by card."""

import re
from collections.abc import Iterator, Sequence

from heliograph import written
from heliograph.files.separated import Flawed, Row
from heliograph.files.vcard import Card, Property, cards
from heliograph.mailaddress import is_address
from heliograph.texts import folded

COLUMNS = (
    "phone",
    "first_name",
    "last_name",
    "email",
    "fax_number",
    "organization_name",
    "address_line_1",
    "address_line_2",
    "address_city",
    "address_state",
    "address_postal_code",
    "address_country",
)
"""What a row holds, in the names that an import knows. Source: endpoint 29, `field_order`."""

BETWEEN = " ::: "
"""What stands between several numbers or addresses of a card, the best one first."""

MOST = 4
"""Numbers, and addresses, that are taken of a card."""

LONGEST = 60
"""Characters of a number or an address; what is longer is none. Of a label no more are read."""

NOT_ENDED = "The card has no END:VCARD; the file may be cut off."

_READ = frozenset(("TEL", "EMAIL", "N", "FN", "ORG", "ADR", "X-ABLABEL"))

# Kinds of numbers, in types and in labels in the form of `folded`. A label may be any name or word: `Betty` is no TTY,
# `Marcello` no cell. So a kind is a whole word, unless compounds with it are usual (`Telefax`, `Mobiltelefon`).
_START, _END = "(?<![a-z\u00df-\u024f])", "(?![a-z\u00df-\u024f])"
_FAX = re.compile("(?<!hali)(?<!fair)fax")
"""In any part of a word, but for the towns Halifax and Fairfax."""
_NO_PHONE = re.compile(f"{_FAX.pattern}|pager|beeper|{_START}(?:modem|bbs|tlx|telex|tty|textphone){_END}")
_MOBILE = re.compile(
    f"{_START}(?:mobil(?!i)|(?:cell(?:s|phones?|ular[ei]?|ulaires?)?|celular(?:es)?|iphones?|pcs){_END})"
)
"""A word that goes on with an i behind `mobil` is another one: `Mobiliar`, `Mobilier`, `Mobility`."""


def rows(data: bytes, code_page: str) -> Iterator[Row]:
    """Each card in the order of COLUMNS, with the line where it begins."""
    for card in cards(data, code_page, _READ):
        cells = _cells(card)
        if not card.complete:
            yield card.line, Flawed(cells, NOT_ENDED)
        elif card.unread:
            lines = ", ".join(map(str, card.unread[:10]))
            yield card.line, Flawed(cells, f"The card has lines that cannot be read: {lines}.", usable=True)
        else:
            yield card.line, cells


def _cells(card: Card) -> list[str]:
    labels = {one.group: folded(one.text[:LONGEST]) for one in card.of("X-ABLABEL") if one.group}
    numbers = [(_words(one, labels), one.preference, written.out_of_uri(one.text)) for one in card.of("TEL")]
    voice = [
        (not _MOBILE.search(words), preference, number)
        for words, preference, number in numbers
        if not _NO_PHONE.search(words)
    ]
    fax = [(False, preference, number) for words, preference, number in numbers if _FAX.search(words)]
    mail = [
        (not is_address(address), one.preference, address)
        for one in card.of("EMAIL")
        if (address := re.sub(r"(?i)^mailto:", "", one.text))
    ]
    organization = next((one.part(0) for one in card.of("ORG")), "")
    return [_listed(voice), *_name(card), _listed(mail), _listed(fax), organization, *_address(card)]


def _words(number: Property, labels: dict[str, str]) -> str:
    """What kind of number it is: its types, and the label that its owner gave to its kind (Apple)."""
    return " ".join((*map(folded, sorted(number.types)), labels.get(number.group, "") if number.group else ""))


def _listed(found: Sequence[tuple[bool, int, str]]) -> str:
    """Numbers or addresses, those that could be one before others, then as they are ranked, then as they stand."""
    some = [one for one in found if one[2] and len(one[2]) <= LONGEST]
    some.sort(key=lambda one: ("@" not in one[2] and sum(map(str.isdigit, one[2])) < 3, *one[:2]))
    return BETWEEN.join([text for _, _, text in some][:MOST])


def _name(card: Card) -> list[str]:
    """First and last name."""
    for name in card.of("N"):
        if name.part(0) or name.part(1):
            return [name.part(1), name.part(0)]
    full = next((one.text for one in card.of("FN")), "")
    given, _, family = full.partition(" ")
    return [given, family.strip()]


def _address(card: Card) -> list[str]:
    given = sorted(card.of("ADR"), key=lambda one: one.preference)
    for adr in given:
        street, box = adr.part(2), adr.part(0)
        rest = [adr.part(number) for number in (1, 3, 4, 5, 6)]
        if street or box or any(rest):
            return [street or box, *rest]
    return [""] * 6
