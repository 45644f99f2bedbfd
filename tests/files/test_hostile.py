"""Files that want to harm: each is refused with a sentence, or does nothing but show itself."""

import asyncio
import contextlib
import gzip
import io
import os
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from heliograph import settings
from heliograph.files import office, sheetxml, workbook, worker
from heliograph.files.convert import Converted, Converter
from heliograph.files.task import TARGETS, Refused
from support import documents, installed
from support.documents import docx, external, field, linked_picture, paragraph
from support.listener import Listener
from support.logs import own_logs

A4 = (595.276, 841.89)


def convert(data: bytes, target: str, **options: object) -> Converted:
    async def run() -> Converted:
        converter = Converter(settings.load(**options))
        try:
            return await converter.convert(data, "file", target)
        finally:
            await converter.close()

    return asyncio.run(run())


def refused(data: bytes, target: str, **options: object) -> str:
    with pytest.raises(Refused) as why:
        convert(data, target, **options)
    return str(why.value)


def locked_pdf() -> bytes:
    return documents.pdf(A4, encryption=pikepdf.Encryption(owner="owner", user="user"))


def changed(data: bytes, name: str, content: Callable[[bytes], bytes]) -> bytes:
    """A zipped file with another content of one member."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    return documents.zipped({**members, name: content(members[name])})


def entity(data: bytes, name: str) -> bytes:
    """An XML entity that is a file of this machine (XXE), in place of every "a" that is a text."""
    head = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    return changed(data, name, lambda content: head + content.replace(b">a<", b">&e;<"))


def far_cell() -> bytes:
    """A sheet of one cell, in the last column of the last row: 17 thousand million cells."""
    sheet = "xl/worksheets/sheet1.xml"
    return changed(documents.xlsx([["a"]]), sheet, lambda content: content.replace(b"A1", b"XFD1048576"))


def locked_ods() -> bytes:
    space = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    inner = '<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry>'
    text = f'<manifest:manifest xmlns:manifest="{space}">{inner}</manifest:manifest>'
    return changed(documents.ods([["a"]]), "META-INF/manifest.xml", lambda _: text.encode())


def locked_doc() -> bytes:
    data = bytearray((documents.FOLDER / "letter.doc").read_bytes())
    data[data.index(b"\xec\xa5") + 11] |= 0x01
    return bytes(data)


def zip_bomb(inner: str, megabytes: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(inner, b" " * (megabytes * 2**20))
    return out.getvalue()


def lying_zip() -> bytes:
    """A document whose directory says that it is small."""
    made = bytearray(zip_bomb("word/document.xml", 300))
    entry = made.index(b"PK\x01\x02")
    made[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")
    return bytes(made)


def ole(*streams: str) -> bytes:
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
    return head + b"".join((stream + "\0").encode("utf-16-le") for stream in streams) + bytes(1024)


PNG = documents.saved(documents.picture(60, 40), "PNG")
REFUSALS = [
    ("empty", b"", "fax", "is empty"),
    ("noise", os.urandom(5000), "fax", "of an unknown kind"),
    ("program", b"\x7fELF" + bytes(5000), "post", "is elf, which cannot"),
    ("svg with a script", b'<svg xmlns="x"><script>alert(1)</script></svg>', "mms", "HTML, XML or SVG"),
    ("html as a document", b"<!DOCTYPE html><img src=http://127.0.0.1/>", "fax", "HTML, XML or SVG"),
    ("html behind a mark", b"\xef\xbb\xbf  <html>", "csv", "HTML, XML or SVG"),
    ("text for a picture", b"hello", "mms", "Supported: jpeg, png, gif, bmp, tiff, webp"),
    ("picture for a table", PNG, "csv", "Supported: xlsx, xls, ods, csv, vcf"),
    ("pdf for a table", documents.pdf(A4), "csv", "is pdf"),
    ("plain zip", documents.zipped({"a.txt": "x"}), "fax", "is zip"),
    ("torn zip", documents.xlsx([["a"]])[:300], "csv", "damaged"),
    ("zip bomb", lambda: zip_bomb("word/document.xml", 300), "fax", "unpacks to more"),
    ("many members", lambda: documents.zipped({f"xl/{n}": "" for n in range(10_001)}), "csv", "unpacks to more"),
    ("empty workbook", documents.xlsx([]), "csv", "no rows"),
    ("workbook without a sheet", documents.zipped({"xl/workbook.xml": "<a/>"}), "csv", "damaged"),
    ("locked office file", ole("EncryptionInfo", "EncryptedPackage"), "fax", "protected with a password"),
    ("locked spreadsheet of LibreOffice", locked_ods(), "csv", "protected with a password"),
    ("locked document of Word 97", locked_doc(), "fax", "protected with a password"),
    ("half a document of Word 97", (documents.FOLDER / "letter.doc").read_bytes()[:4000], "fax", "of an unknown kind"),
    ("half a spreadsheet of Excel 97", (documents.FOLDER / "people.xls").read_bytes()[:3000], "csv", "of an unknown"),
    ("photo of an iPhone", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500), "mms", "is heic, which cannot"),
    ("entity in a spreadsheet", entity(documents.xlsx([["a"]]), "xl/worksheets/sheet1.xml"), "csv", "is damaged"),
    ("cell far away", far_cell(), "csv", "200000 rows"),
    ("locked pdf", locked_pdf(), "post", "protected with a password"),
    ("torn pdf", documents.pdf(A4)[:200], "post", "damaged"),
    ("pdf without pages", documents.pdf(), "post", "damaged"),
    ("pdf of 10,000 pages", lambda: documents.pdf(*[A4] * 10_000), "fax", "has 10000 pages; at most 200"),
    ("poster", documents.pdf((9000, 9000)), "post", "3175 x 3175 mm"),
    ("stamp", documents.pdf((40, 40)), "post", "14 x 14 mm"),
    ("ribbon", documents.pdf((3000, 100)), "fax", "does not fit the paper"),
    ("huge picture", documents.png_header(60_000, 60_000), "mms", "60 million pixels"),
    ("torn picture", PNG[:500], "mms", "damaged"),
    ("a signature alone", PNG[:10], "fax", "damaged"),
    ("gif alone", b"GIF89a", "mms", "damaged"),
    ("wide table", b"," * 600 + b"x", "csv", "500 columns"),
    ("long table", b"a\n" * 200_001, "csv", "200000 rows"),
]


@pytest.mark.parametrize(("data", "target", "why"), [one[1:] for one in REFUSALS], ids=[one[0] for one in REFUSALS])
def test_a_bad_file_is_refused_with_a_reason(data: bytes | Callable[[], bytes], target: str, why: str) -> None:
    """What takes long to make is made here, and not whenever tests are collected."""
    assert why in refused(data() if callable(data) else data, target)


def test_a_cell_far_away_makes_no_long_row() -> None:
    """Made for each of a million empty rows, 16,000 empty cells took minutes."""
    rows = list(workbook.rows(far_cell(), "xlsx"))
    assert not any(rows[:-1])
    assert len(rows[-1]) == sheetxml.MOST_COLUMNS + 1


def test_a_document_that_lies_about_its_size_ends_at_a_limit() -> None:
    installed.program("soffice")
    began = time.monotonic()
    refused(lying_zip(), "fax", convert_seconds=20)
    assert time.monotonic() - began < 50


def test_a_picture_in_a_picture_format_of_another_name_is_what_it_is() -> None:
    """An EPS named .jpg would have Ghostscript run it; the bytes decide, and EPS is not among the formats."""
    refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "mms")


def test_a_long_animation_is_refused() -> None:
    frames = [Image.new("P", (3000, 2600), number) for number in range(40)]
    data = documents.saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert "animation is too long" in refused(data, "mms")


def test_memory_ends_at_the_limit() -> None:
    """Forty million pixels with an alpha channel want more than 256 MB of address space."""
    big = documents.saved(Image.new("RGBA", (7000, 7000)), "PNG")
    assert refused(big, "post", convert_memory=256) in {
        "The file needs too much memory.",
        "The file could not be converted.",
    }


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "soffice"
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_hanging_conversion_is_killed_with_its_children(tmp_path: Path) -> None:
    program = script(tmp_path, "import os, time; os.fork(); time.sleep(600)")
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        refusal = pool.submit(refused, b"{\\rtf1 x}", "fax", soffice=program, convert_seconds=10)
        while len(found := running(program)) < 2:
            assert not refusal.done()
            time.sleep(0.01)
        assert (refusal.result(), time.monotonic() - began < 50) == ("The file took too long to convert.", True)
    for pid in found:
        assert gone(pid)


def running(program: str) -> list[int]:
    """The processes that run this script: it can leave no word of itself outside of its folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if program.encode() in (place / "cmdline").read_bytes().split(b"\0")[1:2]:
                found.append(int(place.name))
    return found


def gone(pid: int) -> bool:
    """Whether a process ended within a minute, on a busy machine (an orphan may be a zombie until init looks)."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
    return False


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "could not be read as rtf"),
        ("import sys; sys.exit(0)", "could not be read as rtf"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGSEGV)", "could not be converted"),
        ("while True: pass", "took too long|could not be read"),
        ("open('full', 'wb').write(bytes(200 * 2**20))", "could not be read as rtf"),
    ],
    ids=["crashes", "makes nothing", "takes the worker along", "never ends", "fills the disk"],
)
def test_a_crashing_conversion_is_a_refusal(tmp_path: Path, text: str, why: str) -> None:
    seconds = 5 if text == "while True: pass" else 60
    with pytest.raises(Refused, match=why):
        convert(b"{\\rtf1 x}", "fax", soffice=script(tmp_path, text), convert_seconds=seconds)


def test_the_worker_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELIOGRAPH_SECRET", "do not tell" * 4)
    seen = said(tmp_path, "import os, sys; sys.stderr.write(str(dict(os.environ)))")
    assert "PATH" in seen
    assert "HELIOGRAPH" not in seen
    assert "do not tell" not in seen


def said(tmp_path: Path, text: str) -> str:
    """What a program in place of LibreOffice says to its standard error: the log has the end of it."""
    with own_logs() as entries:
        refused(b"{\\rtf1 x}", "fax", soffice=script(tmp_path, text))
    return "".join(str(entry["complaint"]) for entry in entries if entry["event"] == "convert.failed")


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as made:
        yield made


def reaching_out(url: str, folder: Path) -> dict[str, tuple[str, bytes]]:
    """Documents that name things outside of themselves, in the network and on disk."""
    link = '<w:p><w:r><w:object><v:shape id="s" style="width:50pt;height:50pt"><v:imagedata r:id="r1"/></v:shape>'
    link += '<o:OLEObject Type="Link" ProgID="Word.Document.8" ShapeID="s" r:id="r2" UpdateMode="Always"/>'
    link += "</w:object></w:r></w:p>"
    chunk = f"<html><img src='{url}/c.png'><iframe src='{url}/d'></iframe></html>"
    inner = f'<Relationship Id="r2" Type="{documents.OFFICE}/aFChunk" Target="chunk.html"/>'
    text, red = folder / "secret.txt", folder / "secret.png"
    uri = text.as_uri()
    seen = paragraph("Visible")
    return {
        "picture": ("docx", docx(seen + linked_picture("r1"), external("r1", "image", f"{url}/a.png"))),
        "picture on disk": ("docx", docx(seen + linked_picture("r1"), external("r1", "image", red.as_uri()))),
        "included text": (
            "docx",
            docx(seen + field(f'INCLUDETEXT "{text}"') + field(f'INCLUDETEXT "{uri}"')),
        ),
        "included picture": ("docx", docx(seen + field(f'INCLUDEPICTURE "{url}/b.png" \\d'))),
        "chunk": ("docx", docx(seen + '<w:altChunk r:id="r2"/>', external("r2", "aFChunk", f"{url}/chunk.html"))),
        "chunk inside": ("docx", docx(seen + '<w:altChunk r:id="r2"/>', inner, chunk_html=chunk)),
        "dde": ("docx", docx(seen + field(f'DDEAUTO soffice "{text}" all') + field(f'LINK Word.Document.8 "{text}"'))),
        "ole link": (
            "docx",
            docx(seen + link, external("r1", "image", f"{url}/o.png") + external("r2", "oleObject", f"{url}/o.doc")),
        ),
        "system file": (
            "docx",
            docx(
                seen + field('INCLUDETEXT "/etc/passwd"') + linked_picture("r1"),
                external("r1", "image", "file:///etc/passwd"),
            ),
        ),
        "part of a document": ("docx", docx(seen + '<w:subDoc r:id="r1"/>', external("r1", "subDocument", uri))),
        "template": ("docx", docx(seen, external("r1", "attachedTemplate", f"{url}/t.dotm"))),
        "rtf": (
            "rtf",
            rf'{{\rtf1 Visible {{\field{{\*\fldinst INCLUDEPICTURE "{url}/r.png" \\d}}{{\fldrslt x}}}}'
            rf'{{\field{{\*\fldinst INCLUDETEXT "{text}"}}{{\fldrslt y}}}}{{\*\template {url}/x.dot}}}}'.encode(),
        ),
    }


CASES = tuple(reaching_out("", Path("/nowhere")))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("TOP SECRET", encoding="utf-8")
    Image.new("RGB", (100, 100), "red").save(tmp_path / "secret.png")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_document_fetches_nothing_even_with_a_network(case: str, listener: Listener, secrets: Path) -> None:
    """By the profile alone: where the system allows no namespaces, it is all that there is."""
    kind, data = reaching_out(listener.url, secrets)[case]
    (secrets / "work").mkdir()
    made = office.to_pdf(data, kind, secrets / "work", installed.program("soffice"))
    assert listener.heard == []
    text = documents.text_of(made)
    assert "Visible" in text
    assert "SECRET" not in text
    assert "root:" not in text
    assert documents.red_at(documents.rendered(made)) is None


@pytest.mark.slow
def test_an_ordinary_profile_would_fetch(listener: Listener, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof above sees something: LibreOffice as it comes asks the listener, and shows the file from disk."""
    program = installed.program("soffice")
    monkeypatch.setattr(office, "_HARDENED", ())
    monkeypatch.setattr(office, "_PROFILE", '<oor:items xmlns:oor="http://openoffice.org/2001/registry"/>')
    cases = reaching_out(listener.url, secrets)
    for number, case in enumerate(("picture", "picture on disk")):
        (secrets / str(number)).mkdir()
        made = office.to_pdf(cases[case][1], "docx", secrets / str(number), program)
    assert any(b"/a.png" in request for request in listener.heard)
    assert documents.red_at(documents.rendered(made)) is not None


def test_an_entity_of_a_document_is_not_looked_up() -> None:
    """LibreOffice refuses a document with a DTD; if another version reads it, the file must not be in it."""
    installed.program("soffice")
    data = entity(docx(paragraph("a")), "word/document.xml")
    try:
        made = convert(data, "fax")
    except Refused:
        return
    assert "root:" not in documents.text_of(made.data)


def outside(kind: str) -> bytes:
    """A PDF whose page is, or shows, a file of this machine."""
    document = pikepdf.open(io.BytesIO(documents.pdf(A4)))
    page = document.pages[0]
    if kind == "stream":
        content = document.make_stream(b"")
        content.F = pikepdf.Dictionary(Type=pikepdf.Name.Filespec, F=pikepdf.String("/etc/passwd"))
        page.obj.Contents = content
    else:
        shown = document.make_stream(b"", Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form, BBox=[0, 0, 9, 9])
        shown.Ref = pikepdf.Dictionary(F=pikepdf.String("/etc/passwd"), Page=0)
        page.obj.Resources.XObject = pikepdf.Dictionary(X=shown)
        page.obj.Contents = document.make_stream(b"/X Do")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["stream", "reference"])
def test_a_pdf_that_names_a_file_shows_nothing_of_it(kind: str) -> None:
    made = convert(outside(kind), "post")
    assert b"root:" not in made.data
    assert documents.text_of(made.data) == ""


def test_an_embedded_file_does_not_come_along() -> None:
    installed.program("soffice")
    inner = f'<Relationship Id="r2" Type="{documents.OFFICE}/package" Target="evil.bin"/>'
    made = convert(docx(paragraph("Visible"), inner, evil_bin=b"MZ evil program"), "post")
    assert b"MZ evil" not in made.data
    with pikepdf.open(io.BytesIO(made.data)) as document:
        assert list(document.attachments) == []


def test_a_compressed_stream_bomb_in_a_pdf_ends_at_a_limit() -> None:
    """A page of a few kilobytes that unpacks to 2 GB."""
    document = pikepdf.new()
    page = document.add_blank_page(page_size=A4)
    bomb = gzip.zlib.compress(b" " * 2**26, 9)  # type: ignore[attr-defined]
    page.obj.Contents = pikepdf.Stream(document, gzip.zlib.compress(bomb * 30, 9))  # type: ignore[attr-defined]
    page.obj.Contents.Filter = pikepdf.Array([pikepdf.Name.FlateDecode, pikepdf.Name.FlateDecode])
    out = io.BytesIO()
    document.save(out, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)
    began = time.monotonic()
    try:
        made = convert(out.getvalue(), "fax", convert_seconds=20)
    except Refused:
        pass
    else:
        assert made.pages == 1
    assert time.monotonic() - began < 50


def test_every_target_says_what_it_takes() -> None:
    for target in TARGETS:
        assert f"Supported: {', '.join(worker.kinds.TAKES[target])}." in refused(b"\x7fELF" + bytes(100), target)
