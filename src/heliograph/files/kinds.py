"""What a file really is, by its bytes alone, and what can be made of it. Names and declared types are not believed."""

import io
import re
import zipfile
from typing import Any

import filetype

from heliograph.files.task import CONTACTS, Refused
from heliograph.files.text import is_control, text_of

IMAGES = ("jpeg", "png", "gif", "bmp", "tiff", "webp")
OFFICE = ("docx", "doc", "rtf", "txt")
"""Kinds that LibreOffice reads."""

DOCUMENTS = ("pdf", *OFFICE)
SHEETS = ("xlsx", "xls", "ods")

TAKES: dict[str, tuple[str, ...]] = {
    "fax": (*DOCUMENTS, *IMAGES),
    "mms": IMAGES,
    "csv": (*SHEETS, "csv", "vcf"),
    CONTACTS: (*SHEETS, "vcf"),
    "post": (*DOCUMENTS, *IMAGES),
    "postcard": (*DOCUMENTS, *IMAGES),
}
"""Target -> the kinds that it can be made of."""

MOST_UNPACKED = 200 * 1024 * 1024
MOST_MEMBERS = 10_000
"""Limits of a zipped office file: its unpacked bytes, and its members."""

_SIGNATURES = {
    "jpg": "jpeg",
    "tif": "tiff",
    "apng": "png",
    **{kind: kind for kind in ("png", "gif", "webp", "rtf", "bmp")},
}
_IN_LETTERS = (b"GIF87a", b"GIF89a", b"{\\rtf", b"%PDF", b"%!PS")
"""Signatures of letters that are long enough: no list begins with them."""

HEADER = 100
"""Bytes in which a file that is no text has a control character."""

_ZIPPED = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx"}
_OPEN_DOCUMENTS = {b"application/vnd.oasis.opendocument.spreadsheet": "ods"}
_WORD_97 = re.compile(rb"\xec\xa5.{9}(.)[\xbf\xc1]\0", re.DOTALL)
"""How a Word 97 document begins, at the border of a sector; fEncrypted is the lowest bit of the byte that is found.
Source: MS-DOC 2.5.2, FibBase.
"""

MARKUP = "HTML, XML or SVG"
_MARKUP = re.compile(r"<(?:[!?]|[a-z][\w:.-]*[\s/>])|mime-version:", re.IGNORECASE)
"""An element, a declaration, or the head of a web page in one file (RFC 2557); no address in angle brackets."""

_OLE = {"EncryptedPackage": "locked", "WordDocument": "doc", "Workbook": "xls", "Book": "xls"}
"""Name of a stream in an OLE file -> kind of the file; the first that the file has decides."""


def kind_of(data: bytes, code_page: str = "cp1252") -> str:
    """The kind of a file: one of those above, `locked`, `markup`, or whatever else it is called. Raises Refused.

    A text may be `txt` or `csv`: its bytes do not tell, so it is called `txt`, and the target decides.
    """
    if not data:
        raise Refused("The file is empty.")
    head = data[:1024]
    if head.startswith(b"%PDF-") or (b"%PDF-" in head and b"%%EOF" in data[-1024:]):
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return _zipped(data)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole(data)
    found = signed(data)
    if found is not None and found.extension in _SIGNATURES:
        return _SIGNATURES[found.extension]
    text = text_of(data, code_page)
    if text is None:
        return "unknown" if found is None else str(found.extension)
    if text.lstrip()[:11].upper() == "BEGIN:VCARD":
        return "vcf"
    return "markup" if is_markup(text) else "txt"


def signed(data: bytes) -> Any:
    """What a file is by its first bytes, as filetype names it; None for a text.

    Many signatures are letters that a text may begin with too: "BM", "MZ", "GIF", "ID3". What they belong to has
    control characters near its beginning.
    """
    found = filetype.guess(data)
    if found is None or data.startswith(_IN_LETTERS):
        return found
    return found if any(map(is_control, data[:HEADER].decode("latin-1"))) else None


def is_markup(text: str) -> bool:
    """Whether a text that begins like this is a web page, or XML: programs name it .xls or .csv all the same."""
    return _MARKUP.match(text.lstrip("\ufeff \t\r\n")) is not None


def check(kind: str, target: str) -> str:
    """The kind as the target takes it. Raises Refused, with what the target takes."""
    if kind == "locked":
        raise Refused("The file is protected with a password.")
    if kind == "txt" and target == "csv":
        return "csv"
    if kind in TAKES[target]:
        return kind
    named = {"markup": MARKUP, "unknown": "of an unknown kind"}.get(kind, kind)
    raise Refused(
        f"The file is {named}, which cannot be converted for {target}. Supported: {', '.join(TAKES[target])}."
    )


def _zipped(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > MOST_UNPACKED:
                raise Refused("The file unpacks to more than can be converted.")
            names = {member.filename for member in members}
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 100:
                kind = _OPEN_DOCUMENTS.get(archive.read("mimetype"), "zip")
                manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
                return "locked" if b":encryption-data" in manifest else kind
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise Refused("The file is damaged.") from None
    return next((kind for name, kind in _ZIPPED.items() if name in names), "zip")


def _ole(data: bytes) -> str:
    kind = next((kind for stream, kind in _OLE.items() if (stream + "\0").encode("utf-16-le") in data), "unknown")
    if kind == "doc" and any(found.start() % 64 == 0 and found[1][0] & 1 for found in _WORD_97.finditer(data)):
        return "locked"
    return kind
