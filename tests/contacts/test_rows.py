"""Files as people have them, and what an import makes of their rows, without a server."""

import json
from pathlib import Path
from typing import Any

import pytest

from contacts import books
from heliograph.contacts import importer
from heliograph.contacts.importer import Unreadable
from heliograph.contacts.imports import Note
from heliograph.files import sheets

MOBILE, OTHER, THIRD = "+61491570006", "+61491570156", "+61491570157"
ORDER = "phone_number,first_name,last_name,email"


def imported(
    folder: Path, content: bytes | str, order: str = ORDER, country: str = "AU"
) -> tuple[list[dict[str, Any]], list[Note]]:
    """(what is stored of the rows, what is said of them), by way of the files that an import makes."""
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    source = importer._kind(path)
    if source != "text":
        kind = "vcf" if source == "vcard" else "ods" if b"opendocument" in path.read_bytes() else "xlsx"
        path.write_bytes(sheets.to_lines(path.read_bytes(), kind, "cp1252"))
    fields = [name or None for name in order.split(",")]
    row = {"source": source, "country": country, "position": 0, "field_order": json.dumps(fields)}
    good: list[dict[str, Any]] = []
    noted: list[Note] = []
    for piece in importer._slices(path, row):
        good += [made for _, made in piece.good]
        noted += piece.noted
    return good, noted


def numbers(folder: Path, content: bytes | str, order: str = ORDER, country: str = "AU") -> list[str | None]:
    return [made["phone_number"] for made in imported(folder, content, order, country)[0]]


@pytest.mark.parametrize(
    "order",
    ["phone_number,first_name", "phone_number,,last_name,custom_1", "phone_number", "phone_number,,,,,,last_name"],
)
def test_one_cell_with_another_delimiter_costs_no_rows(tmp_path: Path, order: str) -> None:
    text = f"Phone,First,Last,Note\n{MOBILE},Ann,Smith &amp; Co,x\n{OTHER},Bea,Jones,y\n"
    good, noted = imported(tmp_path, text, order)
    assert ([one["phone_number"] for one in good], [one.refused for one in noted]) == ([MOBILE, OTHER], [])
    assert numbers(tmp_path, text.replace(",", ";").replace("&amp;", "a, b"), order) == [MOBILE, OTHER]


@pytest.mark.parametrize("make", [books.xlsx, books.ods])
def test_what_has_no_delimiter_is_not_cut(tmp_path: Path, make: Any) -> None:
    """A cell is what it is, also where every row has the same mark in it."""
    table = [[f"{number};x", "Ann; Bea|C\tD", "sep=;"] for number in (MOBILE, OTHER)]
    good, noted = imported(tmp_path, make([["sep=;", "", ""], *[[one[0][:12], *one[1:]] for one in table]]))
    assert [(one["phone_number"], one["first_name"], one["last_name"]) for one in good] == [
        (MOBILE, "Ann; Bea|C D", "sep=;"),
        (OTHER, "Ann; Bea|C D", "sep=;"),
    ]
    assert [len(imported(tmp_path, make(table))[number]) for number in (0, 1)] == [0, 2], "no number is cut out"
    card = f"BEGIN:VCARD\nN:a\\,b;c|d\\;e;;;\nTEL:{MOBILE}\nEND:VCARD\n"
    assert [(one["first_name"], one["last_name"]) for one in imported(tmp_path, card * 3)[0]] == [("c|d;e", "a,b")] * 3
    assert noted == []


@pytest.mark.parametrize("mark", ["\n", "\n\n", " \n ", "\t", "\x85", "\u2028"])
@pytest.mark.parametrize(
    ("first", "second", "country"),
    [
        ("0664 1234567", "8-16", "AT"),
        ("0664 1234567", "89", "AT"),
        ("+43 664 1234567", "8", "AT"),
        ("040 1234", "5", "FI"),
    ],
)
def test_two_lines_of_a_cell_are_no_number(tmp_path: Path, first: str, second: str, country: str, mark: str) -> None:
    cell = f"{first}{mark}{second}"
    card = f"BEGIN:VCARD\nN:b;Ann\nTEL:{cell.replace(chr(10), chr(92) + 'n')}\nEND:VCARD\n"
    for content in (f'"{cell}",Ann\n', books.xlsx([[cell, "Ann"]]), card):
        good, noted = imported(tmp_path, content, "phone_number,first_name", country)
        assert (good, [one.reason for one in noted]) == ([], ["Phone number must be a valid phone number."])


def test_a_nul_costs_its_row_at_most(tmp_path: Path) -> None:
    good, noted = imported(tmp_path, f"{MOBILE},Ann\n{OTHER},B\0ea\n{THIRD},Cid\n", "phone_number,first_name")
    assert ([one["phone_number"] for one in good], [one.line for one in noted]) == ([MOBILE, THIRD], [2])
    cards = "".join(f"BEGIN:VCARD\nN:x;{name}\nTEL:{MOBILE}\nEND:VCARD\n" for name in ("B\0ea", "Ann"))
    assert [one["first_name"] for one in imported(tmp_path, cards)[0]] == ["B ea", "Ann"]


def test_a_name_is_one_line(tmp_path: Path) -> None:
    table = [[MOBILE, "Ann\nMaria", " Smith\t  Jones ", "a\n b"]]
    text = f'{MOBILE},"Ann\nMaria"," Smith\t  Jones ","a\n b"\n'
    for content in (text, books.xlsx(table)):
        good, _ = imported(tmp_path, content, "phone_number,first_name,last_name,custom_1")
        assert [good[0][name] for name in ("first_name", "last_name", "custom_1")] == [
            "Ann Maria",
            "Smith Jones",
            "a\n b",
        ]


@pytest.mark.parametrize("make", [books.xlsx, books.ods])
@pytest.mark.parametrize("long", ["x" * 140_000, "0491 570 006" + " " * 140_000 + "7", "x\n" * 70_000])
def test_a_very_long_cell_costs_its_row_at_most(tmp_path: Path, make: Any, long: str) -> None:
    table = [[MOBILE, "Ann", "a"], [long, "Bea", "b"], [OTHER, long, "c"], [THIRD, "Cid", long], [MOBILE, "Dee", "d"]]
    good, noted = imported(tmp_path, make(table), "phone_number,first_name")
    assert [one["phone_number"] for one in good] == [MOBILE, THIRD, MOBILE]
    assert [(one.line, one.reason) for one in noted] == [
        (2, "Phone number is longer than 300 characters."),
        (3, "First name is longer than 300 characters."),
    ]


def test_no_line_of_a_note_becomes_a_contact(tmp_path: Path) -> None:
    for lines in (1, 49, 51, 3000):
        note = f"{THIRD},Evil,Line,e@example.com\n" * lines
        text = f'phone,note,first,email\n{MOBILE},"{note}",Ann,\n{OTHER},"""{note}""",Bea,\n'
        good, noted = imported(tmp_path, text, "phone_number,,first_name,email")
        assert [(one["phone_number"], one["first_name"]) for one in good] == [(MOBILE, "Ann"), (OTHER, "Bea")]
        assert noted == []


def test_a_stray_quote_costs_its_row(tmp_path: Path) -> None:
    text = f'{MOBILE},"Ann,x,\n{OTHER},Bea,"y",\n{THIRD},Cid,z,\n'
    good, noted = imported(tmp_path, text)
    assert [one["phone_number"] for one in good] == [OTHER, THIRD]
    assert noted == [Note(1, "The quotes of this row are never closed.", f'{MOBILE},"Ann,x,')]


def test_a_broken_byte_costs_its_row_and_no_umlauts(tmp_path: Path) -> None:
    text = f"{MOBILE},Zoë,Müller,\n{OTHER},J".encode() + b"\xf6rg,x,\n" + f"{THIRD},Bjørn,y,\n".encode()
    good, noted = imported(tmp_path, text)
    assert [one["first_name"] for one in good] == ["Zoë", "Bjørn"]
    assert [(one.line, one.text) for one in noted] == [(2, f"{OTHER},J\ufffdrg,x,")]


@pytest.mark.parametrize(
    "header", ['"Phone, mobile",First', "Phone 1 - Value,Given Name", "Phone 2024,x", 'sep=,\n"Tel.\n(mobile)",x']
)
def test_headers_with_digits_and_commas(tmp_path: Path, header: str) -> None:
    assert imported(tmp_path, f"{header}\n{MOBILE},Ann\n")[1] == []


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (f"{MOBILE} ::: {OTHER}", MOBILE),
        (f"0491 570 006 ::: {OTHER} ::: {THIRD}", MOBILE),
        (f"{MOBILE}:::{OTHER}", MOBILE),
        (f" ::: {MOBILE}", MOBILE),
        (f"none ::: '{MOBILE}", MOBILE),
        ("none ::: nothing", None),
        (" ::: ", None),
    ],
)
def test_lists_give_the_first_number(tmp_path: Path, cell: str, number: str | None) -> None:
    good, noted = imported(tmp_path, f"{THIRD},Bea\n{cell},Ann\n", "phone_number,first_name")
    assert ([one["phone_number"] for one in good], len(noted)) == ([THIRD, number] if number else [THIRD], not number)
    assert numbers(tmp_path, f'"{cell}"\n', "phone_number") == ([number] if number else [])


def test_lists_of_addresses_too(tmp_path: Path) -> None:
    good, noted = imported(tmp_path, f"{MOBILE},Ann,x,a@example.com ::: b@example.com\n")
    assert ([one["email"] for one in good], noted) == (["a@example.com"], [])


def test_a_good_number_is_imported_without_what_is_bad_beside_it(tmp_path: Path) -> None:
    order = "phone_number,email,fax_number"
    text = (
        f"{MOBILE},nobody,12\n{OTHER},a@,\n{THIRD},ok@example.com,12\nbad,ok@example.com,\n,nobody,\n,nobody,{MOBILE}\n"
    )
    good, noted = imported(tmp_path, text, order)
    assert [(one["phone_number"], one["email"], one["fax_number"]) for one in good] == [
        (MOBILE, None, None),
        (OTHER, None, None),
        (THIRD, "ok@example.com", None),
    ]
    email, fax = "Email must be an email address.", "Fax number must be a valid phone number."
    both = "Imported without fax number and email:"
    assert [(one.line, one.refused) for one in noted] == [
        (1, False),
        (2, False),
        (3, False),
        *[(n, True) for n in (4, 5, 6)],
    ]
    assert [one.reason for one in noted[:3]] == [
        f"{both} {fax} {email}",
        f"Imported without email: {email}",
        f"Imported without fax number: {fax}",
    ]


def test_cards_say_what_was_lost_of_them(tmp_path: Path) -> None:
    cards = (
        f"BEGIN:VCARD\nVERSION:2.1\nN;ENCODING=QUOTED-PRINTABLE:M=FC=\nller;A\nrubbish\nTEL;PAGER:{OTHER}\n"
        "TEL;CELL:12\nTEL;HOME:02 9876 5432\nEMAIL:nobody\nEND:VCARD\n"
        "BEGIN:VCARD\nN:B;C\nTEL;PAGER:+61491570156\nEND:VCARD\nBEGIN:VCARD\nN:B;C\nTEL:x\n:\nEND:VCARD\nBEGIN:VCARD\nTEL:1"
    )
    good, noted = imported(tmp_path, cards)
    assert [(one["phone_number"], one["last_name"]) for one in good] == [("+61298765432", "Müller")]
    assert [(one.line, one.refused, one.reason) for one in noted] == [
        (
            1,
            False,
            "The card has lines that cannot be read: 5. Imported without email: Email must be an email address.",
        ),
        (11, True, "Phone number field is required when there is no fax number or email."),
        (15, True, "The card has lines that cannot be read: 18. Phone number must be a valid phone number."),
        (20, True, "The card has no END:VCARD; the file may be cut off."),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"<html><table><tr><td>0491570006</td></tr></table>",
        b'<?xml version="1.0"?><Workbook/>',
        b"%PDF-1.7\n",
        b"{\\rtf1 }",
    ],
)
def test_what_is_only_called_a_sheet_is_refused_once(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        imported(tmp_path, content)
    said = str(refused.value)
    assert said.endswith("neither CSV nor a spreadsheet (xlsx, xls, ods) nor a vCard.")
    assert said.startswith("The file is HTML, XML or SVG, whatever its name says.") == content.startswith(b"<")
