"""PDFs onto paper: A4 for faxes and letters, A5 for postcards. Runs in the worker process only."""

import io

import pikepdf
import pypdfium2 as pdfium
from pypdfium2 import raw

from heliograph.files.task import Refused

A4 = (595.276, 841.89)
A5 = (419.528, 595.276)
"""Width and height in points (ISO 216)."""

PAPER = {"fax": A4, "post": A4, "postcard": A5}
MOST_PAGES = {"fax": 200, "post": 200, "postcard": 2}
SMALLEST, LARGEST = 0.25, 4.0
"""How far a page may be shrunk or enlarged: beyond that it is not meant for this paper."""


def fit(data: bytes, target: str) -> tuple[bytes, int]:
    """(PDF, pages): every page in the middle of a sheet of the target's paper, as large as it fits. Raises Refused.

    Only what is drawn comes along: scripts, attachments, links and forms stay behind. A postcard gets its second side.
    """
    source = pikepdf.open(io.BytesIO(_flattened(data, MOST_PAGES[target])))
    paper = PAPER[target]
    if target == "postcard" and _lies(source.pages[0]):
        paper = (paper[1], paper[0])
    made = pikepdf.new()
    for number, page in enumerate(source.pages, 1):
        if _lies(page) != (paper[0] > paper[1]):
            page.rotate(90, relative=True)
        _check_size(page, number, paper)
        made.add_blank_page(page_size=paper).add_overlay(page, pikepdf.Rectangle(0, 0, *paper))
    if target == "postcard" and len(made.pages) == 1:
        made.add_blank_page(page_size=paper)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue(), len(made.pages)


def _flattened(data: bytes, most: int) -> bytes:
    """The PDF with its forms and annotations drawn into the pages. Raises Refused: locked, damaged, too long."""
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as problem:
        if getattr(problem, "err_code", None) == raw.FPDF_ERR_PASSWORD:
            raise Refused("The file is protected with a password.") from None
        raise Refused("The file is damaged.") from None
    count = len(document)
    if count > most:
        raise Refused(f"The file has {count} pages; at most {most} can be sent.")
    document.init_forms()
    for number in range(count):
        page = document[number]
        raw.FPDFPage_Flatten(page, raw.FLAT_PRINT)
        page.close()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _size(page: pikepdf.Page) -> tuple[float, float]:
    """Width and height as they are seen: overlays use the trim box, which is the crop box when there is none."""
    left, bottom, right, top = (float(edge) for edge in page.trimbox)
    width, height = abs(right - left), abs(top - bottom)
    turned = int(page.obj.get("/Rotate", 0)) % 180 == 90
    return (height, width) if turned else (width, height)


def _lies(page: pikepdf.Page) -> bool:
    width, height = _size(page)
    return width > height


def _check_size(page: pikepdf.Page, number: int, paper: tuple[float, float]) -> None:
    width, height = _size(page)
    scales = sorted((paper[0] / max(width, 0.1), paper[1] / max(height, 0.1)))
    if scales[0] < SMALLEST or scales[1] > LARGEST:
        text = f"{width * 25.4 / 72:.0f} x {height * 25.4 / 72:.0f} mm"
        raise Refused(f"Page {number} measures {text}, which does not fit the paper.")
