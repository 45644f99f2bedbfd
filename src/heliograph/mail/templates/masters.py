"""Master templates: emails that come with the house, for accounts to clone.

Their sources are MJML (mjml/); `make templates` makes html/ and thumbnails/ of them. The documented requests name the
templates 1 and 57 and the category 4, so these ids are there (api-v3, "Master Email Templates"); so is the spelling of
"Alerts/Notificartions".
"""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

ADDED = 1795996800
"""When they were added, in Unix time."""
SIZES = ("small", "large")
"""Of thumbnails."""


class Category(NamedTuple):
    """What templates are for."""

    category_id: int
    name: str


class Master(NamedTuple):
    """A master template. `slug` is the name of its files."""

    template_id_master: int
    category_id: int
    template_name: str
    slug: str


CATEGORIES = (
    Category(1, "Newsletters"),
    Category(2, "Alerts/Notificartions"),
    Category(3, "Art"),
    Category(4, "Birthday"),
    Category(5, "Welcome"),
    Category(6, "Receipts/Invoices"),
    Category(7, "Events"),
    Category(8, "Sales/Promotions"),
    Category(9, "Passwords/Security"),
    Category(10, "Surveys"),
    Category(11, "Holidays"),
    Category(23, "Blank Template"),
)

MASTERS = (
    Master(1, 1, "Minty", "minty"),
    Master(2, 1, "Digest", "digest"),
    Master(3, 2, "Service Notice", "service-notice"),
    Master(4, 2, "On Its Way", "on-its-way"),
    Master(5, 3, "Gallery", "gallery"),
    Master(6, 4, "Birthday", "birthday"),
    Master(7, 5, "Welcome", "welcome"),
    Master(8, 6, "Receipt", "receipt"),
    Master(9, 6, "Invoice", "invoice"),
    Master(10, 7, "Invitation", "invitation"),
    Master(11, 8, "Sale", "sale"),
    Master(12, 7, "Appointment", "appointment"),
    Master(13, 9, "New Password", "new-password"),
    Master(14, 9, "New Sign-In", "new-sign-in"),
    Master(15, 10, "Survey", "survey"),
    Master(16, 11, "Season's Greetings", "seasons-greetings"),
    Master(56, 23, "Basic", "basic"),
    Master(57, 23, "Basic 2", "basic-2"),
)


def find(template_id: int) -> Master | None:
    """A master template by its id."""
    return next((one for one in MASTERS if one.template_id_master == template_id), None)


def category(category_id: int) -> Category | None:
    """A category by its id."""
    return next((one for one in CATEGORIES if one.category_id == category_id), None)


def within(category_id: int) -> list[Master]:
    """The master templates of a category."""
    return [one for one in MASTERS if one.category_id == category_id]


@cache
def body(master: Master) -> str:
    """Its HTML."""
    return files(__package__).joinpath("html", f"{master.slug}.html").read_text(encoding="utf-8")


def thumbnail(name: str) -> bytes | None:
    """The thumbnail of this name (`picture`), a PNG; None: there is none."""
    return _thumbnail(name) if name in _pictures() else None


@cache
def _thumbnail(name: str) -> bytes:
    return files(__package__).joinpath("thumbnails", name).read_bytes()


@cache
def _pictures() -> frozenset[str]:
    return frozenset(picture(master, size) for master in MASTERS for size in SIZES)


def picture(master: Master, size: str) -> str:
    """The name of a thumbnail. `size` is one of SIZES."""
    return f"{master.slug}-{size}.png"
