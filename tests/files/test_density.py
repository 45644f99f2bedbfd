"""Pixels that are not square: what the file says of them counts, so that a circle is round and a fax stands upright."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import IFDRational

from files.test_convert import convert
from support import documents

COARSE, WIDE = (204.0, 98.0), (100.0, 200.0)
"""Dots an inch, across and down: a coarse fax (ITU-T T.4), and the other way round."""

MILLIMETRES = (180, 250)
CORNER, MIDDLE, ROUND = (10, 10, 30, 30), (90, 150), 60
"""What is drawn, in millimetres: a square in the upper left corner, and a circle in the middle."""


def drawn(density: tuple[float, float], mode: str = "L") -> Image.Image:
    """A sheet that stands, with these dots an inch."""
    across, down = (dots / 25.4 for dots in density)
    image = Image.new("L", (round(MILLIMETRES[0] * across), round(MILLIMETRES[1] * down)), 255)
    pencil = ImageDraw.Draw(image)
    left, top, right, bottom = CORNER
    pencil.rectangle((left * across, top * down, right * across, bottom * down), fill=0)
    (x, y), half = MIDDLE, ROUND / 2
    pencil.ellipse(((x - half) * across, (y - half) * down, (x + half) * across, (y + half) * down), fill=0)
    return image.convert(mode)


def tiff(image: Image.Image, density: tuple[float, float], **more: Any) -> bytes:
    return documents.saved(image, "TIFF", dpi=density, **more)


def tiff_in_centimetres(image: Image.Image, density: tuple[float, float]) -> bytes:
    x, y = (dots / 2.54 for dots in density)
    return documents.saved(image, "TIFF", resolution_unit=3, x_resolution=x, y_resolution=y)


def tiff_without_a_unit(image: Image.Image, density: tuple[float, float]) -> bytes:
    return documents.saved(image, "TIFF", resolution_unit=1, x_resolution=density[0], y_resolution=density[1])


def fax(image: Image.Image, density: tuple[float, float], compression: str = "group3") -> bytes:
    return tiff(image.convert("1"), density, compression=compression)


def png(image: Image.Image, density: tuple[float, float]) -> bytes:
    return documents.saved(image, "PNG", dpi=density)


def png_of_proportions(image: Image.Image, density: tuple[float, float]) -> bytes:
    made = documents.saved(image, "PNG")
    body = b"pHYs" + struct.pack(">IIB", round(density[0]), round(density[1]), 0)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    return made[:33] + chunk + made[33:]


def jpeg(image: Image.Image, density: tuple[float, float], unit: int = 1) -> bytes:
    """With the density of JFIF: 0 for proportions alone, 1 an inch, 2 a centimetre."""
    made = bytearray(documents.saved(image, "JPEG"))
    at = made.index(b"JFIF\0") + 7
    scale = 2.54 if unit == 2 else 1.0
    made[at : at + 5] = struct.pack(">BHH", unit, *(round(dots / scale) for dots in density))
    return bytes(made)


def exif(density: tuple[Any, Any], unit: int = 2, orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x011A], made[0x011B], made[0x0128], made[0x0112] = *density, unit, orientation
    return made


def with_exif(kind: str) -> Callable[..., bytes]:
    """A JPEG that has JFIF as well, which says nothing; or another kind."""
    return lambda image, density: documents.saved(image, kind, exif=exif(density))


def jpeg_without_jfif(image: Image.Image, density: tuple[float, float]) -> bytes:
    made = documents.saved(image, "JPEG", exif=exif([dots / 2.54 for dots in density], 3))
    at = made.index(b"\xff\xe0")
    return made[:at] + made[at + 2 + int.from_bytes(made[at + 2 : at + 4], "big") :]


def bmp(image: Image.Image, density: tuple[float, float]) -> bytes:
    return documents.saved(image, "BMP", dpi=density)


KINDS = {
    "tiff": tiff,
    "tiff in centimetres": tiff_in_centimetres,
    "tiff without a unit": tiff_without_a_unit,
    "fax G3": fax,
    "fax G4": lambda image, density: fax(image, density, "group4"),
    "png": png,
    "png of proportions": png_of_proportions,
    "png with exif": with_exif("PNG"),
    "jpeg": jpeg,
    "jpeg in centimetres": lambda image, density: jpeg(image, density, 2),
    "jpeg of proportions": lambda image, density: jpeg(image, density, 0),
    "jpeg with exif": with_exif("JPEG"),
    "jpeg without jfif": jpeg_without_jfif,
    "webp with exif": with_exif("WEBP"),
    "bmp": bmp,
}


def dark(image: Image.Image, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Where the dark is within a part of the picture (shares of it): left, top, width, height, in pixels."""
    area = [round(share * side) for share, side in zip(box, image.size * 2, strict=True)]
    found = image.convert("L").point(lambda value: 255 if value < 128 else 0).crop(area).getbbox()  # type: ignore[arg-type]
    assert found is not None
    left, top, right, bottom = found
    return left + area[0], top + area[1], right - left, bottom - top


def check(image: Image.Image) -> None:
    """The sheet stands as it was drawn, and its circle is round."""
    assert image.height > image.width
    left, top, width, height = dark(image, (0, 0, 0.5, 0.3))
    assert (left < image.width * 0.2, top < image.height * 0.2) == (True, True)
    assert width == pytest.approx(height, rel=0.05)
    _, _, width, height = dark(image, (0, 0.35, 1, 1))
    assert width == pytest.approx(height, rel=0.03)
    assert width == pytest.approx(image.width * ROUND / MILLIMETRES[0], rel=0.2), "as large as it was"


@pytest.mark.parametrize("density", [COARSE, WIDE], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_circle_stays_round_on_paper(kind: str, density: tuple[float, float]) -> None:
    made = convert(KINDS[kind](drawn(density), density), "fax")
    assert documents.sizes_of(made.data) == [(210, 297)]
    check(documents.rendered(made.data, dpi=72))


@pytest.mark.parametrize("kind", ["fax G4", "png of proportions", "jpeg in centimetres", "jpeg with exif"])
def test_a_circle_stays_round_on_a_telephone(kind: str) -> None:
    """Which knows of pixels only."""
    made = convert(KINDS[kind](drawn(COARSE), COARSE), "mms")
    check(Image.open(io.BytesIO(made.data)))


@pytest.mark.parametrize("target", ["post", "postcard"])
def test_the_other_papers_too(target: str) -> None:
    made = convert(fax(drawn(COARSE), COARSE), target)
    assert documents.sizes_of(made.data)[0] == {"post": (210, 297), "postcard": (148, 210)}[target]
    check(documents.rendered(made.data, dpi=72))


def test_pages_of_a_fax_may_differ() -> None:
    """A machine that changes its mode between two pages."""
    modes = (COARSE, (204.0, 391.0), (204.0, 196.0))
    pages = [drawn(density, "1") for density in modes]
    for page, density in zip(pages, modes, strict=True):
        page.encoderinfo = {"dpi": density}  # type: ignore[attr-defined]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], compression="group4", dpi=COARSE)
    made = convert(out.getvalue(), "fax")
    assert made.pages == 3
    for number in range(3):
        check(documents.rendered(made.data, number, dpi=72))


TURNS = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""Orientation -> how a picture is stored that is to be shown upright."""


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("target", ["fax", "mms"])
def test_the_axes_of_a_turned_picture_are_those_of_its_pixels(kind: str, orientation: int, target: str) -> None:
    upright, stored = drawn(COARSE), COARSE
    turned = upright.transpose(TURNS[orientation])
    if turned.width != upright.width:
        stored = (COARSE[1], COARSE[0])
    if kind == "TIFF":
        data = tiff(turned, stored, tiffinfo={0x0112: orientation})
    else:
        data = documents.saved(turned, kind, exif=exif(stored, orientation=orientation))
    made = convert(data, target)
    check(documents.rendered(made.data, dpi=72) if target == "fax" else Image.open(io.BytesIO(made.data)))


def test_a_photograph_with_both_is_judged_by_its_pixels_first() -> None:
    """JFIF stands before what a camera says of itself."""
    image = drawn(COARSE)
    made = bytearray(documents.saved(image, "JPEG", exif=exif((72, 72))))
    at = made.index(b"JFIF\0") + 7
    made[at : at + 5] = struct.pack(">BHH", 1, 204, 98)
    check(documents.rendered(convert(bytes(made), "post").data, dpi=72))


NOTHING = IFDRational(0, 0)
ABSURD: list[Callable[[Image.Image], bytes]] = [
    lambda image: jpeg(image, (0, 0)),
    lambda image: jpeg(image, (72, 0)),
    lambda image: jpeg(image, (0, 72), 0),
    lambda image: jpeg(image, (1, 65535)),
    lambda image: jpeg(image, (65535, 65535), 2),
    lambda image: jpeg(image, (300, 300), 77),
    lambda image: png_of_proportions(image, (0, 0)),
    lambda image: png_of_proportions(image, (2**31 - 1, 1)),
    lambda image: png(image, (0.0254, 0.0254)),
    lambda image: documents.saved(image, "TIFF", resolution_unit=2, x_resolution=0, y_resolution=98),
    lambda image: documents.saved(image, "TIFF", resolution_unit=2, x_resolution=204),
    lambda image: documents.saved(image, "TIFF", tiffinfo={0x011A: NOTHING, 0x011B: NOTHING}),
    lambda image: documents.saved(image, "TIFF", resolution_unit=9, x_resolution=1, y_resolution=4e9),
    lambda image: documents.saved(image, "JPEG", exif=exif((NOTHING, NOTHING))),
    lambda image: documents.saved(image, "WEBP", exif=exif((IFDRational(1, 0), 72))),
]


@pytest.mark.parametrize("number", range(len(ABSURD)))
def test_what_cannot_be_is_not_believed(number: int) -> None:
    """Square pixels then, as without a word."""
    data = ABSURD[number](drawn((100, 100)))
    check(documents.rendered(convert(data, "fax").data, dpi=72))
    check(Image.open(io.BytesIO(convert(data, "mms").data)))


def test_no_density_makes_a_picture_larger_than_an_mms() -> None:
    small = convert(png_of_proportions(Image.new("L", (100, 40), 200), (5, 1)), "mms")
    assert Image.open(io.BytesIO(small.data)).size == (100, 200)
    large = convert(png_of_proportions(Image.new("L", (5000, 1000), 200), (1, 5)), "mms")
    assert Image.open(io.BytesIO(large.data)).size == (1280, 51)
