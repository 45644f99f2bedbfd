"""Spreadsheets as rows: which sheet is read, and numbers as their formats show them."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from files.test_hostile import changed
from heliograph.files import formats, lines, sheets, workbook
from heliograph.files.task import Refused
from support import documents

HERE = Path(__file__).parent
Cell = tuple[object, str] | str
"""A text, or a number with its format (for ods: with what is shown of it)."""


BREAKS = [
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "\t",
    "\v",
    "\f",
    "\x00",
    "\x1c",
    "\x1d",
    "\x1e",
    "\x1f",
    "\x85",
    "\u2028",
    "\u2029",
]
"""What separates two lines of a cell, or two cells, in some program."""


def xlsx(tables: Sequence[tuple[str, Sequence[Sequence[Cell]]]], strict: bool = False, prefix: str = "") -> bytes:
    """A workbook of sheets: (state, rows). Cells have no places, as some programs write them, or have them."""
    main = "http://purl.oclc.org/ooxml/spreadsheetml/main" if strict else MAIN
    codes = sorted({cell[1] for _, table in tables for row in table for cell in row if isinstance(cell, tuple)})
    p = prefix + ":" if prefix else ""
    space = f"xmlns:{prefix}" if prefix else "xmlns"

    def made(cell: Cell) -> str:
        if isinstance(cell, str):
            return f'<{p}c t="inlineStr"><{p}is><{p}t>{cell}</{p}t></{p}is></{p}c>' if cell else f"<{p}c/>"
        return f'<{p}c s="{codes.index(cell[1]) + 1}"><{p}v>{cell[0]}</{p}v></{p}c>'

    def sheet(table: Sequence[Sequence[Cell]]) -> str:
        body = "".join(f"<{p}row>{''.join(map(made, row))}</{p}row>" for row in table)
        return f'<{p}worksheet {space}="{main}"><{p}sheetData>{body}</{p}sheetData></{p}worksheet>'

    numbered = list(enumerate(tables, 1))
    formats_ = "".join(f'<numFmt numFmtId="{200 + at}" formatCode={quoteattr(one)}/>' for at, one in enumerate(codes))
    used = "".join(f'<xf numFmtId="{200 + at}"/>' for at in range(len(codes)))
    return documents.zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": documents.relations_xml(
                f'<Relationship Id="r0" Type="{documents.OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
            ),
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{documents.OFFICE}"><sheets>'
            + "".join(f'<sheet name="s{at}" sheetId="{at}" r:id="r{at}" state="{one[0]}"/>' for at, one in numbered)
            + "</sheets></workbook>",
            "xl/styles.xml": f'<styleSheet xmlns="{main}"><numFmts>{formats_}</numFmts><cellStyleXfs><xf numFmtId="2"/>'
            f'</cellStyleXfs><cellXfs><xf numFmtId="0"/>{used}</cellXfs></styleSheet>',
            "xl/_rels/workbook.xml.rels": documents.relations_xml(
                "".join(
                    f'<Relationship Id="r{at}" Type="{documents.OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
                    for at, _ in numbered
                )
            ),
            **{f"xl/worksheets/sheet{at}.xml": sheet(table) for at, (_, table) in numbered},
        }
    )


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SPACE = "urn:oasis:names:tc:opendocument:xmlns"


def ods(tables: Sequence[tuple[str, Sequence[Sequence[Cell]]]], repeat: str = "") -> bytes:
    """An OpenDocument of tables: (state, rows). `repeat` is an attribute of every row."""

    def made(cell: Cell) -> str:
        if isinstance(cell, str):
            text = f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
            return text if cell else "<table:table-cell/>"
        return (
            f'<table:table-cell office:value-type="float" office:value="{cell[0]}">'
            f"<office:annotation><text:p>1</text:p></office:annotation><text:p>{cell[1]}</text:p></table:table-cell>"
        )

    def table(number: int, state: str, rows: Sequence[Sequence[Cell]]) -> str:
        style = "seen" if state == "visible" else "unseen"
        body = "".join(f"<table:table-row {repeat}>{''.join(map(made, row))}</table:table-row>" for row in rows)
        return f'<table:table table:name="t{number}" table:style-name="{style}">{body}</table:table>'

    names = " ".join(f'xmlns:{name}="{SPACE}:{name}:1.0"' for name in ("office", "table", "text", "style"))
    styles = "".join(
        f'<style:style style:name="{name}" style:family="table"><style:table-properties table:display="{shown}"/>'
        "</style:style>"
        for name, shown in (("seen", "true"), ("unseen", "false"))
    )
    content = (
        f"<office:document-content {names}><office:automatic-styles>{styles}</office:automatic-styles><office:body>"
        f"<office:spreadsheet>{''.join(table(at, *one) for at, one in enumerate(tables))}</office:spreadsheet>"
        "</office:body></office:document-content>"
    )
    manifest = f'<manifest:manifest xmlns:manifest="{SPACE}:manifest:1.0"/>'
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return documents.zipped({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})


PEOPLE: list[list[Cell]] = [["phone", "name"], [("61491570006", "General"), "Ann"]]
READ = [["phone", "name"], ["61491570006", "Ann"]]
LISTS: list[list[Cell]] = [["drop", "down"]]


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
@pytest.mark.parametrize(
    "before",
    [
        [],
        [("hidden", LISTS)],
        [("veryHidden", LISTS), ("hidden", LISTS)],
        [("visible", [])],
        [("visible", [["", ""]]), ("hidden", LISTS), ("visible", [])],
        [("visible", [[" ", ""], [], [" \n "]])],
    ],
)
def test_the_first_sheet_that_is_seen_and_has_cells(
    kind: str, before: list[tuple[str, Sequence[Sequence[Cell]]]]
) -> None:
    tables = [*before, ("visible", PEOPLE), ("visible", LISTS)]
    data = xlsx(tables) if kind == "xlsx" else ods(tables)
    assert list(workbook.rows(data, kind)) == READ
    assert sheets.to_csv(data, kind, "cp1252").decode() == "phone,name\r\n61491570006,Ann\r\n"


def test_a_file_whose_sheets_are_all_hidden_has_no_rows() -> None:
    for data, kind in ((xlsx([("hidden", LISTS)]), "xlsx"), (ods([("hidden", LISTS)]), "ods")):
        assert list(workbook.rows(data, kind)) == []
        with pytest.raises(Refused, match="no rows"):
            sheets.to_csv(data, kind, "cp1252")


SHOWN = [
    (2134, "00000", "02134"),
    (0, "00000", "00000"),
    (491570006, "0000000000", "0491570006"),
    (61491570006, "0000000000", "61491570006"),
    (61491570006, '"+"0', "+61491570006"),
    (61491570006, "+0", "+61491570006"),
    (61491570006, "\\+##\\ ###\\ ###\\ ###", "+61 491 570 006"),
    (61491570006, "#,##0", "61491570006"),
    (61491570006, "General", "61491570006"),
    (628123456789, "0.00E+00", "628123456789"),
    (628123456789, "General", "628123456789"),
    (123456789012345, "General", "123456789012345"),
    (4155550123, "[<=9999999]###-####;(###) ###-####", "(415) 555-0123"),
    (5550123, "[<=9999999]###-####;(###) ###-####", "555-0123"),
    (612345678, '0#" "##" "##" "##" "##', "06 12 34 56 78"),
    (7, '"AB"000', "AB007"),
    (7, "[Red]000", "007"),
    (0.155, "0.0%", "15.5%"),
    (0.155, "0%", "16%"),
    (12.5, "0.00", "12.50"),
    (12.005, "0.00", "12.01"),
    (3, "0.00", "3.00"),
    (12.5, '"$"#,##0.00', "$12.50"),
    (1234.5, "[$€-407] #,##0.00", "€ 1234.50"),
    (-12.5, "0.00", "-12.50"),
    (-12.5, "#,##0.00;(#,##0.00)", "(12.50)"),
    (1234.5, '_-* #,##0.00_-;-* #,##0.00_-;_-* "-"??_-;_-@_-', "1234.50"),
    (0, "0;-0;none;@", "0"),
    (5.25, "0.##", "5.25"),
    (5, "0.##", "5"),
    (1234567, "0.0,", "1234567"),
    (0.5, "# ?/?", "0.5"),
    (0.1 + 0.2, "General", "0.3"),
    (1e-7, "General", "0.0000001"),
    (1.5, "@", "1.5"),
    (1.5, ";;;", "1.5"),
    (1.5, "", "1.5"),
    (1.5, '"never closed', "1.5"),
    (1.5, "0" * 300, "1.5"),
]


@pytest.mark.parametrize(("value", "code", "text"), SHOWN)
def test_numbers_are_as_their_formats_show_them(value: float, code: str, text: str) -> None:
    assert formats.shown(float(value), code) == text


def test_formats_of_dates_shape_no_number() -> None:
    assert not any(
        map(formats.shapes, ("dd/mm/yyyy", "[h]:mm", "mmm-yy", "General", "0", "@", "0.00E+00", "yyyy\\-mm"))
    )


@pytest.mark.parametrize(("strict", "prefix"), [(False, ""), (False, "x"), (True, "")])
def test_numbers_of_xlsx(strict: bool, prefix: str) -> None:
    some = [(value, code, text) for value, code, text in SHOWN if code not in ("", "0" * 300)]
    table: list[list[Cell]] = [["", "head"], [], *(["", (value, code), "x"] for value, code, _ in some)]
    found = list(workbook.rows(xlsx([("hidden", LISTS), ("visible", table)], strict, prefix), "xlsx"))
    assert [row[1] for row in found[2:]] == [text for _, _, text in some]


@pytest.mark.parametrize(
    ("value", "shown", "text"),
    [
        (2134, "02134", "02134"),
        (61491570006, "+61491570006", "+61491570006"),
        (61491570006, "61491570006", "61491570006"),
        (61491570006, "61,491,570,006", "61491570006"),
        (61491570006, "61.491.570.006", "61491570006"),
        (61491570006, "61\u202f491\u202f570\u202f006", "61491570006"),
        (628123456789, "6.28E+11", "628123456789"),
        (628123456789, "6,28E+011", "628123456789"),
        (491570006, "0491 570 006", "0491 570 006"),
        (4155550123, "(415) 555-0123", "(415) 555-0123"),
        (12.5, "12,50", "12.50"),
        (1234.5, "1.234,50 €", "1234.50 €"),
        (1234.5, "$1,234.50", "$1234.50"),
        (0.155, "15.5%", "15.5%"),
        (-12.5, "-12.50", "-12.50"),
        (1.5, "###", "1.5"),
        (1.5, "one and a half", "1.5"),
        (1.5, "", "1.5"),
    ],
)
def test_numbers_of_ods(value: float, shown: str, text: str) -> None:
    data = ods([("hidden", LISTS), ("visible", [["a", "b"], [], ["x", (value, shown)]])])
    assert list(workbook.rows(data, "ods")) == [["a", "b"], [], ["x", text]]


def test_rows_of_ods_that_are_repeated() -> None:
    data = ods([("visible", [["", (7, "007")], ["x"], [(8, "08")]])], 'table:number-rows-repeated="3"')
    assert [[cell for cell in row if cell] for row in workbook.rows(data, "ods")] == [["007"]] * 3 + [["x"]] * 3 + [
        ["08"]
    ] * 3


def test_numbers_of_xls() -> None:
    """The file has sheets that are hidden, very hidden and empty before this one."""
    assert list(workbook.rows((HERE / "formats.xls").read_bytes(), "xls")) == [
        [],
        [],
        ["", "phone", "code", "rate", "share", "day"],
        ["", "0491570006", "02134", "12.50", "16%", "1990-05-17"],
        ["", "61491570156", "00007", "3.00", "100%", "1990-05-17 08:30:00", "True"],
    ]


def test_sheets_of_xls_that_only_have_formats() -> None:
    """Before the contacts lies a sheet of blank cells in colour, a blank text and an empty one."""
    assert list(workbook.rows((HERE / "blanks.xls").read_bytes(), "xls")) == [
        [],
        ["phone", "name"],
        ["0491570006", "Ann"],
    ]


def test_an_import_gets_the_lines_of_the_sheet(tmp_path: Path) -> None:
    data = xlsx([("visible", [[], ["a;b", "c\n d"], [], [("7", "00"), 'x"y']])])
    (tmp_path / "made").write_bytes(sheets.to_lines(data, "xlsx", "cp1252"))
    assert list(lines.read(tmp_path / "made")) == [(2, ["a;b", "c\n d"]), (4, ["07", 'x"y'])]


@pytest.mark.parametrize("mark", BREAKS)
def test_no_break_within_a_cell_disappears(tmp_path: Path, mark: str) -> None:
    cell = f"0664 1234567{mark}89"
    (tmp_path / "made").write_bytes(lines.written([(1, [f" {cell} ", f"{mark}x"])]))
    kept = (
        "0664 1234567\t89"
        if mark == "\t"
        else f"0664 1234567{len(mark.replace(chr(13) + chr(10), chr(10))) * chr(10)}89"
    )
    assert list(lines.read(tmp_path / "made")) == [(1, [kept, "x"])]
    made = sheets.to_csv(f'"{cell}";x\n'.encode(), "csv", "cp1252").decode()
    assert made == (f"{kept},x\r\n" if mark == "\t" else f'"{kept}",x\r\n')


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_the_lines_of_a_cell(kind: str) -> None:
    cell = "0664 1234567\n89" if kind == "xlsx" else "0664 1234567</text:p><text:p>89"
    data = xlsx([("visible", [[cell]])]) if kind == "xlsx" else ods([("visible", [[cell]])])
    assert list(workbook.rows(data, kind)) == [["0664 1234567\n89"]]


def test_entities_are_refused_where_formats_are_read() -> None:
    entity = '<!DOCTYPE a [<!ENTITY b "c">]>'
    data = xlsx([("visible", [[("7", "00")]])])
    for member in ("xl/styles.xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
        with pytest.raises(Refused, match="damaged"):
            list(workbook.rows(changed(data, member, lambda content: entity.encode() + content), "xlsx"))
