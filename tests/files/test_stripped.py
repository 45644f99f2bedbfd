"""Pictures lose what they say about their maker, and no pixel."""

import io
import random
from collections.abc import Callable

import pytest
from PIL import Image, ImageSequence

from heliograph.files import images, stripped
from heliograph.files.stripped import Broken


def _pixels(data: bytes) -> list[bytes]:
    return [frame.convert("RGBA").tobytes() for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def _photo(**more: object) -> bytes:
    image = Image.effect_noise((90, 60), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = "Secret camera"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, comment=b"Secret words", quality=70, **more)
    return out.getvalue()


def _film(frames: int = 4) -> bytes:
    pictures = [Image.effect_noise((40, 30), 40).convert("P") for _ in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=70, loop=3, comment=b"Secret")
    return out.getvalue()


@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_a_photo_keeps_its_pixels_and_loses_its_words(more: dict[str, object]) -> None:
    photo = _photo(**more) + b"Secret trailer"
    made = stripped.jpeg(photo)
    assert b"Secret" in photo
    assert b"Secret" not in made
    assert _pixels(made) == _pixels(photo)
    assert not Image.open(io.BytesIO(made)).getexif()


def test_an_icc_profile_stays_since_it_says_what_the_colours_are() -> None:
    assert b"ICC_PROFILE" in stripped.jpeg(_photo(icc_profile=b"profile" * 20))


def test_an_animation_keeps_its_frames_and_its_loop() -> None:
    film = _film() + b"Secret trailer"
    made = stripped.gif(film)
    assert b"Secret" in film
    assert b"Secret" not in made
    assert _pixels(made) == _pixels(film)
    assert Image.open(io.BytesIO(made)).info["loop"] == 3


@pytest.mark.parametrize(("strip", "whole"), [(stripped.jpeg, _photo()), (stripped.gif, _film())])
def test_what_is_cut_off_or_no_picture_is_broken(strip: Callable[[bytes], bytes], whole: bytes) -> None:
    for length in (0, 1, 2, 5, 12, 20, 40, len(whole) // 2, len(whole) - 2):
        with pytest.raises(Broken):
            strip(whole[:length])
    with pytest.raises(Broken):
        strip(b"%PDF-1.7 and so on")


@pytest.mark.parametrize(("strip", "whole"), [(stripped.jpeg, _photo()), (stripped.gif, _film())])
def test_noise_ends_in_octets_or_broken(strip: Callable[[bytes], bytes], whole: bytes) -> None:
    rng = random.Random(1)
    for _ in range(200):
        noisy = bytearray(whole)
        for _ in range(rng.randrange(1, 30)):
            noisy[rng.randrange(len(noisy))] = rng.randrange(256)
        try:
            assert len(strip(bytes(noisy))) <= len(noisy) + 2
        except Broken:
            continue


def test_a_small_upright_picture_goes_to_phones_as_it_is() -> None:
    photo, film = _photo(), _film()
    assert images.to_mms(photo, "jpeg") == (stripped.jpeg(photo), "jpg")
    assert images.to_mms(film, "gif") == (stripped.gif(film), "gif")


def test_a_picture_that_lies_on_its_side_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.effect_noise((90, 60), 60).convert("RGB").save(out, "JPEG", exif=exif)
    made, _ = images.to_mms(out.getvalue(), "jpeg")
    assert Image.open(io.BytesIO(made)).size == (60, 90)
