"""Real files of every kind that an upload may have, made here or lying in tests/files."""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2
from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent.parent / "files"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A photograph's worth of detail: noise under a red circle in the upper left."""
    image = Image.effect_noise((width, height), 60).convert(mode)
    ImageDraw.Draw(image).ellipse((0, 0, width // 4, width // 4), fill="red" if mode.startswith("RGB") else 0)
    return image


def saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def animation(frames: int, width: int, height: int) -> bytes:
    made = []
    for number in range(frames):
        image = picture(width, height).convert("P", palette=Image.Palette.ADAPTIVE)
        ImageDraw.Draw(image).rectangle((number * 10, height // 2, number * 10 + 40, height), fill=1)
        made.append(image)
    return saved(made[0], "GIF", save_all=True, append_images=made[1:], duration=120, loop=0)


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that unpacks to width x height pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 4096)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def pdf(*sizes: tuple[float, float], **save: Any) -> bytes:
    """A PDF with a page of each size (points), each with its number in a corner."""
    document = pikepdf.new()
    for number, size in enumerate(sizes, 1):
        page = document.add_blank_page(page_size=size)
        text = f"BT /F1 24 Tf 20 {size[1] - 40:.0f} Td (Page {number}) Tj ET 1 0 0 rg 0 0 30 30 re f"
        page.obj.Contents = document.make_stream(text.encode())
        font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
    out = io.BytesIO()
    document.save(out, **save)
    return out.getvalue()


def sizes_of(data: bytes) -> list[tuple[int, int]]:
    """Pages of a PDF in millimetres."""
    with pypdfium2.PdfDocument(data) as document:
        return [tuple(round(side * 25.4 / 72) for side in document.get_page_size(at)) for at in range(len(document))]  # type: ignore[misc]


def text_of(data: bytes) -> str:
    with pypdfium2.PdfDocument(data) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def rendered(data: bytes, page: int = 0, dpi: int = 50) -> Image.Image:
    with pypdfium2.PdfDocument(data) as document:
        image: Image.Image = document[page].render(scale=dpi / 72).to_pil().convert("RGB")
        return image


def red_at(image: Image.Image) -> tuple[float, float] | None:
    """The middle of what is red, as shares of width and height; None when nothing is."""
    red, green, blue = image.split()
    mask = Image.eval(red, lambda value: 255 if value > 200 else 0)
    for other in (green, blue):
        mask = Image.composite(mask, Image.new("L", image.size), Image.eval(other, lambda v: 255 if v < 90 else 0))
    box = mask.getbbox()
    if box is None:
        return None
    return (box[0] + box[2]) / 2 / image.width, (box[1] + box[3]) / 2 / image.height


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def docx(body: str, relations: str = "", **more: str | bytes) -> bytes:
    """A Word document whose body has these paragraphs; `more` are further members below word/, `_` for the dot."""
    spaces = (
        'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
        f' xmlns:r="{OFFICE}" xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"'
        ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
        ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
        ' xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"'
    )
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="html" ContentType="text/html"/><Default Extension="bin" ContentType="application/x"/>'
        '<Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    first = f'<Relationship Id="r0" Type="{OFFICE}/officeDocument" Target="word/document.xml"/>'
    return zipped(
        {
            "[Content_Types].xml": types,
            "_rels/.rels": relations_xml(first),
            "word/document.xml": f"<w:document {spaces}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations_xml(relations),
            **{f"word/{name.replace('_', '.')}": content for name, content in more.items()},
        }
    )


def relations_xml(inner: str) -> str:
    return f'<Relationships xmlns="{RELATIONS}">{inner}</Relationships>'


def external(key: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target="{target}" TargetMode="External"/>'


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def linked_picture(key: str) -> str:
    return (
        '<w:p><w:r><w:drawing><wp:inline><wp:extent cx="2000000" cy="2000000"/><wp:docPr id="1" name="p"/><a:graphic>'
        '<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic><pic:nvPicPr>'
        f'<pic:cNvPr id="0" name="p"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:link="{key}"/><a:stretch>'
        '<a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/>'
        '<a:ext cx="2000000" cy="2000000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr>'
        "</pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )


def field(instruction: str) -> str:
    kinds = [f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end")]
    text = f'<w:r><w:instrText xml:space="preserve"> {instruction} </w:instrText></w:r>'
    return f"<w:p>{kinds[0]}{text}{kinds[1]}<w:r><w:t>before</w:t></w:r>{kinds[2]}</w:p>"


def _column(number: int) -> str:
    return chr(65 + number)


def xlsx(rows: list[list[Any]]) -> bytes:
    """A workbook of one sheet: numbers as numbers, everything else as inline text."""
    lines = []
    for at, row in enumerate(rows, 1):
        cells = []
        for number, value in enumerate(row):
            place = f"{_column(number)}{at}"
            if isinstance(value, int | float) and math.isfinite(value):
                cells.append(f'<c r="{place}"><v>{value}</v></c>')
            elif value is not None:
                cells.append(f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{value}</t></is></c>')
        lines.append(f'<row r="{at}">{"".join(cells)}</row>')
    body = "".join(lines)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = '<sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets>'
    book = f'<workbook xmlns="{main}" xmlns:r="{OFFICE}">{sheet}</workbook>'
    first = f'<Relationship Id="r0" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": relations_xml(first),
            "xl/workbook.xml": book,
            "xl/_rels/workbook.xml.rels": relations_xml(
                f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
            ),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
        }
    )


def ods(rows: list[list[str]]) -> bytes:
    space = "urn:oasis:names:tc:opendocument:xmlns"
    cells = "".join(
        "<table:table-row>"
        + "".join(f'<table:table-cell office:value-type="string"><text:p>{v}</text:p></table:table-cell>' for v in row)
        + "</table:table-row>"
        for row in rows
    )
    content = (
        f'<office:document-content xmlns:office="{space}:office:1.0" xmlns:table="{space}:table:1.0"'
        f' xmlns:text="{space}:text:1.0"><office:body><office:spreadsheet><table:table table:name="a">{cells}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    manifest = f'<manifest:manifest xmlns:manifest="{space}:manifest:1.0"/>'
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return zipped({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})
