"""Address books (vCard 2.1, 3.0, 4.0) as rows, card by card: a broken one costs only itself."""

import io
from collections.abc import Iterator
from typing import Any

import vobject

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

LONGEST_CARD = 5000
"""Most lines of a card: a photograph in it is folded into many."""


def rows(text: str) -> Iterator[list[str] | None]:
    """Each card in the order of COLUMNS; None for one that cannot be read."""
    card: list[str] = []
    for line in io.StringIO(text, newline=None):
        word = line.strip().upper()
        if word == "BEGIN:VCARD":
            card.clear()
        card.append(line if line.endswith("\n") else line + "\n")
        if word == "END:VCARD":
            yield _row("".join(card))
            card.clear()
        elif len(card) > LONGEST_CARD:
            card.clear()


def _row(text: str) -> list[str] | None:
    try:
        return _values(vobject.readOne(text).contents)
    except (vobject.base.VObjectError, ValueError, LookupError, AttributeError, StopIteration):
        return None


def _values(contents: dict[str, list[Any]]) -> list[str]:
    numbers = [(_kinds(line), str(line.value).removeprefix("tel:")) for line in contents.get("tel", ())]
    voice = [number for kinds, number in sorted(numbers, key=lambda one: "CELL" not in one[0]) if "FAX" not in kinds]
    fax = [number for kinds, number in numbers if "FAX" in kinds]
    name = contents["n"][0].value if "n" in contents else None
    given, family = (_words(name.given), _words(name.family)) if name else ("", "")
    if not given and not family and "fn" in contents:
        given, _, family = str(contents["fn"][0].value).partition(" ")
    mail = [str(line.value).removeprefix("mailto:") for line in contents.get("email", ())]
    # The first part of ORG is the organization, the others are its units (RFC 6350, 6.6.4).
    organization = str(contents["org"][0].value[0]) if "org" in contents else ""
    first = [found[0] if found else "" for found in (voice, mail, fax)]
    return [first[0], given, family, first[1], first[2], organization, *_address(contents)]


def _kinds(line: Any) -> set[str]:
    """Types of a line: a parameter in vCard 3.0 and 4.0, bare words in 2.1."""
    given = [*line.params.get("TYPE", ()), *line.singletonparams]
    return {word.upper() for one in given for word in str(one).split(",")}


def _words(value: Any) -> str:
    return " ".join(filter(None, map(str, value))) if isinstance(value, list) else str(value)


def _address(contents: dict[str, list[Any]]) -> list[str]:
    if "adr" not in contents:
        return [""] * 6
    adr = contents["adr"][0].value
    return [_words(part) for part in (adr.street, adr.extended, adr.city, adr.region, adr.code, adr.country)]
