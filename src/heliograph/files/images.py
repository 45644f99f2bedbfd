"""Pictures: small enough for an MMS, or as pages of a PDF. Runs in the worker process only."""

import contextlib
import io
import math
import warnings
from collections.abc import Iterator
from typing import Any

import img2pdf
from PIL import Image, ImageOps, ImageSequence
from PIL.JpegImagePlugin import JpegImageFile

from heliograph.files import stripped
from heliograph.files.task import Refused
from heliograph.transports.base import UNLIMITED, Limits

MMS_SIDE = 1280
PRINT_SIDE = 3508
"""Longest side of a picture in pixels: for the screen of a phone; for paper (A4 at 300 dots an inch is 3508 high)."""

SMALLEST = 32
"""Pixels of the longer side below which nobody sees anything."""

MOST_PIXELS = 60_000_000
MOST_ANIMATED_PIXELS = 300_000_000
"""A picture that unpacks to more is refused; the second is for all frames of an animation together."""

MOST_SKEWED = 5.0
"""How much higher than wide, or wider than high, a pixel may be: in a coarse fax it is 2.1. More is a mistake."""

_ON_ITS_SIDE = (5, 6, 7, 8)
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION = 0x0112, 0x011A, 0x011B
"""Tags of TIFF and EXIF, and the orientations that exchange width and height. Source: TIFF 6.0, Exif 2.32 (4.6.4)."""

_FORMATS = {kind: [kind.upper()] for kind in ("jpeg", "png", "gif", "bmp", "tiff", "webp")}


def to_mms(data: bytes, kind: str, limits: Limits = UNLIMITED) -> tuple[bytes, str]:
    """(picture, extension): a JPEG that keeps to the limits, or a GIF if it moves. Nothing but the pixels is kept.

    A picture that is small enough, and upright, keeps its pixels as they are. Raises Refused when it would have to be
    too small to be seen.
    """
    with _opened(data, kind) as image:
        small = len(data) <= limits.largest_bytes and max(image.size) <= limits.largest_side
        if small and _is_fit(image, kind):
            with contextlib.suppress(stripped.Broken):
                return (stripped.gif(data), "gif") if kind == "gif" else (stripped.jpeg(data), "jpg")
        if kind == "gif" and getattr(image, "is_animated", False):
            return _animation(image, limits), "gif"
        pixel = pixel_shape(image)
        return _photo(_squared(flat(image), pixel), limits), "jpg"


def _is_fit(image: Image.Image, kind: str) -> bool:
    """Whether phones show a picture as it is. All of it is read: what is broken further on goes to no phone."""
    if kind not in ("jpeg", "gif") or image.getexif().get(_ORIENTATION, 1) != 1 or pixel_shape(image) != 1:
        return False
    for frame in ImageSequence.Iterator(image):
        frame.load()
    return kind == "gif" or image.mode in ("L", "RGB")


def to_pages(data: bytes, kind: str, size: tuple[float, float], most: int) -> bytes:
    """A PDF with pages of `size` (points), upright or turned as their picture is, which fills the page as far as it
    can.

    A TIFF may hold several pages. Raises Refused.
    """
    with _opened(data, kind) as image:
        frames = ImageSequence.Iterator(image) if kind == "tiff" else [image]
        pictures, places = [], []
        for number, frame in enumerate(frames, 1):
            if number > most:
                raise Refused(f"The file has more than {most} pages.")
            pixel, upright = pixel_shape(frame), flat(frame)
            places.append(_place(upright.width * pixel, upright.height, size))
            pictures.append(_printable(upright, kind))
    left = iter(places)
    return bytes(img2pdf.convert(pictures, layout_fun=lambda *_: next(left)))


def _place(width: float, height: float, size: tuple[float, float]) -> tuple[float, float, float, float]:
    """Width and height of a page, and of the picture on it, which has these proportions."""
    page = size if (width > height) == (size[0] > size[1]) or width == height else (size[1], size[0])
    scale = min(page[0] / width, page[1] / height)
    return (*page, width * scale, height * scale)


def pixel_shape(image: Image.Image) -> float:
    """How much wider than high a pixel is, once the picture stands upright; 1 when nothing says so believably.

    Asked before the picture is loaded: a TIFF loses its orientation then. Units do not matter, both axes share one.
    """
    tags = getattr(image, "tag_v2", None)
    exif = image.getexif() if tags is None else tags
    found = (_ratio(*pair) for pair in _densities(image, exif))
    shape = next((ratio for ratio in found if ratio is not None), 1.0)
    return 1 / shape if exif.get(_ORIENTATION) in _ON_ITS_SIDE else shape


def _densities(image: Image.Image, exif: Any) -> Iterator[tuple[Any, Any]]:
    """Pixels a unit, across and down, from what describes the pixels best to what only may.

    JFIF without a unit and with one density for both says nothing of the picture. Of a JPEG's `dpi` only half is read
    from EXIF by the library.
    """
    given = image.info
    if isinstance(image, JpegImageFile):
        if given.get("jfif_unit") or len(set(given.get("jfif_density", ()))) > 1:
            yield given["jfif_density"]
    elif exif is not getattr(image, "tag_v2", None):
        yield given.get("dpi") or given.get("aspect") or (None, None)
    yield exif.get(_X_RESOLUTION), exif.get(_Y_RESOLUTION)


def _ratio(across: Any, down: Any) -> float | None:
    """How much wider than high a pixel is, of which there are so many a unit; None for what cannot be."""
    try:
        ratio = float(down) / float(across)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return ratio if 1 / MOST_SKEWED <= ratio <= MOST_SKEWED else None


def _squared(image: Image.Image, pixel: float) -> Image.Image:
    """The picture with square pixels, as a phone shows them; no larger than an MMS may be."""
    if pixel == 1:
        return image
    width, height = image.width * max(1.0, pixel), image.height * max(1.0, 1 / pixel)
    scale = min(1.0, MMS_SIDE / max(width, height))
    return image.resize((max(1, round(width * scale)), max(1, round(height * scale))))


def flat(image: Image.Image) -> Image.Image:
    """The picture upright, on white, in grey or RGB of 8 bits."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    plain = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image.convert(plain)


def _opened(data: bytes, kind: str) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS[kind])
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(f"The picture has more than {MOST_PIXELS // 1_000_000} million pixels.") from None
    pixels = image.width * image.height * (getattr(image, "n_frames", 1) if kind in ("gif", "webp") else 1)
    if pixels > MOST_ANIMATED_PIXELS:
        raise Refused("The animation is too long.")
    return image


def _photo(image: Image.Image, limits: Limits) -> bytes:
    """The best JPEG that fits: the quality is bisected, and only then is the picture made smaller. Raises Refused."""
    side = min(MMS_SIDE, limits.largest_side)
    image.thumbnail((side, side))
    while True:
        low, high, best = 40, 92, b""
        while low <= high:
            quality = (low + high) // 2
            made = _jpeg(image, quality)
            if len(made) <= limits.largest_bytes:
                best, low = made, quality + 1
            else:
                high = quality - 1
        if best:
            return best
        if max(image.size) <= SMALLEST:
            raise Refused(f"The picture cannot be made smaller than {limits.largest_bytes // 1000} kB.")
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def _animation(image: Image.Image, limits: Limits) -> bytes:
    """The GIF again, smaller from try to try until it fits. Raises Refused when it would be too small to see."""
    scale = min(1.0, min(MMS_SIDE, limits.largest_side) / max(image.size))
    while scale * max(image.size) >= SMALLEST:
        made = _gif(image, scale)
        if len(made) <= limits.largest_bytes:
            return made
        scale *= min(0.9, math.sqrt(limits.largest_bytes / len(made)))
    raise Refused(f"The animation cannot be made smaller than {limits.largest_bytes // 1000} kB.")


def _gif(image: Image.Image, scale: float) -> bytes:
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    frames, durations = [], []
    for frame in ImageSequence.Iterator(image):
        frames.append(frame.convert("RGBA").resize(size))
        durations.append(max(20, int(frame.info.get("duration", 100))))
    out = io.BytesIO()
    loop = {"loop": image.info["loop"]} if "loop" in image.info else {}
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], duration=durations, disposal=2, optimize=True, **loop
    )
    return out.getvalue()


def _printable(image: Image.Image, kind: str) -> bytes:
    """The picture as img2pdf takes it without asking questions; a photograph stays a JPEG."""
    image.thumbnail((PRINT_SIDE, PRINT_SIDE))
    if kind == "jpeg":
        return _jpeg(image, 95)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
