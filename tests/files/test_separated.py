"""CSV: delimiters, quotes, and what is wrong with them."""

import csv
import io
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.files import separated, text
from heliograph.files.separated import UNCLOSED, UNFIT, Flawed, Limits, Opener
from support.growth import grows_too_fast

LIMITS = Limits(300, 256)
EVIL = "+61491570156,evil,row\n"


def dialect(content: bytes, width: int = 0) -> separated.Dialect:
    return separated.dialect(opener(content), width)


def opener(content: bytes) -> Callable[[], Any]:
    name = text.encoding(io.BytesIO(content), "cp1252")
    return lambda: text.opened(io.BytesIO(content), name)


def rows(content: str | bytes, width: int = 3, limits: Limits = LIMITS) -> list[separated.Row]:
    data = content.encode() if isinstance(content, str) else content
    return list(separated.rows(opener(data), dialect(data, width), limits))


def lost(found: list[separated.Row]) -> dict[int, str]:
    return {line: row.reason for line, row in found if isinstance(row, Flawed)}


def good(found: list[separated.Row]) -> dict[int, list[str]]:
    return {line: row for line, row in found if not isinstance(row, Flawed)}


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ("1,a,b\n", ["1", "a", "b"]),
        ("1;a,x;b\n", ["1", "a,x", "b"]),
        ("1\ta\tb\n", ["1", "a", "b"]),
        ("1|a|b\n", ["1", "a", "b"]),
        ("sep=;\n1;a,1;b\n", ["1", "a,1", "b"]),
        ("SEP=^\r\n1^a,1^b\n", ["1", "a,1", "b"]),
        ('"sep=,"\n1,a;1,b\n', ["1", "a;1", "b"]),
        ("\ufeffsep=;\r1;a,1;b", ["1", "a,1", "b"]),
        ("sep=\t\n1\ta,1\tb", ["1", "a,1", "b"]),
        ('sep="\n1,a,b', ['sep="']),
        ('"1","a ""x""","b\nc"\n', ["1", 'a "x"', "b\nc"]),
        ('"1", "a, b", "c"\n', ["1", "a, b", "c"]),
        ('"1" ,"a, b" ,c\n', ["1 ", "a, b ", "c"]),
        ("1,a,b\r2,c,d", ["1", "a", "b"]),
        ("\n\n1,a,b\n", ["1", "a", "b"]),
        ('1,"",b', ["1", "", "b"]),
        ('1,"""",""""""', ["1", '"', '""']),
        ('1,5" pipe,b"c\n', ["1", '5" pipe', 'b"c']),
        ('1,"5" pipe,x\n2,a,b\n3,c,d\n', ["1", "5 pipe", "x"]),
        ('\ufeff\ufeff"1",a,b', ["1", "a", "b"]),
        (",a,b", ["", "a", "b"]),
        ('1,a,"b', ['1,a,"b']),
    ],
)
def test_dialects(content: str, cells: list[str]) -> None:
    found = rows(content)[0][1]
    if isinstance(found, Flawed):
        assert (found.reason, found.cells) == (UNCLOSED, cells)
    else:
        assert found == cells


PHONES = [f"+6149157{number:04}" for number in range(40)]


@pytest.mark.parametrize("width", [0, 1, 2, 3, 4, 7])
@pytest.mark.parametrize(
    ("mark", "row"),
    [
        (",", "{},Ann,Smith &amp; Co,x"),
        (",", '"Smith; Co","{}","a;b","c|d"'),
        (",", '"a;b;c","d;e",{}'),
        (";", "{};Perth, WA;12,50"),
        (";", "{};Perth, WA, Australia"),
        ("\t", "{}\tPerth, WA; AU\tx"),
        ("|", "{}|a,b|c;d"),
        (";", 'ann{}@example.com;"two\nlines, of text";y'),
        (",", "{},,,"),
    ],
)
def test_the_delimiter_makes_rows_agree_whatever_was_expected(mark: str, row: str, width: int) -> None:
    content = "\n".join(row.format(phone) for phone in PHONES)
    found = dialect(content.encode(), width)
    assert (found.delimiter, found.width) == (mark, len(next(csv.reader(io.StringIO(row), delimiter=mark))))


@pytest.mark.parametrize(
    ("mark", "content"),
    [
        (",", "phone,name,company,note\n+61491570006,Ann,Smith &amp; Co,x\n+61491570156,Bea,Jones,y\n"),
        (";", "My contacts, as of May\n\n" + "+61491570006;Ann, Bea;x\n" * 9),
        (",", "a;b\n" * 20 + "+61491570006,Ann,x\n" * 30),
        (",", "\n".join(f"{phone},Ann{',x' * (at % 2)}" for at, phone in enumerate(PHONES)) + "\na;b"),
        (";", "+61491570006;Ann, Bea\n"),
        (",", "+61491570006\n+61491570156\n"),
        (",", "Ann; Bea\nCelia\nDora\n"),
    ],
)
def test_most_rows_decide(mark: str, content: str) -> None:
    assert dialect(content.encode(), 2).delimiter == mark


@pytest.mark.parametrize(
    "number",
    [
        "0171 12345{}",
        "'0171 12345{}",
        '="0171 12345{}"',
        "0171\xa012345{}",
        "0171\u202f12345{}",
        "0171\u201312345{}",
        "Tel. 0171 12345{}",
        "Tel.: 0171/12345{}",
        "tel:+49-171-12345{}",
        "(0171) 12345{}",
        "\uff0b49 171 12345{}",
        "0171 12345{} ::: 030 12345{}",
        "ann{}@example.com ::: bea@example.com",
        "ann{}@example.com",
    ],
)
@pytest.mark.parametrize(
    ("mark", "form"),
    [(";", "{};Köln, NRW"), (";", "Köln, NRW;{}"), (",", "{},Köln; NRW"), (",", "{},12;50"), (";", "{};12,50")],
)
def test_numbers_decide_however_they_are_written(number: str, mark: str, form: str) -> None:
    content = "\n".join(form.format(number.format(at, at)) for at in range(10, 50))
    assert dialect(f"Telefon{mark}Ort\n{content}".encode(), 2).delimiter == mark


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\ufeff"), max_size=20)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=30),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_python_writes_is_read_back(table: list[list[str]], delimiter: str, quoting: int) -> None:
    """Marked with its delimiter, so that only the rows are judged."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows(table)
    found = rows(f"sep={delimiter}\r\n{out.getvalue()}", limits=separated.NONE)
    if quoting == csv.QUOTE_MINIMAL:  # space before a cell that is not quoted is left out
        table = [[cell.lstrip(" ") for cell in row] for row in table]
        found = [(line, [cell.lstrip(" ") for cell in row]) for line, row in found]
    assert [cells for _, cells in found] == [row for row in table if any(cell.strip() for cell in row)]


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is kept to look back, so that small files need what large ones need."""
    monkeypatch.setattr(separated, "LOOKED_BACK", 10_000)
    monkeypatch.setattr(separated, "PIECE", 1000)


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("size", [1, 60, 5000])
@pytest.mark.parametrize("limits", [LIMITS, separated.NONE])
def test_a_quoted_note_of_any_length_is_one_cell(size: int, limits: Limits) -> None:
    note = EVIL * size
    found = rows(f'1,"{note}",z\n2,b,c\n3,"d\n",e\n', limits=limits)
    assert [line for line, _ in found] == [1, size + 2, size + 3]
    cells = found[0][1]
    assert isinstance(cells, list)
    assert (cells[0], cells[2]) == ("1", "z")
    assert cells[1] == note if limits is separated.NONE or size < 14 else cells[1][:301] == note[:300] + "…"


@pytest.mark.usefixtures("near")
def test_a_note_in_one_long_line_is_one_cell_too() -> None:
    for note in ("x" * 20_000, 'x "" ,' * 5_000, ", " * 10_000, '""' * 5_000, " " * 10_000):
        found = rows(f'1,"{note}",z\n2,b,c\n', limits=separated.NONE)
        assert good(found) == {1: ["1", note.replace('""', '"'), "z"], 2: ["2", "b", "c"]}


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("after", [3, 60, 5000])
@pytest.mark.parametrize("stray", ['2,"c,d', '2,"c, ""d""', '"2,c,d', '2,c,"d', '2,"c"" ,d'])
def test_a_quote_that_is_never_closed_costs_one_row(stray: str, after: int) -> None:
    found = rows(f"1,a,b\n{stray}\n" + "3,e,f\n" * after)
    assert lost(found) == {2: UNCLOSED}
    assert [line for line, _ in found] == list(range(1, after + 3))
    assert dict(found)[2].cells == [stray]  # type: ignore[union-attr]


@pytest.mark.parametrize("stray", ['2,"c,d', '"2,c,d', '2,"c,"d"', '"2,"c","d"', '"2","c,"d"'])
@pytest.mark.parametrize(
    "rest", ['3,"e",f\n4,"g\nh",i', '"3","e","f"\n"4","g\nh","i"', '3,e,f\n4,"g\nh",i', '3,e,"f"\n4,"g\nh","i"']
)
def test_quotes_behind_a_stray_one_mean_what_they_say(stray: str, rest: str) -> None:
    found = rows(f"1,a,b\n{stray}\n{rest}\n")
    assert lost(found) == {2: UNCLOSED}
    assert good(found) == {1: ["1", "a", "b"], 3: ["3", "e", "f"], 4: ["4", "g\nh", "i"]}


def test_many_stray_quotes_cost_their_rows() -> None:
    lines = [f'{number},"c,d' if number % 10 == 5 else f"{number},e,f" for number in range(1, 2001)]
    found = rows("\n".join(lines))
    assert lost(found) == dict.fromkeys(range(5, 2001, 10), UNCLOSED)
    assert len(good(found)) == 1800


def test_quotes_within_a_note_that_are_not_doubled_end_nothing() -> None:
    found = rows('1,"a ""b"" c",d\n2,"the "best" of\n' + EVIL + 'all",x\n3,e,f\n')
    assert good(found) == {1: ["1", 'a "b" c', "d"], 2: ["2", f'the "best" of\n{EVIL}all', "x"], 5: ["3", "e", "f"]}


@pytest.mark.parametrize(
    "note",
    [
        'He said "hi", then',
        'He said "hi," then',
        'One (or "two", or',
        'The "first", the "second", and',
        'He said "hi"',
        'She ("Ann") said "hi", then',
        'He said \\"hi\\", then',
        '\\"One\\", \\"two\\", and',
        'He said:"hi", then',
        'He said:\t"hi", then',
        'He said\xa0"hi", then',
        'Here-"or there", then',
        'One/"two", then',
        'x="y", then',
        'x>"y", then',
        '*"y", then',
        'It is {"a", then',
        '<a href="x", then',
        '<a href=\\"x\\", then',
        "It's '\"hi\", then",
        'He said …"hi", then',
    ],
)
def test_a_quotation_that_is_not_doubled_ends_no_note(note: str) -> None:
    found = rows(f'1,a,b\n2,"{note}\n{EVIL}bye",x\n3,e,f\n')
    assert good(found) == {1: ["1", "a", "b"], 2: ["2", f"{note}\n{EVIL}bye", "x"], 5: ["3", "e", "f"]}


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ('2,"He is "great"",x', ["2", 'He is "great"', "x"]),
        ('"2","a "b", c","x"', ["2", 'a "b", c', "x"]),
        ('2,c,"a "b"', ["2", "c", 'a "b']),
        ('2,"a "big man",x', ["2", 'a "big man', "x"]),
        ('2,"5" pipe",x', ["2", '5" pipe', "x"]),
        ('2,"a "5"" pipe",x', ["2", 'a "5" pipe', "x"]),
    ],
)
@pytest.mark.parametrize("after", [1, 300])
def test_a_quotation_that_never_ends_swallows_nothing(row: str, cells: list[str], after: int) -> None:
    found = rows(f"1,a,b\n{row}\n" + "3,e,f\n" * after)
    assert good(found) == {1: ["1", "a", "b"], 2: cells} | {at + 3: ["3", "e", "f"] for at in range(after)}


def test_inches_end_nothing_either() -> None:
    found = rows("".join(f'{number},"{number}" pipe,x\n' for number in range(1, 50)))
    assert good(found) == {number: [str(number), f"{number} pipe", "x"] for number in range(1, 50)}


def test_rows_that_are_too_wide_are_refused_alone() -> None:
    wide, million = ",".join(["1"] * 300), "1," * 40_000 + '"' + "1," * 20_000 + '"'
    found = rows(f"1,a,b\n{wide}\n{million}\n4,e,f\n")
    assert lost(found) == dict.fromkeys((2, 3), "The row has more than 256 columns.")
    assert good(found) == {1: ["1", "a", "b"], 4: ["4", "e", "f"]}


def test_a_cell_that_is_cut_off_is_never_short() -> None:
    """Nobody sees another number in it."""
    for cell in ("+61491570006" + " " * 100_000 + "7", "x" * 1_000_000, "+61491570006" + " " * 288 + "7"):
        for quote in ('"', ""):
            cells = good(rows(f"1,{quote}{cell}{quote},b\n2,c,d\n"))[1]
            assert len(cells[1].strip()) > 300
    spaces = " " * 100_000
    assert [cell.strip() for cell in good(rows(f'1,"{spaces}+61491570006{spaces}",b'))[1]] == ["1", "+61491570006", "b"]


def test_bytes_that_do_not_fit_cost_their_row() -> None:
    found = rows("1,Zoë,b\n2,Jörg,b\n3,".encode() + b'M\xfcller,b\n4,Zo\xc3\xab,b\n5,"a\n\xff",b\n')
    assert lost(found) == {3: UNFIT, 5: UNFIT}
    assert good(found) == {1: ["1", "Zoë", "b"], 2: ["2", "Jörg", "b"], 4: ["4", "Zoë", "b"]}
    assert dict(found)[3] == Flawed(["3", "M\ufffdller", "b"], UNFIT)


HARD = [
    '1,"x,b\n',
    '1,""x,b\n',
    '1,"x"y,b\n',
    '"\n',
    '1,"a" "b\n',
    ',",x\n',
    '"""\n',
    'x,"y"z","\n',
    '" " ',
    '","',
    '1,"x\n',
    '1,"x "y",b\n',
    '1," x "y b\n',
    '1," x "y," b\n',
    '1," x "y","" b\n',
    '1,"x \\"y\\", b\n',
    '1,"\\"y,\\" b\n',
]
CHAINS = [
    '"" "," ","\n',
    '1,a "" "," ","x\n',
    '\n("" "","…","\n',
    '("a" ","" "," ","\n',
    '"" "," ","' + "x" * 100 + "\n",
]
"""Lines whose last quote opens a cell that the next line closes."""


@pytest.mark.parametrize(("line", "times"), [(line, 8_000) for line in HARD] + [(line, 1_000) for line in CHAINS])
def test_time_grows_as_the_file_does(line: str, times: int) -> None:
    def read(source: Opener) -> None:
        for _ in separated.rows(source, separated.Dialect(",", 3), LIMITS):
            pass

    assert not grows_too_fast(read, lambda size: opener((line * size).encode()), (times,))


@pytest.mark.usefixtures("near")
def test_time_grows_as_the_file_does_with_lines_that_are_longer_than_a_piece() -> None:
    def read(source: Opener) -> None:
        for _ in separated.rows(source, separated.Dialect(",", 3), LIMITS):
            pass

    for line in ('"a ","b ,"' + "x" * 2000 + "\n", '"" "," ","' + "x" * 2000 + "\n"):
        assert not grows_too_fast(read, lambda size, line=line: opener((line * size).encode()), (400,))


def test_notes_behind_lines_that_were_read_in_vain_are_whole() -> None:
    note = EVIL * 50
    data = '"" "," ","\n' * 3_000 + f'1,a,b\n2,"{note}",c\n3,e,f\n'
    found = list(separated.rows(opener(data.encode()), separated.Dialect(",", 3), LIMITS))
    note = note[:300] + "…"
    assert list(good(found).items())[-3:] == [
        (3_001, ["1", "a", "b"]),
        (3_002, ["2", note, "c"]),
        (3_053, ["3", "e", "f"]),
    ]


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize(
    "content",
    ["1,a,b\n" * 40_000, '1,"' + EVIL * 10_000 + '",z\n', '1,"a,b\n' + "1,a,b\n" * 30_000, "1," * 100_000],
    ids=["rows", "a note", "a stray quote", "cells"],
)
def test_memory_does_not_grow_with_the_file(content: str) -> None:
    data = content.encode()
    source = lambda: text.opened(io.BytesIO(data), "utf-8")  # noqa: E731
    tracemalloc.start()
    try:
        for _ in separated.rows(source, separated.Dialect(",", 3), LIMITS):
            pass
        assert tracemalloc.get_traced_memory()[1] < len(content)
    finally:
        tracemalloc.stop()
