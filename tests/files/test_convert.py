"""Every kind of file to every target. The results are looked at.

One file of each kind goes through the worker process that the server uses. What differs within a kind goes through the
worker's function alone, since to start a process for it takes longer than the work; what the process is for is shown in
test_confine.py and test_hostile.py.
"""

import asyncio
import csv
import io
import shutil
import tempfile
import warnings
from collections.abc import Awaitable
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String
from PIL import Image

from heliograph import settings
from heliograph.files import confine, worker
from heliograph.files.convert import Converted, Converter
from heliograph.files.task import Refused, Task
from support import documents, installed

A4, A5, LETTER = (595.276, 841.89), (419.528, 595.276), (612, 792)


async def converted(data: bytes, target: str, name: str = "file.x", **options: object) -> Converted:
    converter = Converter(settings.load(**options))
    try:
        return await converter.convert(data, name, target)
    finally:
        await converter.close()


def by_worker(data: bytes, target: str, **options: object) -> Converted:
    return asyncio.run(converted(data, target, **options))


def convert(data: bytes, target: str) -> Converted:
    """What the worker would make, in this process, which gives nothing up for it. Raises Refused."""
    task = Task(target, shutil.which("soffice") or "", 2**30, 60)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(confine, "leave_files", lambda *_, **__: True)
        made, outcome = worker.convert(data, task, Path(folder))
    return Converted(made, f"file.{outcome.extension}", outcome.extension, outcome.pages)


def rows(made: Converted) -> list[list[str]]:
    assert made.content_type == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(made.data.decode(), newline="")))


@pytest.mark.parametrize("target", ["fax", pytest.param("post", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["rtf", "doc", "docx"])
def test_a_document_becomes_a4(kind: str, target: str) -> None:
    installed.program("soffice")
    made = by_worker((documents.FOLDER / f"letter.{kind}").read_bytes(), target, name=f"My letter.{kind}")
    assert (made.name, made.content_type, made.pages) == ("My letter.pdf", "application/pdf", 2)
    assert documents.sizes_of(made.data) == [(210, 297)] * 2, "it was on US Letter"
    text = documents.text_of(made.data)
    assert "Ms Ann Example" in text
    assert "łódź" in text
    assert "Second page" in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_text_becomes_a4(encoding: str) -> None:
    installed.program("soffice")
    made = by_worker("Hello Zoë,\n100 € for café\n".encode(encoding), "fax", name="note.txt")
    assert documents.sizes_of(made.data) == [(210, 297)]
    assert documents.text_of(made.data).splitlines() == ["Hello Zoë,", "100 € for café"]


def test_without_libreoffice_a_document_is_refused_and_a_picture_is_not() -> None:
    with pytest.raises(Refused, match=r"cannot read rtf files: LibreOffice is not installed"):
        by_worker(b"{\\rtf1 Hello}", "fax", soffice="no-such-program")
    assert by_worker(documents.saved(documents.picture(60, 40), "PNG"), "fax", soffice="no-such-program").pages == 1


@pytest.mark.parametrize(
    ("size", "target", "millimetres"),
    [
        (A4, "fax", (210, 297)),
        (LETTER, "post", (210, 297)),
        ((842, 595), "post", (210, 297)),
        (A5, "fax", (210, 297)),
        (A4, "postcard", (148, 210)),
        ((842, 595), "postcard", (210, 148)),
    ],
)
def test_a_pdf_is_put_on_the_paper(size: tuple[float, float], target: str, millimetres: tuple[int, int]) -> None:
    made = by_worker(documents.pdf(size, size), target)
    assert documents.sizes_of(made.data) == [millimetres] * 2
    assert made.pages == 2
    assert "Page 1" in documents.text_of(made.data)
    middle = documents.red_at(documents.rendered(made.data))
    assert middle is not None, "the square in the lower left corner is still there"
    turned = (size[0] > size[1]) != (millimetres[0] > millimetres[1])
    assert (middle[0] < 0.2, middle[1] < 0.2) == (True, turned), middle


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_is_printed_as_it_is_shown(turn: int) -> None:
    with pikepdf.open(io.BytesIO(documents.pdf(A4))) as document:
        document.pages[0].rotate(turn, relative=False)
        out = io.BytesIO()
        document.save(out)
    shown = documents.rendered(out.getvalue())
    if shown.width > shown.height:
        shown = shown.transpose(Image.Transpose.ROTATE_270)
    made = convert(out.getvalue(), "post")
    assert documents.sizes_of(made.data) == [(210, 297)]
    assert documents.red_at(documents.rendered(made.data)) == pytest.approx(documents.red_at(shown), abs=0.01)


def test_a_postcard_of_one_page_gets_its_second_side() -> None:
    made = convert(documents.pdf(A5), "postcard")
    assert (made.pages, documents.sizes_of(made.data)) == (2, [(148, 210)] * 2)


@pytest.mark.parametrize(("target", "most"), [("postcard", 2), ("fax", 200)])
def test_a_pdf_with_too_many_pages_is_refused(target: str, most: int) -> None:
    with pytest.raises(Refused, match=f"has {most + 1} pages; at most {most}"):
        by_worker(documents.pdf(*[A4] * (most + 1)), target)


def test_a_fax_can_be_sent_as_g4() -> None:
    """T.6 pages of 1728 dots a line (ITU-T T.4) are what a fax machine takes."""
    made = convert(documents.pdf(A4), "fax")
    page = documents.rendered(made.data, dpi=204).resize((1728, 2287)).convert("1")
    tiff = documents.saved(page, "TIFF", compression="group4", dpi=(204, 196))
    with Image.open(io.BytesIO(tiff)) as image:
        assert (image.size, image.info["compression"]) == ((1728, 2287), "group4")
        assert 0 < sum(image.convert("L").histogram()[:128]) < 1728 * 2287 / 10, "some black, much white"


def test_forms_are_drawn_and_scripts_stay_behind() -> None:
    """What an annotation shows is printed; what it does, and what is attached, is not in the result at all."""
    made = by_worker(hostile_pdf(), "post")
    for trace in (b"/JavaScript", b"/JS", b"/EmbeddedFile", b"/OpenAction", b"/Annots", b"/AcroForm", b"/Launch"):
        assert trace not in uncompressed(made.data), trace
    assert documents.red_at(documents.rendered(made.data)) is not None


def hostile_pdf() -> bytes:
    document = pikepdf.open(io.BytesIO(documents.pdf(A4)))
    page = document.pages[0]
    page.obj.Contents = document.make_stream(b"")
    form = document.make_stream(
        b"1 0 0 rg 0 0 100 100 re f", Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 100, 100]
    )
    look = Dictionary(
        Type=Name.Annot,
        Subtype=Name.Stamp,
        Rect=[100, 100, 200, 200],
        AP=Dictionary(N=form),
        F=4,
        A=Dictionary(S=Name.Launch, F=String("/bin/sh")),
    )
    page.obj.Annots = Array([document.make_indirect(look)])
    document.Root.OpenAction = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))
    document.attachments["evil.exe"] = b"MZ"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def uncompressed(data: bytes) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(data)) as document:
        document.save(
            out,
            compress_streams=False,
            stream_decode_level=pikepdf.StreamDecodeLevel.all,
            object_stream_mode=pikepdf.ObjectStreamMode.disable,
        )
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_a_picture_becomes_an_mms(kind: str) -> None:
    made = by_worker(documents.saved(documents.picture(2600, 1900), kind), "mms", name="Ferien.bild")
    assert (made.name, made.content_type) == ("Ferien.jpg", "image/jpeg")
    assert 150_000 < len(made.data) < 250_000, "as good as it can be"
    with Image.open(io.BytesIO(made.data)) as image:
        assert (image.format, image.size) == ("JPEG", (1280, 935))
        middle = documents.red_at(image.convert("RGB"))
        assert middle is not None
        assert (round(middle[0], 1), round(middle[1], 1)) == (0.1, 0.2)


def test_a_small_picture_is_not_enlarged() -> None:
    made = convert(documents.saved(documents.picture(60, 40), "PNG"), "mms")
    assert Image.open(io.BytesIO(made.data)).size == (60, 40)


def test_an_animation_stays_one_and_fits() -> None:
    made = convert(documents.animation(12, 900, 600), "mms")
    assert (made.content_type, len(made.data) < 250_000) == ("image/gif", True)
    with Image.open(io.BytesIO(made.data)) as image:
        assert (image.n_frames, image.info["duration"], image.info["loop"]) == (12, 120, 0)  # type: ignore[attr-defined]
        assert image.width > 100


def test_a_picture_lies_as_its_camera_says_and_says_no_more() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "taken at home"
    made = convert(documents.saved(documents.picture(800, 600), "JPEG", exif=exif), "mms")
    assert b"taken at home" not in made.data
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.size == (600, 800)
        middle = documents.red_at(image.convert("RGB"))
        assert middle is not None
        assert middle[0] > 0.8, "what was on the left is on the right now"


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("I;16", "PNG")],
)
@pytest.mark.parametrize("target", ["mms", "post"])
def test_every_kind_of_pixel(mode: str, kind: str, target: str) -> None:
    """What can be seen through is white, and a grey of 16 bits is no black or white of 8."""
    grey = Image.new("L", (400, 300), 128)
    if mode == "I;16":
        image = Image.new("I;16", grey.size, 128 * 256)
    elif mode in ("RGBA", "LA"):
        image = Image.new(mode, grey.size, (0, 0, 0, 128) if mode == "RGBA" else (0, 128))
    else:
        image = grey.convert(mode)
    made = convert(documents.saved(image, kind), target)
    seen = Image.open(io.BytesIO(made.data)) if target == "mms" else documents.rendered(made.data)
    shades = seen.convert("L").resize((1, 1))
    assert 100 < shades.getpixel((0, 0)) < 230  # type: ignore[operator]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("target", ["mms", "fax"])
def test_one_colour_may_be_transparent(mode: str, target: str) -> None:
    """PNG's tRNS: a drawing on black that nobody sees is a drawing on white. Nothing of it is left for a printer."""
    image = Image.new(mode, (400, 300))
    made = convert(documents.saved(image, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0), target)
    assert b"/SMask" not in made.data
    seen = Image.open(io.BytesIO(made.data)) if target == "mms" else documents.rendered(made.data)
    assert seen.convert("L").getextrema() == (255, 255)


def test_a_moving_png_is_a_png() -> None:
    frames = [documents.picture(60, 40) for _ in range(2)]
    made = convert(documents.saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), "mms")
    assert made.extension == "jpg"


def test_a_text_about_pdf_is_no_pdf_but_a_pdf_behind_rubbish_is_one() -> None:
    installed.program("soffice")
    assert documents.text_of(convert(b"A file that begins with %PDF-1.4 is a PDF.", "fax").data).startswith("A file")
    assert "Page 1" in documents.text_of(convert(b"rubbish\n" * 50 + documents.pdf(A4), "fax").data)


@pytest.mark.parametrize(("target", "paper"), [("fax", (210, 297)), ("post", (210, 297)), ("postcard", (148, 210))])
def test_a_picture_becomes_a_page(target: str, paper: tuple[int, int]) -> None:
    made = by_worker(documents.saved(documents.picture(800, 1200), "JPEG"), target)
    assert documents.sizes_of(made.data)[0] == paper
    middle = documents.red_at(documents.rendered(made.data))
    assert middle is not None
    assert middle[0] < 0.25
    assert middle[1] < 0.25


def test_a_picture_that_lies_is_turned_on_a_letter_but_not_on_a_postcard() -> None:
    picture = documents.saved(documents.picture(1200, 800), "JPEG")
    assert documents.sizes_of(convert(picture, "post").data) == [(210, 297)]
    assert documents.sizes_of(convert(picture, "postcard").data) == [(210, 148)] * 2


def test_a_tiff_may_have_pages() -> None:
    pages = [documents.picture(400, 600) for _ in range(3)]
    made = convert(documents.saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "fax")
    assert (made.pages, documents.sizes_of(made.data)) == (3, [(210, 297)] * 3)


PEOPLE = [["name", "phone", "note"], ["Zoë", 61411111111, 'says "hi", twice'], ["Ann", "+61422222222", None], [None]]
CLEAN = [["name", "phone", "note"], ["Zoë", "61411111111", 'says "hi", twice'], ["Ann", "+61422222222", ""]]


def test_xlsx_to_csv() -> None:
    assert rows(by_worker(documents.xlsx(PEOPLE), "csv", name="people.xlsx")) == CLEAN


def test_ods_to_csv() -> None:
    table = [[str(value) for value in row if value is not None] for row in PEOPLE]
    assert rows(by_worker(documents.ods(table), "csv")) == CLEAN


def test_xls_to_csv() -> None:
    assert rows(by_worker((documents.FOLDER / "people.xls").read_bytes(), "csv")) == [
        ["name", "phone", "born", "rate"],
        ["Zoë", "61411111111", "1990-05-17", "1.5"],
        ["Ann, B.", "+61422222222", "", ""],
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_csv_to_clean_csv(mark: str, encoding: str) -> None:
    text = f'name{mark}phone\nZoë{mark}"6{mark}1"\n\n Ann {mark}\n'
    assert rows(convert(text.encode(encoding), "csv")) == [["name", "phone"], ["Zoë", f"6{mark}1"], ["Ann", ""]]


CARDS = """BEGIN:VCARD
VERSION:3.0
N:Example;Zoë;;;
FN:Zoë Example
ORG:Acme;Sales
TEL;TYPE=HOME,VOICE:+61 2 5550 0000
TEL;TYPE=CELL:+61411111111
TEL;TYPE=WORK,FAX:+61255500001
EMAIL:zoe@example.com
ADR;TYPE=HOME:;Unit 1;12 Sample St;Sydney;NSW;2000;Australia
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Ann Other
TEL;VALUE=uri;TYPE="voice,cell":tel:+61422222222
END:VCARD
BEGIN:VCARD
VERSION:2.1
N:Old;Bob
TEL;CELL:+61433333333
TEL;HOME:+61255500002
END:VCARD
"""


def test_vcards_to_csv() -> None:
    header, zoe, ann, bob = rows(by_worker(CARDS.replace("\n", "\r\n").encode(), "csv", name="contacts.vcf"))
    named = dict(zip(header, zoe, strict=True))
    assert named == {
        "phone": "+61411111111",
        "first_name": "Zoë",
        "last_name": "Example",
        "email": "zoe@example.com",
        "fax_number": "+61255500001",
        "organization_name": "Acme",
        "address_line_1": "12 Sample St",
        "address_line_2": "Unit 1",
        "address_city": "Sydney",
        "address_state": "NSW",
        "address_postal_code": "2000",
        "address_country": "Australia",
    }
    assert ann[:3] == ["+61422222222", "Ann", "Other"]
    assert bob[:3] == ["+61433333333", "Bob", "Old"]


def test_many_files_are_converted_a_few_at_a_time() -> None:
    async def all_of() -> list[Converted]:
        converter = Converter(settings.load(conversions=2))
        png = documents.saved(documents.picture(60, 40), "PNG")
        tasks: list[Awaitable[Converted]] = [converter.convert(png, f"{at}.png", "mms") for at in range(6)]
        made = await asyncio.gather(*tasks)
        await converter.close()
        return list(made)

    assert [made.name for made in asyncio.run(all_of())] == [f"{at}.jpg" for at in range(6)]
