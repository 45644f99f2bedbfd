"""In which encoding a foreign text is, and what happens to bytes that do not fit it."""

import io

import pytest

from heliograph.files import text

TEXTS = [
    ("utf-8", "AU", "José;Müller"),
    ("utf-8-sig", "AU", "José;山田"),
    ("utf-16", "AU", "José;山田"),
    ("utf-16-le", "AU", "1;Jose;Smith"),
    ("utf-16-be", "AU", "1;José;Smith"),
    ("utf-32", "AU", "José;山田"),
    ("cp1252", "AU", "José;Søren €"),
    ("cp1250", "CZ", "Jiří;Dvořák"),
    ("cp1250", "MD", "Ion;Ţurcanu"),
    ("cp1251", "RU", "Иван;Петров"),
    ("cp1251", "MN", "Батбаяр;Ганзориг"),
    ("cp1253", "GR", "Γιώργος;Παπαδόπουλος"),
    ("cp1254", "TR", "İbrahim;Şahin"),
    ("cp1254", "AZ", "Şäfiqä;Ähmädov"),
    ("cp1255", "IL", "דוד;כהן"),
    ("cp1256", "SA", "محمد;العتيبي"),
    ("cp1256", "IR", "پرويز;گلچين"),
    ("cp1257", "LT", "Jonė;Žukauskas"),
    ("cp1258", "VN", "Đông;Phương"),
    ("cp874", "TH", "สมชาย;ใจดี"),
    ("cp932", "JP", "山田;太郎ソ"),
    ("gb18030", "CN", "张;伟"),
    ("cp949", "KR", "김;철수"),
    ("cp950", "TW", "陳;功蓋"),
]


def read(data: bytes, country: str = "AU") -> str:
    with text.opened(io.BytesIO(data), text.encoding(io.BytesIO(data), text.code_page(country))) as file:
        return file.read()


@pytest.mark.parametrize(("name", "country", "line"), TEXTS)
@pytest.mark.parametrize("before", [0, 300_000])
def test_encodings(name: str, country: str, line: str, before: int) -> None:
    """Also when what is not ASCII comes late."""
    lines = "plain\r\n" * (before // 7) + f"{line}\r\n{line}"
    assert read(lines.encode(name), country) == lines


@pytest.mark.parametrize(("name", "country", "line"), TEXTS)
def test_one_broken_byte_changes_its_line_only(name: str, country: str, line: str) -> None:
    if name.startswith(("utf-16", "utf-32")):
        return  # in these a byte is no sign by itself
    name = name.removesuffix("-sig")
    lines = [line.encode(name)] * 5
    broken = b"a\xff\x81\n" if name.startswith(("utf-8", "cp9", "gb")) else None
    hole = next((bytes([one]) for one in range(128, 256) if not fits(bytes([one]), name)), None)
    if broken is None and hole is None:
        return  # every byte means something
    lines[2] = broken.strip() if broken else b"a" + (hole or b"") + b"z"
    found = read(b"\n".join(lines), country).split("\n")
    assert [one for at, one in enumerate(found) if at != 2] == [line] * 4
    assert text.BROKEN in found[2]


def fits(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def test_lines_in_two_encodings_are_not_guessed() -> None:
    """The file is what most of its lines are; another line is marked, and no letters are made up."""
    mixed = "Müller\nJörg\n".encode() + "Zoë\n".encode("cp1252")
    assert read(mixed) == f"Müller\nJörg\nZo{text.BROKEN}\n"
    mixed = "Müller\nJörg\n".encode("cp1252") + "Zoë\n".encode()
    assert read(mixed) == "Müller\nJörg\nZoÃ«\n"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("Zoë\x0b1\x1a".encode() + b"x" * 30, "Zoë\x0b1\x1a" + "x" * 30),
        (b"Zo\xc3\xab and M\xc3\xbcller \xff\nJ\xc3\xb6rg", "Zoë and Müller \ufffd\nJörg"),
        (b"a\0b", None),
        (b"a\0b" + b"c" * 40, "a\ufffdb" + "c" * 40),
        (b"a\0b" * 20 + b"c" * 300, None),
        (b"\x01\x02\x03\x04", None),
        (bytes(range(128, 256)), None),
        (b"", ""),
    ],
)
def test_what_is_a_text(data: bytes, found: str | None) -> None:
    assert text.text_of(data, "cp950") == found
