"""What a file of contacts is, what its columns mean, and how programs dress numbers."""

import bz2
import gzip
import lzma
import random

import pytest
from PIL import Image

from heliograph.contacts import sheets
from heliograph.files import kinds
from support import documents

WORDS = [
    "BMW Müller",
    "BM",
    "MZ",
    "Mozambique",
    "MZansi Fruit",
    "GIFT CARD",
    "GIF",
    "ID3 Rentals",
    "CWS",
    "FWS-Müller",
    "BZh",
]
"""First cells whose letters are signatures of other files."""

PICTURES = {
    kind: documents.saved(Image.frombytes("L", (60, 60), random.Random(2).randbytes(3600)), kind)
    for kind in ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
}


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
        (b"%PDF-1.7\n", None),
        (b"{\\rtf1 61491570006}", None),
        (b"<html><table><tr><td>61491570006", "markup"),
        (b"\xef\xbb\xbf \n<!DOCTYPE html>", "markup"),
        (b"<TABLE border=1>", "markup"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook>', "markup"),
        ('<?xml version="1.0" encoding="UTF-16"?>'.encode("utf-16"), "markup"),
        (b"<ss:Workbook xmlns:ss='urn:schemas-microsoft-com:office:spreadsheet'>", "markup"),
        (b"MIME-Version: 1.0\r\nContent-Type: multipart/related", "markup"),
        (b"<ann@example.com>,Ann\n", "text"),
        *(
            (f"{word};61491570006\nx;61491570156\n".encode(name), "text")
            for word in WORDS
            for name in ("utf-8", "cp1252")
        ),
        (b"phone,name\n61491570006,B\0ea\n" + b"61491570156,Cid\n" * 9, "text"),
        (b"phone,name\n" * 9 + b"\0", "text"),
        (b"BMW,name\n" * 20 + b"B\0ea", "text"),
        (b"61491570006\0Bea\0" * 9, None),
        (random.Random(1).randbytes(1000), None),
        (random.Random(1).randbytes(65_536), None),
        *((data, None) for data in PICTURES.values()),
        *((data.replace(b"\0", b"\xff"), None) for kind, data in PICTURES.items() if kind != "BMP"),
        (bz2.compress(random.Random(1).randbytes(9000)), None),
        (gzip.compress(b"61491570006,Ann\n" * 90, mtime=0), None),
        (lzma.compress(b"61491570006,Ann\n" * 90), None),
        (b"ID3\x03\0\0\0\0\x0fvTIT2", None),
        (b"MZ\x90\0\x03\0\0\0", None),
        (b"FWS\x05\x20" + b"x" * 200, None),
        (b"%!PS-Adobe-3.0\n%%BoundingBox: 0 0 9 9\n", None),
        (b"<61491570006>,Ann\n", "text"),
    ],
)
def test_kinds(head: bytes, kind: str | None) -> None:
    assert sheets.kind(head) == kind


@pytest.mark.parametrize("word", WORDS)
def test_uploads_that_begin_like_another_file(word: str) -> None:
    for nul in ("", "B\0ea"):
        text = f"{word};61491570006\n" + "x;61491570156\n" * 9 + nul
        assert [kinds.kind_of(text.encode(name)) for name in ("utf-8", "cp1252")] == ["txt", "txt"]


@pytest.mark.parametrize("kind", PICTURES)
def test_uploads_of_pictures(kind: str) -> None:
    assert kinds.kind_of(PICTURES[kind]) == kind.lower()


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
        (["Phone 1", "Name"], True),
        (["Phone 1 - Value", "Name"], True),
        (["Mobile (2024)", "Name"], True),
        (["Phone, mobile", "Name"], True),
        (["+61491570006x", "Ann"], False),
        (["12", "Ann"], False),
        (["0491 570 00", "Ann"], False),
        (["ext. 12345", "Ann"], False),
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
    assert sheets.is_header(cells, ["phone_number", "first_name"], "US") == header


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (" +61491570006 ", "+61491570006"),
        ("'0491570006", "0491570006"),
        ('="0491570006"', "0491570006"),
        ("0491.570.006", "0491.570.006"),
        ("6.1491570006E+10", "6.1491570006E+10"),
        ("o'neil@example.com", "o'neil@example.com"),
        ('=cmd("x")', '=cmd("x")'),
        ("", ""),
        ('=""', ""),
        ("a\nb", "a\nb"),
        ("61491570006.0", "61491570006.0"),
        ('="1"2"', '="1"2"'),
        ("' 0491570006", " 0491570006"),
        ("a" + " " * 30_000 + "b", "a" + " " * 30_000 + "b"),
    ],
)
def test_numbers_as_programs_dress_them(cell: str, text: str) -> None:
    assert sheets.unquoted(cell) == text
