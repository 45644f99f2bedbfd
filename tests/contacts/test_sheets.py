"""Files of contacts: kinds, encodings, delimiters, quotes, and what is wrong with them."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts import books
from heliograph.contacts import sheets
from heliograph.contacts.contact import FIELDS
from heliograph.files import cards
from heliograph.files import sheets as converted


def rows(tmp_path: Path, content: bytes, width: int = 3, country: str = "AU") -> list[sheets.Row]:
    path = tmp_path / "file"
    path.write_bytes(content)
    return list(sheets.rows(path, sheets.encoding(path, country), width))


@pytest.mark.parametrize(
    ("name", "country", "text"),
    [
        ("utf-8", "AU", "1;José;Müller"),
        ("utf-8-sig", "AU", "1;José;山田"),
        ("utf-16", "AU", "1;José;山田"),
        ("utf-16-le", "AU", "1;Jose;Smith"),
        ("utf-16-be", "AU", "1;José;Smith"),
        ("cp1252", "AU", "1;José;Søren €"),
        ("cp1250", "CZ", "1;Jiří;Dvořák"),
        ("cp1251", "RU", "1;Иван;Петров"),
        ("cp932", "JP", "1;山田;太郎"),
        ("gb18030", "CN", "1;张;伟"),
        ("cp949", "KR", "1;김;철수"),
    ],
)
def test_encodings(tmp_path: Path, name: str, country: str, text: str) -> None:
    assert rows(tmp_path, f"{text}\r\n{text}".encode(name), country=country) == [
        (1, text.split(";")),
        (2, text.split(";")),
    ]


def test_bytes_that_fit_no_encoding_are_replaced(tmp_path: Path) -> None:
    assert rows(tmp_path, b"1,a\x81b,c\n") == [(1, ["1", "a\ufffdb", "c"])]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("1,a,b\n", ["1", "a", "b"]),
        ("1;a,x;b\n", ["1", "a,x", "b"]),
        ("1\ta\tb\n", ["1", "a", "b"]),
        ("1|a|b\n", ["1", "a", "b"]),
        ("sep=;\n1;a,1;b\n", ["1", "a,1", "b"]),
        ('sep="\n1,a,b', ['sep="']),
        ('"1","a ""x""","b\nc"\n', ["1", 'a "x"', "b\nc"]),
        ('"1", "a, b", "c"\n', ["1", "a, b", "c"]),
        ("1,a,b\r2,c,d", ["1", "a", "b"]),
        ("\n\n1,a,b\n", ["1", "a", "b"]),
    ],
)
def test_dialects(tmp_path: Path, text: str, cells: list[str]) -> None:
    assert rows(tmp_path, text.encode())[0][1] == cells


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert rows(tmp_path, b"+61491570006\n+61491570156\n", 1) == [(1, ["+61491570006"]), (2, ["+61491570156"])]


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\ufeff"), max_size=20)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=30),
    st.sampled_from(",;\t|"),
)
def test_what_python_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], delimiter: str
) -> None:
    """Marked with its delimiter, so that only the rows are judged."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table)
    found = rows(tmp_path_factory.mktemp("csv"), f"sep={delimiter}\r\n{out.getvalue()}".encode())
    assert [cells for _, cells in found] == [row for row in table if any(cell.strip() for cell in row)]


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    text = '1,a,b\n2,"c,d\n' + "".join(f"{number},e,f\n" for number in range(3, 200))
    found = rows(tmp_path, text.encode())
    assert found[1] == (2, sheets.UNCLOSED)
    assert [line for line, _ in found] == list(range(1, 200))
    short = rows(tmp_path, b'1,a,b\n2,"c,d\n3,e,f\n')
    assert short == [(1, ["1", "a", "b"]), (2, sheets.UNCLOSED), (3, ["3", "e", "f"])]
    long = rows(tmp_path, b'1,"a,b\n2,c,d\n' + b"x" * 100_000 + b"\n4,e,f\n")
    assert long == [(1, sheets.UNCLOSED), (2, ["2", "c", "d"]), (3, sheets.TOO_LONG), (4, ["4", "e", "f"])]
    assert rows(tmp_path, b'1,a,"b\nc"') == [(1, ["1", "a", "b\nc"])]


def test_rows_that_are_too_wide_or_too_long_are_refused_alone(tmp_path: Path) -> None:
    wide = ",".join(["1"] * 300)
    million = "1," * 1_000_000
    found = rows(tmp_path, f"1,a,b\n{wide}\n{million}\n4,e,f\n".encode())
    assert found == [(1, ["1", "a", "b"]), (2, sheets.TOO_MANY), (3, sheets.TOO_LONG), (4, ["4", "e", "f"])]
    assert rows(tmp_path, b"x" * 1_000_000) == [(1, sheets.TOO_LONG)]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PK\x03\x04...", "sheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "sheet"),
        (b"\xef\xbb\xbfBEGIN:VCARD\r\n", "vcard"),
        ("BEGIN:VCARD\n".encode("utf-16"), "vcard"),
        (b"  begin:vcard\n", "vcard"),
        (b"phone,name\n", "text"),
        ("phone,name\n".encode("utf-16"), "text"),
        (b"", "text"),
        (b"\x7fELF\x02\x01\x01\x00\x00", None),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", None),
    ],
)
def test_kinds(head: bytes, kind: str | None) -> None:
    assert sheets.kind(head) == kind


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("phone", "phone_number"),
        ("Phone Number", "phone_number"),
        ("custom1", "custom_1"),
        ("custom_4", "custom_4"),
        ("(Cust. 2)", "custom_2"),
        ("fax", "fax_number"),
        ("organization_name", "organization_name"),
        ("Post-Code", "address_postal_code"),
        ("custom5", None),
        ("contact_id", None),
        ("", None),
    ],
)
def test_names_of_columns(name: str, field: str | None) -> None:
    assert sheets.field(name) == field


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (["Phone", "Name"], True),
        (["Phone 1", "Name"], False),
        (["custom1", "Name"], True),
        (["Téléphone", "Nom"], True),
        (["+61491570006", "Ann"], False),
        (["", "Ann"], False),
        (["ask@example.com", "Ann"], False),
        (["Phone" + "\t" * 400, "Name"], True),
        (["Phone" * 80, "Name"], False),
    ],
)
def test_headers(cells: list[str], header: bool) -> None:
    assert sheets.is_header(cells, ["phone_number", "first_name"]) == header


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (" +61491570006 ", "+61491570006"),
        ("'0491570006", "0491570006"),
        ('="0491570006"', "0491570006"),
        ("61491570006.0", "61491570006"),
        ("61491570006.000 ", "61491570006"),
        ("0491.570.006", "0491.570.006"),
        ("6.1491570006E+10", "6.1491570006E+10"),
        ("o'neil@example.com", "o'neil@example.com"),
        ('=cmd("x")', '=cmd("x")'),
        ("", ""),
        ('=""', ""),
        ("a\nb", "a\nb"),
        ("1234.0", "1234.0"),
        ("12345.", "12345."),
        ("'12345.00", "12345"),
        ("61491570006.0.0", "61491570006.0.0"),
        ('="1"2"', '="1"2"'),
        ("' 0491570006", " 0491570006"),
        ("a" + " " * 30_000 + "b", "a" + " " * 30_000 + "b"),
    ],
)
def test_numbers_as_programs_dress_them(cell: str, text: str) -> None:
    assert sheets.unquoted(cell) == text


CARDS = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg
TEL;HOME;VOICE:+61 2 9876 5432
TEL;CELL:+61 491 570 006
TEL;WORK;FAX:+61 2 9876 5433
EMAIL;INTERNET:joerg@example.com
END:VCARD
BEGIN:VCARD
VERSION:3.0
N:Diaz;Ellen;;;
FN:Ellen Diaz
ORG:Awesome;Research
TEL;TYPE=WORK,VOICE:+61491570156
ADR;TYPE=HOME:;Block 2;Cool Street 1;Perth;WA;6000;AU
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Only Name
TEL;VALUE=uri;TYPE=cell:tel:+61491570157
END:VCARD
BEGIN:VCARD
this is no card
END:VCARD
BEGIN:VCARD
"""


def lines(data: bytes, kind: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(converted.to_lines(data, kind, "cp1252").decode(), newline="")))


def test_cards_of_all_versions() -> None:
    fields = [str(sheets.field(name)) for name in cards.COLUMNS]
    assert set(fields) <= set(FIELDS)
    found = [dict(zip(fields, row, strict=False)) for row in lines(CARDS.encode(), "vcf")]
    assert len(found) == 4
    assert (found[0]["first_name"], found[0]["last_name"]) == ("Jörg", "Müller")
    assert (found[0]["phone_number"], found[0]["fax_number"]) == ("+61 491 570 006", "+61 2 9876 5433")
    assert (found[1]["organization_name"], found[1]["address_line_2"]) == ("Awesome", "Block 2")
    assert (found[1]["address_city"], found[1]["address_postal_code"]) == ("Perth", "6000")
    assert (found[2]["first_name"], found[2]["last_name"]) == ("Only", "Name")
    assert found[2]["phone_number"] == "+61491570157"
    assert found[3] == {"phone_number": "(a card that cannot be read)"}


@pytest.mark.parametrize(("make", "kind"), [(books.xlsx, "xlsx"), (books.ods, "ods")])
def test_spreadsheets_keep_their_lines_and_whole_numbers(make: Callable[[list[list[Any]]], bytes], kind: str) -> None:
    table = [["", "", ""], ["", "Phone", "Name"], ["", 61491570006, "Zoë\n& co"], ["", 1.5, ""]]
    assert lines(make(table), kind) == [
        [],
        ["", "Phone", "Name"],
        ["", "61491570006", "Zoë & co"],
        ["", "1.5", ""],
    ]
