"""Makes the HTML and the thumbnails of the master templates of emails out of their MJML (`make templates`).

Needs mjml-python, and Chromium for the thumbnails. A thumbnail says in itself which HTML it shows; only those whose
HTML has changed are made again. `--shots FOLDER` also keeps pictures of each template at 600 and 375 pixels, by day and
by night, for people to look at.
"""

import argparse
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import mjml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from heliograph.mail.templates import masters

FOLDER = Path(masters.__file__).parent
SIZES = {"small": (200, 250), "large": (480, 600)}
"""Of thumbnails, in pixels: the top of the email at 600 x 750."""
COLOURS = 48
SHOWS = "shows"
"""Key of the note in a thumbnail: BLAKE2 of the HTML that it shows."""


def html(slug: str) -> str:
    """What MJML makes of a template; it loads nothing from anywhere."""
    source = (FOLDER / "mjml" / f"{slug}.mjml").read_text(encoding="utf-8")

    def shared(name: str) -> str:
        return (FOLDER / "mjml" / "shared" / name).read_text(encoding="utf-8")

    return mjml.mjml2html(source, include_loader=shared, fonts={}) + "\n"


def digest(text: str) -> str:
    """What a thumbnail says of the HTML that it shows."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def shown(picture: Path) -> str:
    """The digest of the HTML that a thumbnail shows; "" when there is none."""
    if not picture.exists():
        return ""
    with Image.open(picture) as opened:
        return str(opened.info.get(SHOWS, ""))


def shot(text: str, width: int, height: int, night: bool = False) -> Image.Image:
    """What Chromium shows of an email in a window of this width."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        # A window is never narrower than some 500 pixels: a frame is.
        page, frame, picture = (Path(folder) / name for name in ("page.html", "frame.html", "shot.png"))
        page.write_text(text, encoding="utf-8")
        box = f'width="{width}" height="{height}" style="border:0"'
        frame.write_text(f'<body style="margin:0"><iframe src="page.html" {box}></iframe>', encoding="utf-8")
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        flags += ["--blink-settings=preferredColorScheme=0"] if night else []
        size = f"--window-size={max(width, 600)},{height}"
        command = [browser, *flags, size, f"--screenshot={picture}", frame.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603
        with Image.open(picture) as opened:
            return opened.convert("RGB").crop((0, 0, width, height))


def draw(slug: str, text: str) -> None:
    """Make the thumbnails of a template."""
    note = PngInfo()
    note.add_text(SHOWS, digest(text))
    whole = shot(text, 600, 750)
    for size, pixels in SIZES.items():
        small = whole.resize(pixels, Image.Resampling.LANCZOS).quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(FOLDER / "thumbnails" / f"{slug}-{size}.png", optimize=True, pnginfo=note)


def main() -> None:
    """Bring all files in line with the sources."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=Path)
    shots = parser.parse_args().shots
    for master in masters.MASTERS:
        text = html(master.slug)
        (FOLDER / "html" / f"{master.slug}.html").write_text(text, encoding="utf-8")
        pictures = [FOLDER / "thumbnails" / masters.picture(master, size) for size in SIZES]
        if any(shown(picture) != digest(text) for picture in pictures):
            draw(master.slug, text)
        for width, night in ((600, False), (375, False), (375, True)) if shots else ():
            shots.mkdir(parents=True, exist_ok=True)
            name = f"{master.slug}-{width}{'-night' * night}.png"
            shot(text, width, 1400, night).save(shots / name)


if __name__ == "__main__":
    main()
