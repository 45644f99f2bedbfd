"""HTML as the places in its text where something stands, in one pass: what is changed there leaves the rest as it was.

It follows the tokenizer of the HTML standard (13.2.5). No tree is built: parsers need a time for deep HTML that grows
with the square of its depth, and would write all of it anew.
"""

import re
from html import unescape
from html.entities import html5
from typing import NamedTuple

_RAW_NAMES = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "template")
_RAW = {name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE) for name in _RAW_NAMES}
"""Elements whose content is text, or is shown nowhere, and what ends them."""
_FOREIGN = frozenset({"svg", "math"})
"""In there, elements of those names are ordinary ones."""
_HTML_AGAIN = (
    "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta"
    " nobr ol p pre ruby s small span strong strike sub sup table tt u ul var desc foreignobject title"
)
"""What ends that: elements that only HTML has (13.2.6.5), and those of SVG whose content is HTML."""
_HTML_NAMES = frozenset(_HTML_AGAIN.split())

_OPENS = re.compile(r"<[A-Za-z/!?]")
_COMMENT_END = re.compile(r"--!?>")
_TAG_NAME = re.compile(r"[A-Za-z][^\t\n\f\r />]*+")
_BETWEEN = re.compile(r"[\t\n\f\r /]*+")
_ATTRIBUTE = re.compile(
    r"(?:(?P<end>>)|(?P<name>[^\t\n\f\r />][^\t\n\f\r />=]*+)[\t\n\f\r ]*+(?P<equals>=[\t\n\f\r ]*+)?)"
)
_UNQUOTED = re.compile(r"[^\t\n\f\r >]*+")
_REFERENCE = re.compile(r"&(?:#[xX][0-9A-Fa-f]++;?|#[0-9]++;?|([A-Za-z][A-Za-z0-9]*+;?)(?!=))")


LONGEST_REFERENCE = 64
"""Characters of a reference by number: with more digits it is no character's."""


class Attribute(NamedTuple):
    """An attribute of a tag. `name` is in small letters; (start, end) is where its value stands, with its quotes."""

    name: str
    start: int
    end: int
    value: str
    """As it is written, without quotes."""


class Text(NamedTuple):
    """What stands between tags."""

    start: int
    end: int


class Comment(NamedTuple):
    """A comment that is closed; (start, end) is where its content stands."""

    start: int
    end: int


class Tag(NamedTuple):
    """A tag; `name` is in small letters, with a slash before it for the end of an element."""

    start: int
    end: int
    name: str
    attributes: tuple[Attribute, ...]


Piece = Text | Comment | Tag


def scan(html: str) -> tuple[list[Piece], int]:
    """The pieces of HTML in their order, and where its readable part ends.

    What is opened and never closed (a tag, a comment, a script) swallows the rest, so reading ends before it.
    """
    pieces: list[Piece] = []
    at, foreign = 0, False
    while at < len(html):
        found = _OPENS.search(html, at)
        opens = found.start() if found else len(html)
        if opens > at:
            pieces.append(Text(at, opens))
            at = opens
            continue
        piece, end = _markup(html, at)
        if end < 0:
            return pieces, at
        if piece is not None:
            pieces.append(piece)
        if isinstance(piece, Tag):
            if not foreign and (end := _after_raw(html, piece)) < 0:
                pieces.pop()
                return pieces, at
            foreign = _stays_foreign(html, piece, foreign=foreign)
        at = end
    return pieces, at


def _stays_foreign(html: str, tag: Tag, *, foreign: bool) -> bool:
    """Whether what follows a tag belongs to SVG or MathML."""
    if not foreign or tag.name.startswith("/"):
        return tag.name in _FOREIGN or (foreign and tag.name.removeprefix("/") not in _FOREIGN)
    return tag.name not in _HTML_NAMES or html.endswith("/>", tag.start, tag.end)


def _markup(html: str, at: int) -> tuple[Piece | None, int]:
    """What begins at a place, and where it ends; -1: never."""
    if html.startswith(("<!-->", "<!--->"), at):
        return None, html.find(">", at) + 1
    if html.startswith("<!--", at):
        found = _COMMENT_END.search(html, at + 4)
        return (Comment(at + 4, found.start()), found.end()) if found else (None, -1)
    closing = html.startswith("</", at)
    name = _TAG_NAME.match(html, at + 1 + closing)
    if name is not None:
        return _tag(html, at, "/" * closing + name[0].lower(), name.end())
    return None, html.find(">", at + 2) + 1 or -1  # what a browser takes for a comment


def _tag(html: str, at: int, name: str, place: int) -> tuple[Tag | None, int]:
    attributes: list[Attribute] = []
    while (between := _BETWEEN.match(html, place)) and (found := _ATTRIBUTE.match(html, between.end())):
        place = found.end()
        if found["end"]:
            return Tag(at, place, name, tuple(attributes)), place
        start = end = place
        if found["equals"]:
            if (quote := html[place : place + 1]) in ("'", '"') and quote:
                end = html.find(quote, place + 1) + 1
                if not end:
                    return None, -1
            else:
                unquoted = _UNQUOTED.match(html, place)
                end = unquoted.end() if unquoted else place
            quoted = html[start : start + 1] in ("'", '"') and end > start
            value = html[start + 1 : end - 1] if quoted else html[start:end]
            attributes.append(Attribute(found["name"].lower(), start, end, value))
        place = end
    return None, -1


def _after_raw(html: str, tag: Tag) -> int:
    """Where reading goes on after a tag: before the end of an element whose content is text; -1: it has none."""
    if tag.name == "plaintext":
        return -1
    if tag.name not in _RAW:
        return tag.end
    found = _RAW[tag.name].search(html, tag.end)
    return found.start() if found else -1


def written(value: str) -> str:
    """What an attribute says that is written so. `&copy=` is no sign there, so that queries of URLs stay whole."""
    return _REFERENCE.sub(_character, value)


def _character(found: re.Match[str]) -> str:
    name = found[1]
    if name:
        return html5.get(name, found[0])
    return unescape(found[0]) if len(found[0]) <= LONGEST_REFERENCE else "\ufffd"
